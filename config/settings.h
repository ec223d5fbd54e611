// The values of all options before validation, each with where it came from, and how a complaint about one is
// worded. Order of rule: default, then KCPTUN_KEY, then flags, then SS_PLUGIN_OPTIONS, then the JSON file,
// then the SS_* addresses of a shadowsocks plugin (docs/develop/protocol.md section 9; plugin.h).
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "config/options.h"
#include "core/base/result.h"

namespace kcptun {

/// A later source overrides an earlier one. kTunnel: of the file, inside one of its tunnels.
enum class Source : std::uint8_t {
  kDefault,
  kEnvironment,
  kFlag,
  kPluginOption,
  kFile,
  kTunnel,
  kPluginAddress
};

/// bool for a kSwitch, std::int64_t for a kNumber, std::string for the rest.
using Value = std::variant<bool, std::int64_t, std::string>;

struct Setting {
  Value value;
  Source source = Source::kDefault;
};

class Settings {
 public:
  /// The defaults of that role.
  explicit Settings(Role role);

  Role role() const { return role_; }
  void set(OptionId id, Value value, Source source);
  const Value& value(OptionId id) const { return at(id).value; }
  Source source(OptionId id) const { return at(id).source; }
  /// Where the values of Source::kTunnel stand: `x.json: tunnels[1] (office)`.
  const std::string& place() const { return place_; }
  void set_place(std::string place) { place_ = std::move(place); }

  /// REQUIRES: the option is of that kind.
  bool on(OptionId id) const { return std::get<bool>(value(id)); }
  /// True if a number option has its word.
  bool has_word(OptionId id) const { return std::holds_alternative<std::string>(value(id)); }
  std::int64_t number(OptionId id) const { return std::get<std::int64_t>(value(id)); }
  const std::string& text(OptionId id) const { return std::get<std::string>(value(id)); }

 private:
  const Setting& at(OptionId id) const { return settings_[static_cast<std::size_t>(id)]; }

  Role role_;
  std::string place_;
  std::array<Setting, kOptionCount> settings_;
};

/// Command-line text to the option's type. Whole numbers in decimal or 0x hexadecimal; Go's words for a bool.
/// The error is a predicate: "must be true or false".
Result<Value> value_from_text(const Option& option, std::string_view text);

/// What is wrong with the value of one option, as a predicate: "is out of range 1..30", "must be 1 or 2".
struct ValidationError {
  OptionId option;
  std::string predicate;
};

/// A start that was refused: one line for standard error, and the exit code.
struct StartupError {
  std::string line;
  int exit_code;
  bool operator==(const StartupError&) const = default;
};
inline constexpr int kExitFailure = 1;
inline constexpr int kExitUsage = 2;

/// "kcptun-client: message", exit code 2.
StartupError usage_error(Role role, std::string_view message);
/// "kcptun-client: message", exit code 78.
StartupError content_error(Role role, std::string_view message);
/// Names file, field and value, or flag and value, by where the option's value came from.
StartupError startup_error_of(const Settings& settings, const ValidationError& complaint);

/// "--keepalive 31: out of range 1..30".
std::string flag_message(const Option& option, std::string_view value, std::string_view predicate);
/// "x.json: field "keepalive": 31 is out of range 1..30". `value` as it shall appear; a key's is hidden.
std::string field_message(std::string_view file, const Option& option, std::string_view value,
                          std::string_view predicate);

/// A value as a message shows it: text in quotes, the key hidden.
std::string shown_value(const Option& option, const Value& value);

/// Fit for one line of a terminal: control bytes as \xNN, cut after `longest` bytes, and behind the scheme of
/// a URL, as a pairing string is one.
std::string printable(std::string_view text, std::size_t longest = 100);
/// The same for a file's name, which is not cut for its length.
std::string printable_path(std::string_view path);

}  // namespace kcptun
