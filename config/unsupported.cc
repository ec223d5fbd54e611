#include "config/unsupported.h"

namespace kcptun {

std::optional<Complaint> find_unsupported(const Settings& settings) {
  if (settings.on(OptionId::kPprof)) return Complaint{OptionId::kPprof, std::string(kNoPprof)};
  return std::nullopt;
}

}  // namespace kcptun
