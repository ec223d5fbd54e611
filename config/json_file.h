// The JSON file of -c: an object whose fields are the options of options.h, and may be "tunnels", an array of
// objects with such fields. Text in, assignments out; reading the file is the caller's (command.cc). Comments
// of C++ are passed over. Nesting costs no stack, so hostile depth is harmless.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "config/settings.h"
#include "core/base/result.h"

namespace kcptun {

/// Tunnels of one file.
inline constexpr std::size_t kMaxTunnels = 1024;

struct FileSettings {
  struct Assignment {
    OptionId option;
    Value value;
  };
  using Assignments = std::vector<Assignment>;
  struct Tunnel {
    std::string name;
    std::string place;  // `x.json: tunnels[1] (office)`, for messages
    Assignments assignments;
  };
  Assignments assignments;      // in the file's order: the last of a repeated field rules, as in kcptun
  std::vector<Tunnel> tunnels;  // of "tunnels": 1..kMaxTunnels of different names; none without that field
  std::vector<std::string> warnings;  // unknown fields, the other program's fields, repeated fields
  bool paired = false;                // the text came out of a pairing string
};

/// `file` is the name for messages. The error names file, line and column, or file, field, value and what was
/// expected; inside a tunnel its number and name, too.
Result<FileSettings> parse_json_settings(std::string_view text, std::string_view file, Role role);

}  // namespace kcptun
