// Arguments to assignments, in Go's manner (kcptun's): one dash or two, "-flag value" or "-flag=value", a
// switch takes a value only after '='. CLI11 does the parsing, fed by the table of options.
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
  std::vector<std::string> words;       // "--flag" "value" "--flag" "value" ..., known flags only
  std::optional<std::string> stranger;  // the first word that is no flag, or an unknown flag; the end
  bool behind_secret = false;           // the last known flag was a secret's
};

/// Go's ways of writing flags rewritten into one.
NormalArguments normalise_arguments(const std::vector<std::string>& arguments, Role role);

/// `arguments` without the program's name. A repeated flag's last value rules, but a
/// kList's values add up. The error is a sentence.
Result<std::vector<FlagAssignment>> parse_flags(const std::vector<std::string>& arguments, Role role);

}  // namespace kcptun
