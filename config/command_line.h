// Parses flags with the syntax of Go's flag package, as kcptun does: one dash or two, "-flag value" or
// "-flag=value"; a switch takes a value only after '='. CLI11 parses the normalised arguments; its options
// come from the table in options.h.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "config/settings.h"
#include "core/base/result.h"

namespace kcptun {

struct FlagAssignment {
  OptionId option;
  Value value;
};

struct NormalArguments {
  std::vector<std::string> words;         // "--flag" "value" "--flag" "value" ..., known flags only
  std::optional<std::string> unexpected;  // an unknown flag or a positional argument, which ended the parsing
  bool last_flag_is_secret = false;       // the last known flag takes a secret
};

/// Rewrites all of Go's forms of a flag as "--flag" "value".
NormalArguments normalise_arguments(const std::vector<std::string>& arguments, Role role);

/// `arguments` excludes the program name. The last value of a repeated flag applies; the values of a kList
/// are joined. The error is a sentence.
Result<std::vector<FlagAssignment>> parse_flags(const std::vector<std::string>& arguments, Role role);

}  // namespace kcptun
