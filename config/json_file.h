// The JSON file of -c: a flat object whose fields are the options of options.h. Text in, assignments out;
// reading the file is the caller's (command.cc). Comments of C++ are passed over. Nesting costs no stack, so hostile depth is harmless.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "config/settings.h"
#include "core/base/result.h"

namespace kcptun {

struct FileSettings {
  struct Assignment {
    OptionId option;
    Value value;
  };
  std::vector<Assignment>
      assignments;                    // in the file's order: the last of a repeated field rules, as in kcptun
  std::vector<std::string> warnings;  // unknown fields, the other program's fields, repeated fields
};

/// `file` is the name for messages. The error names file, line and column, or file, field, value and what was
/// expected.
Result<FileSettings> parse_json_settings(std::string_view text, std::string_view file, Role role);

}  // namespace kcptun
