#include <nlohmann/json.hpp>
#include <vector>

#include "config/json_list.h"
#include "config/render.h"
#include "config/text.h"
#include "config/validate.h"

namespace kcptun {
namespace {

using enum OptionId;

/// The value as JSON that -c accepts. A secret is only shown to be set.
std::string value_text(const Settings& settings, const Option& option) {
  using Json = nlohmann::ordered_json;
  Json value;
  if (is_automatic(settings, option.id)) {
    value = option.word;
  } else if (option.kind == OptionKind::kNumber) {
    value = number_in_force(settings, option.id);
  } else {
    value = json_of_value(option, settings.value(option.id));
  }
  if (option.id == kKey || (is_secret(option.id) && value != "")) value = kHiddenValue;
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

bool comes_from_mode(const Settings& settings, const Option& option) {
  return option.group == OptionGroup::kManual && settings.text(kMode) != "manual";
}

/// A comment on the origin of a value that was not set; follows the comma.
std::string_view origin(const Settings& settings, const Option& option) {
  if (comes_from_mode(settings, option)) return "  // by mode";
  return settings.source(option.id) == Source::kDefault ? "  // default" : "";
}

struct FieldLine {
  std::string field;  // "name": value
  std::string_view comment;
};

/// The lines of the options for which `wanted(option)` is true.
template <typename Wanted>
std::vector<FieldLine> field_lines(const Settings& settings, Wanted wanted) {
  std::vector<FieldLine> lines;
  for (const auto& option : all_options()) {
    if (option.json.empty() || !option.applies_to(settings.role()) || !wanted(option)) continue;
    // The output names one source of a value, because -c accepts only one.
    const auto file = file_option_of(option.id);
    if (file && !settings.text(*file).empty()) continue;
    lines.push_back(
        {'"' + std::string(option.json) + "\": " + value_text(settings, option), origin(settings, option)});
  }
  return lines;
}

/// What follows the last member of an object.
enum class Behind : std::uint8_t { kNothing, kComma };
/// The members of an object, one per line.
std::string object_lines(const std::vector<FieldLine>& lines, std::string_view indent, Behind behind) {
  std::string out;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const bool comma = i + 1 < lines.size() || behind == Behind::kComma;
    out.append(indent).append(lines[i].field).append(comma ? "," : "").append(lines[i].comment).append("\n");
  }
  return out;
}

}  // namespace

std::string render_check(const Settings& settings) {
  const auto lines = field_lines(settings, [](const Option&) { return true; });
  return "{\n" + object_lines(lines, "  ", Behind::kNothing) + "}\n";
}

std::string render_check_of_several(std::span<const Settings* const> tunnels) {
  const auto of_process =
      field_lines(*tunnels.front(), [](const Option& option) { return is_process_wide(option.id); });
  std::string out = "{\n" + object_lines(of_process, "  ", Behind::kComma) + "  \"tunnels\": [\n";
  for (const Settings* settings : tunnels) {
    const auto lines =
        field_lines(*settings, [](const Option& option) { return !is_process_wide(option.id); });
    out += "    {\n" + object_lines(lines, "      ", Behind::kNothing);
    out += settings == tunnels.back() ? "    }\n" : "    },\n";
  }
  return out + "  ]\n}\n";
}

}  // namespace kcptun
