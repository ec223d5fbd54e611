// The rate of a sender behind a policer.
#pragma once

#include <cstdint>

#include "core/kcp/bbr/model.h"
#include "core/kcp/bbr/tally.h"

namespace kcptun::bbr {

/// While a policer drops, it delivers exactly its rate. So the rate is what arrived when more was lost than
/// the path loses by itself. It grows a little while nothing more is lost, and faster and faster once that
/// has lasted: the policer may have gone.
class PolicedRate {
 public:
  /// `rate`: bytes per second that the policer delivered. `path_loss`: the share that was lost below that
  /// rate.
  void begin(const AckedEvent& acked, std::uint64_t rate, double path_loss);
  void handle_batch(const Model& model, const Batch& batch);

  /// Bytes per second that may arrive.
  std::uint64_t value() const { return rate_; }
  /// True if the rate has grown so far without losses that there is no policer.
  bool gone() const;
  /// True if losses remain although the rate fell: they do not come from a policer, or somebody shares it.
  bool misjudged() const;

 private:
  bool exceeds(const Tally& tally) const;
  bool follows() const;
  void fall_back();
  void grow();

  std::uint64_t rate_ = 0;
  std::uint64_t previous_ = 0;  // before it grew last
  std::uint64_t arrived_ = 0;   // bytes per second, in the last interval
  std::uint64_t proven_ = 0;    // the last rate that a policer has shown
  bool shown_ = false;          // it has dropped something
  double path_loss_ = 0;
  std::uint32_t calm_ = 0;      // intervals in a row without losses beyond the path's
  std::uint32_t dropping_ = 0;  // intervals in a row with such losses
  double step_ = 0;             // growth of the rate after the next calm interval
  bool app_limited_ = false;    // in the interval so far
  bool starting_ = true;        // what was sent before begin() arrives
  Tally tally_;
};

}  // namespace kcptun::bbr
