// The values of all options before validation with their sources, and the wording of errors about them. Order
// of precedence, lowest first: default, KCPTUN_KEY, flags, SS_PLUGIN_OPTIONS, the JSON file, the SS_*
// addresses of a shadowsocks plugin (docs/develop/protocol.md section 9; plugin.h).
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

/// A later source overrides an earlier one. kTunnel: one of the file's tunnels.
enum class Source : std::uint8_t {
  kDefault,
  kEnvironment,
  kFlag,
  kPluginOption,
  kFile,
  kTunnel,
  kPluginAddress
};

/// bool for a kSwitch, std::int64_t for a kNumber, std::string for the rest; of a kList with commas between.
using Value = std::variant<bool, std::int64_t, std::string>;

struct Setting {
  Value value;
  Source source = Source::kDefault;
};

class Settings {
 public:
  /// Sets the defaults of `role`.
  explicit Settings(Role role);

  Role role() const { return role_; }
  void set(OptionId id, Value value, Source source);
  const Value& value(OptionId id) const { return at(id).value; }
  Source source(OptionId id) const { return at(id).source; }
  /// The location of the Source::kTunnel values: `x.json: tunnels[1] (office)`.
  const std::string& place() const { return place_; }
  void set_place(std::string place) { place_ = std::move(place); }

  /// REQUIRES: the option has that kind.
  bool on(OptionId id) const { return std::get<bool>(value(id)); }
  /// True if a number option is set to its word.
  bool has_word(OptionId id) const { return std::holds_alternative<std::string>(value(id)); }
  std::int64_t number(OptionId id) const { return std::get<std::int64_t>(value(id)); }
  const std::string& text(OptionId id) const { return std::get<std::string>(value(id)); }

 private:
  const Setting& at(OptionId id) const { return settings_[static_cast<std::size_t>(id)]; }

  Role role_;
  std::string place_;
  std::array<Setting, kOptionCount> settings_;
};

/// Converts command-line text to the option's type. Numbers are decimal or 0x hexadecimal; bools accept Go's
/// words. The error is a predicate: "must be true or false".
Result<Value> value_from_text(const Option& option, std::string_view text);

/// The fault of one option's value as a predicate: "is out of range 1..30", "must be 1 or 2".
struct ValidationError {
  OptionId option;
  std::string predicate;
  std::string entry{};  // of a kList: the one entry that it is about; "": all
};

/// A failed start: one line for standard error, and the exit code.
struct StartupError {
  std::string line;
  int exit_code;
  bool operator==(const StartupError&) const = default;
};
inline constexpr int kExitFailure = 1;
inline constexpr int kExitUsage = 2;

/// Returns "kcptun-client: message" with exit code 2.
StartupError usage_error(Role role, std::string_view message);
/// Returns "kcptun-client: message" with exit code 78.
StartupError content_error(Role role, std::string_view message);
/// Names file, field and value, or flag and value, depending on the value's source.
StartupError startup_error_of(const Settings& settings, const ValidationError& complaint);

/// Returns "--keepalive 31: out of range 1..30".
std::string flag_message(const Option& option, std::string_view value, std::string_view predicate);
/// Returns "x.json: field "keepalive": 31 is out of range 1..30". `value` is shown as it is, except that a
/// key is hidden.
std::string field_message(std::string_view file, const Option& option, std::string_view value,
                          std::string_view predicate);

/// Formats a value for a message: text in quotes, a key hidden.
std::string shown_value(const Option& option, const Value& value);

/// Makes text fit one line of a terminal: writes control bytes as \xNN, and cuts after `longest` bytes and
/// behind the scheme of a URL, which may be a pairing string.
std::string printable(std::string_view text, std::size_t longest = 100);
/// The same for text whose URLs hold no secret: they stay whole.
std::string escaped(std::string_view text, std::size_t longest);
/// Like printable(), without the limit on length, for the name of a file.
std::string printable_path(std::string_view path);

}  // namespace kcptun
