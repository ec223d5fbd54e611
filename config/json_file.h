// Parses the JSON file of -c: an object whose fields are options of options.h, or "tunnels", an array of
// objects with such fields. C++ comments are skipped. The parser is not recursive, so deep nesting cannot
// exhaust the stack. command.cc reads the file.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "config/settings.h"
#include "core/base/result.h"

namespace kcptun {

/// The most tunnels in one file. Each has its own sockets and state on every thread.
inline constexpr std::size_t kMaxTunnels = 1024;

struct FileSettings {
  struct Assignment {
    OptionId option;
    Value value;
  };
  using Assignments = std::vector<Assignment>;
  struct Tunnel {
    std::string name;
    std::string place;  // for messages, such as `x.json: tunnels[1] (office)`
    Assignments assignments;
  };
  Assignments assignments;      // in file order; the last value of a repeated field applies, as in kcptun
  std::vector<Tunnel> tunnels;  // 1..kMaxTunnels with unique names; empty without "tunnels"
  std::vector<std::string> warnings;  // about unknown, repeated and the other program's fields
  bool paired = false;                // the text was decoded from a pairing string
};

/// `file` is the name in messages. A syntax error names file, line and column; other errors name file, field,
/// value and the accepted values, and inside "tunnels" also the tunnel's number and name.
Result<FileSettings> parse_json_settings(std::string_view text, std::string_view file, Role role);

}  // namespace kcptun
