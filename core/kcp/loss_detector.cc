#include "core/kcp/loss_detector.h"

#include "core/kcp/classic_detector.h"
#include "core/kcp/rack_detector.h"

namespace kcptun {

std::unique_ptr<LossDetector> make_loss_detector(const KcpTuning& tuning) {
  if (tuning.no_congestion_control) return std::make_unique<RackDetector>();
  return std::make_unique<ClassicDetector>(tuning);
}

}  // namespace kcptun
