// Reads the members of a profile's JSON object. json_file.h interprets them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/result.h"

namespace kcptun {

enum class JsonKind : std::uint8_t { kNull, kBool, kWhole, kHuge, kFraction, kString, kArray, kObject };

/// The kind in error messages: "a string", "an object".
std::string_view kind_name(JsonKind kind);

/// One element of a field's array. Objects inside an object are omitted.
struct JsonItem {
  struct Element {
    JsonKind kind = JsonKind::kNull;
    std::string text{};  // a string's value
  };
  struct Member {
    std::string name;
    JsonKind kind = JsonKind::kNull;
    std::string text{};               // a string's value, or the text of a number
    std::vector<Element> elements{};  // an array's; at most kMaxElements
  };
  static constexpr std::size_t kMaxElements = 1024;
  JsonKind kind = JsonKind::kNull;
  std::string text{};             // a string's value
  std::vector<Member> members{};  // an object's; at most kMaxMembers
  static constexpr std::size_t kMaxMembers = 16;
};

/// One member of the top-level object or of a tunnel. The members of a nested object are omitted.
struct JsonField {
  std::string name{};
  JsonKind kind = JsonKind::kNull;
  bool on = false;
  std::int64_t whole = 0;
  std::string text{};                             // a string's value, or the text of a number
  std::vector<JsonItem> items{};                  // an array's; at most kMaxItems
  static constexpr std::size_t kMaxItems = 8192;  // exceeds the limit of every list
};

/// One element of "tunnels".
struct JsonTunnel {
  JsonKind kind = JsonKind::kNull;
  std::vector<JsonField> fields{};  // empty unless it is an object
};

struct JsonText {
  JsonKind top = JsonKind::kNull;
  std::vector<JsonField> fields{};
  std::vector<JsonTunnel> tunnels{};  // elements of "tunnels", at most kMaxTunnels + 1
};

inline constexpr std::string_view kTunnelsField = "tunnels";

/// Skips C++ comments. The parser is not recursive. The error begins with line and column.
Result<JsonText> read_json_text(std::string_view text);
/// Reads the text of a whole file, which must be an object. `expected` names it in errors: "an object". The
/// error is a predicate of the file.
Result<JsonText> read_json_object(std::string text, std::string_view expected);

}  // namespace kcptun
