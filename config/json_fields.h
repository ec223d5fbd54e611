// The members of a profile's JSON object, without their meaning (json_file.h has it).
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

/// "a string", "an object".
std::string_view kind_name(JsonKind kind);

/// One element of a field's array. Objects come with their members that are no arrays and no objects inside.
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

/// One member of the top-level object, or of a tunnel. Objects come without what is in them.
struct JsonField {
  std::string name{};
  JsonKind kind = JsonKind::kNull;
  bool on = false;
  std::int64_t whole = 0;
  std::string text{};                             // a string's value, or a number as it would be shown
  std::vector<JsonItem> items{};                  // an array's; at most kMaxItems
  static constexpr std::size_t kMaxItems = 1024;  // more than any list takes, so that one too many is seen
};

/// One element of "tunnels".
struct JsonTunnel {
  JsonKind kind = JsonKind::kNull;
  std::vector<JsonField> fields{};  // of an object
};

struct JsonText {
  JsonKind top = JsonKind::kNull;
  std::vector<JsonField> fields{};
  std::vector<JsonTunnel> tunnels{};  // of "tunnels"; one more than kMaxTunnels at most
};

inline constexpr std::string_view kTunnelsField = "tunnels";

/// Comments of C++ are passed over. Nesting costs no stack. The error begins with line and column.
Result<JsonText> read_json_text(std::string_view text);

}  // namespace kcptun
