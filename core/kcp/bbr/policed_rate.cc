#include "core/kcp/bbr/policed_rate.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace kcptun::bbr {
namespace {

// Packets of an interval, which lasts a round trip at least. Lower: chance decides. Higher: the rate follows
// the policer late. [sim] policer_test, "behind a policer".
constexpr std::uint64_t kIntervalPackets = 64;
// Share of packets beyond the path's own that shows the policer. Lower: single losses do. Higher: more is
// dropped. [sim] as kIntervalPackets.
constexpr double kDropped = 0.02;
// Standard deviations of the path's own loss that an interval may have beyond it. Lower: chance lowers the
// rate. Higher: on lossy paths more is dropped. [sim] as kIntervalPackets.
constexpr double kDroppedDeviations = 1.5;
// Growth after each calm interval. It keeps the bucket empty, or the rate would stay below the policer's.
// Lower: a rate that was measured too low stays so for longer. Higher: more is dropped. [sim] as
// kIntervalPackets.
constexpr double kStep = 1.0 / 128;
// Calm intervals after which growth doubles each time, up to kMaxStep. Lower: the policer gets bursts.
// Higher: a policer that has gone limits the rate for longer. [sim] policer_test, "a policer that comes and
// goes".
constexpr std::uint32_t kCalm = 6;
// Half of what a probe of ProbeBW adds ([BBRv1] ProbeBW). Lower: a policer that has gone limits the rate for
// longer. Higher: the last step drops more. [sim] as kCalm.
constexpr double kMaxStep = 0.125;
// Factor beyond the policer's rate at which it has gone. Lower: the bucket that filled while little was sent
// passes for it. Higher: normal probing begins later. [sim] as kCalm.
constexpr double kGone = 2;
// The same before it has dropped anything: the first measurement may be too low. Higher: as kGone.
constexpr double kNeverThere = 4;
// Intervals in a row with losses: each lowers the rate to what arrived, so a policer shows in one or two.
// Lower: sessions that share a policer begin anew all the time. Higher: a path that loses more than before is
// underused for longer. [sim] as kIntervalPackets.
constexpr std::uint32_t kMisjudged = 4;

}  // namespace

void PolicedRate::begin(const AckedEvent& acked, std::uint64_t rate, double path_loss) {
  *this = PolicedRate();
  rate_ = previous_ = proven_ = rate;
  path_loss_ = path_loss;
  calm_ = kCalm;  // what was measured may be too little
  step_ = 2 * kStep;
  tally_.restart(acked);
}

bool PolicedRate::gone() const {
  return static_cast<double>(arrived_) > static_cast<double>(proven_) * (shown_ ? kGone : kNeverThere);
}

bool PolicedRate::misjudged() const { return dropping_ >= kMisjudged; }

// Half of the growth suffices, and growth of less than two packets of an interval does not show: what arrives
// is counted in packets.
bool PolicedRate::follows() const {
  const std::uint64_t growth = std::max(previous_, proven_) - proven_;
  return growth < 2 * proven_ / kIntervalPackets || arrived_ >= proven_ + growth / 2;
}

bool PolicedRate::exceeds(const Tally& tally) const {
  const auto packets = static_cast<double>(tally.packets);
  const double expected = packets * path_loss_;
  return static_cast<double>(tally.lost) >
         expected + kDroppedDeviations * std::sqrt(expected) + std::max(2.0, kDropped * packets);
}

void PolicedRate::fall_back() {
  rate_ = previous_ = proven_;
  step_ = kStep;
  calm_ = 0;
}

void PolicedRate::grow() {
  previous_ = rate_;
  rate_ += static_cast<std::uint64_t>(static_cast<double>(rate_) * step_);
  if (++calm_ >= kCalm) step_ = std::min(2 * step_, kMaxStep);
}

void PolicedRate::handle_batch(const Model& model, const Batch& batch) {
  tally_.add(batch);
  app_limited_ |= model.current().app_limited;
  if (tally_.packets < kIntervalPackets && !starting_) return;
  if (batch.acked.now - tally_.since < model.min_rtt()) return;
  if (std::exchange(starting_, false)) return tally_.restart(batch.acked);  // what was sent before
  arrived_ = tally_.rate(batch.acked);
  if (exceeds(tally_)) {
    proven_ = std::min(rate_, arrived_);
    shown_ = true;
    fall_back();
    ++dropping_;
  } else if (!app_limited_) {
    dropping_ = 0;
    if (calm_ >= kCalm && !follows()) {
      fall_back();
    } else {
      grow();
    }
  }
  app_limited_ = false;
  tally_.restart(batch.acked);
}

}  // namespace kcptun::bbr
