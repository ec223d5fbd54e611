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

/// One element of a field's array. Nested arrays and objects inside an object are omitted.
struct JsonItem {
  struct Member {
    std::string name;
    JsonKind kind = JsonKind::kNull;
    std::string text{};  // a string's value
  };
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
  static constexpr std::size_t kMaxItems = 1024;  // exceeds the limit of every list
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

}  // namespace kcptun
