#include "config/reload.h"

#include "config/validate.h"
#include "tests/config/support.h"

namespace kcptun::test::reload_test {
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

TEST_CASE("A change says what was, what is, and when it counts, and hides the key") {
  const auto lines = [](const std::vector<std::pair<OptionId, Value>>& values) {
    std::vector<std::string> texts;
    for (const Change& change : changes_between(settings_with({}), settings_with(values)))
      texts.push_back(std::string(option_of(change.option).json) + ' ' + change.before + " -> " +
                      change.after + " (" + std::string(effect_of(change.reload)) + ')');
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
  const auto wanted = settings_with({{OptionId::kKey, Value{"other"}},
                                     {OptionId::kMtu, Value{std::int64_t{1400}}},
                                     {OptionId::kConn, Value{std::int64_t{7}}},
                                     {OptionId::kMode, Value{"fast3"}}});
  const Settings result = applicable_settings(running, wanted);
  CHECK(result.text(OptionId::kKey) == running.text(OptionId::kKey));
  CHECK(result.number(OptionId::kConn) == 1);
  CHECK(result.number(OptionId::kMtu) == 1400);
  CHECK(result.text(OptionId::kMode) == "fast3");
  CHECK(result.number(OptionId::kInterval) == 10);
}

// --- tunnels of one process ---

RunTunnels read(const std::string& json, Role role = Role::kServer) { return started(run_json(json, role)); }

ReloadPlan planned(const std::string& before, const std::string& after) {
  auto plan = plan_reload(read(before), read(after));
  if (const auto* refusal = std::get_if<StartupError>(&plan)) FAIL(refusal->line);
  return std::move(std::get<ReloadPlan>(plan));
}

TEST_CASE("A tunnel that is alone is kept, and takes over all but what needs a restart") {
  const auto plan =
      planned(R"({"target": "a:1", "key": "k"})", R"({"target": "b:2", "key": "other", "mtu": 1400})");
  CHECK(plan.added.empty());
  CHECK(plan.removed.empty());
  REQUIRE(plan.kept.size() == 1);
  CHECK(plan.kept[0].changes.size() == 3);
  const Profile& next = plan.kept[0].next.profile;
  CHECK(std::get<HostPort>(next.remote) == HostPort{"b", 2, 2});
  CHECK(next.link.kcp.mtu == 1400);
  CHECK(next.key == "k");
}

TEST_CASE("Several tunnels are known by their names: kept, added and removed") {
  const auto plan = planned(
      R"({"key": "k", "tunnels": [{"name": "a", "listen": ":1"}, {"name": "b", "listen": ":2"}]})",
      R"({"key": "k", "quiet": true, "tunnels": [{"name": "c", "listen": ":3"}, {"name": "b", "listen": ":2"}]})");
  REQUIRE(plan.kept.size() == 1);
  CHECK(plan.kept[0].running == 1);
  REQUIRE(plan.kept[0].changes.size() == 1);
  CHECK(plan.kept[0].changes[0].option == OptionId::kQuiet);
  REQUIRE(plan.added.size() == 1);
  CHECK(plan.added[0].profile.name == "c");
  CHECK(plan.removed == std::vector<std::size_t>{0});
  CHECK(plan.several);
}

TEST_CASE("A tunnel whose port another one is to have begins anew elsewhere; else its port needs a restart") {
  const auto tunnels = [](const std::string& a, const std::string& b) {
    return R"({"key": "k", "tunnels": [{"name": "a", "listen": ")" + a + R"("}, {"name": "b", "listen": ")" +
           b + R"("}]})";
  };
  const auto swapped = planned(tunnels(":1", ":2-5"), tunnels(":4", ":1"));
  CHECK(swapped.kept.empty());
  CHECK(swapped.removed == std::vector<std::size_t>{0, 1});
  REQUIRE(swapped.added.size() == 2);
  CHECK(swapped.added[0].profile.key == "k");
  const auto moved = planned(tunnels(":1", ":2"), tunnels(":1", ":3"));
  CHECK(moved.kept.size() == 2);
  CHECK(moved.added.empty());
  const auto followed = planned(tunnels(":1", ":2"), tunnels(":3", ":1"));
  CHECK(followed.removed == std::vector<std::size_t>{0, 1});
  CHECK(followed.added.size() == 2);
}

TEST_CASE("What is of the process is told once, not for each tunnel") {
  const auto file = [](const std::string& more) {
    return R"({"key": "k", )" + more + R"("tunnels": [{"name": "a", "listen": ":1"}, {"name": "b"}]})";
  };
  const auto plan = planned(file(""), file(R"("log-level": "error", "threads": 3, )"));
  REQUIRE(plan.process_changes.size() == 2);
  CHECK(plan.process_changes[0].option == OptionId::kLogLevel);
  CHECK(plan.process_changes[1].reload == OptionReload::kRestart);
  REQUIRE(plan.kept.size() == 2);
  CHECK(plan.kept[0].changes.empty());
  CHECK(plan.kept[1].next.profile.log.level == LogLevel::kError);
  CHECK(plan.kept[1].next.profile.threads == 0);
}

TEST_CASE("One tunnel becomes several, and the one of its name is kept") {
  const auto plan = planned(R"({"key": "k", "name": "a"})",
                            R"({"key": "k", "tunnels": [{"name": "b", "listen": ":1"}, {"name": "a"}]})");
  REQUIRE(plan.kept.size() == 1);
  CHECK(plan.kept[0].next.profile.name == "a");
  CHECK(plan.added.size() == 1);
  CHECK(plan.removed.empty());
}

}  // namespace
}  // namespace kcptun::test::reload_test
