#include "config/reload.h"

#include "config/validate.h"
#include "tests/config/support.h"

namespace kcptun::test {
namespace {

Settings settings_with(const std::vector<std::pair<OptionId, Value>>& values, Role role = Role::kClient) {
  Settings settings(role);
  for (const auto& [id, value] : values) settings.set(id, value, Source::kFile);
  apply_mode(settings);
  return settings;
}

/// A value of the option's type that is not its default.
Value other_value(const Settings& settings, const Option& option) {
  if (option.kind == OptionKind::kSwitch) return !settings.on(option.id);
  if (option.kind == OptionKind::kNumber) return settings.number(option.id) + 1;
  return settings.text(option.id) + "x";
}

TEST_CASE("Nothing changes between equal settings") {
  CHECK(changes_between(settings_with({}), settings_with({})).empty());
}

TEST_CASE("Each field of either program that changes is told, with what it needs, and only it") {
  for (const auto role : {Role::kClient, Role::kServer}) {
    const Settings before(role);
    for (const Option& option : all_options()) {
      Settings after = before;
      after.set(option.id, other_value(before, option), Source::kFile);
      const auto changes = changes_between(before, after);
      INFO(option.flag);
      if (option.json.empty() || !option.applies_to(role)) {
        CHECK(changes.empty());
        continue;
      }
      REQUIRE(changes.size() == 1);
      CHECK(changes[0].option == option.id);
      CHECK(changes[0].reload == option.reload);
    }
  }
}

TEST_CASE("A change is one line that says when it counts") {
  const auto lines = [](const std::vector<std::pair<OptionId, Value>>& values) {
    std::vector<std::string> texts;
    for (const Change& change : changes_between(settings_with({}), settings_with(values)))
      texts.push_back(to_text(change));
    return texts;
  };
  using Lines = std::vector<std::string>;
  CHECK(lines({{OptionId::kMtu, Value{std::int64_t{1400}}}}) == Lines{"mtu 1350 -> 1400 (new sessions)"});
  CHECK(lines({{OptionId::kQuiet, Value{true}}}) == Lines{"quiet false -> true (at once)"});
  CHECK(lines({{OptionId::kKey, Value{"other"}}}) == Lines{"key (hidden) -> (hidden) (needs a restart)"});
  CHECK(lines({{OptionId::kMode, Value{"normal"}}}) ==
        Lines{"mode \"fast\" -> \"normal\" (at once)", "interval 30 -> 40 (at once)"});
}

TEST_CASE("What needs a restart stays, the rest is taken over") {
  const auto running = settings_with({});
  const auto wanted = settings_with({{OptionId::kKey, Value{"other"}}, {OptionId::kMtu, Value{std::int64_t{1400}}},
                                     {OptionId::kConn, Value{std::int64_t{7}}}, {OptionId::kMode, Value{"fast3"}}});
  const Settings result = applicable_settings(running, wanted);
  CHECK(result.text(OptionId::kKey) == running.text(OptionId::kKey));
  CHECK(result.number(OptionId::kConn) == 1);
  CHECK(result.number(OptionId::kMtu) == 1400);
  CHECK(result.text(OptionId::kMode) == "fast3");
  CHECK(result.number(OptionId::kInterval) == 10);
}

}  // namespace
}  // namespace kcptun::test
