#include "config/unsupported.h"

namespace kcptun {

std::optional<ValidationError> find_unsupported(const Settings& settings) {
  if (settings.on(OptionId::kPprof)) return ValidationError{OptionId::kPprof, std::string(kNoPprof)};
  return std::nullopt;
}

}  // namespace kcptun
