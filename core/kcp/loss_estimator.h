// The share of packets that the path loses.
#pragma once

#include <algorithm>
#include <cstdint>

namespace kcptun {

/// A moving average of the outcomes of unprotected first transmissions, those in groups without parity. There
/// may be few of them. Of the protected ones, only losses that parity could not repair are seen: their share
/// is below the path's loss, and counts if it is the larger one, so that a growing loss is seen there too.
class LossEstimator {
 public:
  /// Transmissions that the average covers. 256 see a loss of 1 % as two or three events; fewer make it
  /// noisy, more make it slow to follow a path that changes.
  static constexpr double kMemory = 256;
  /// The share that is assumed at first: one lost in kMemory. With 0, a thin stream's first losses meet no
  /// redundancy; a larger value spends it on paths that lose nothing.
  static constexpr double kFirstGuess = 0.004;

  /// The share that is assumed beyond it, until as many transmissions have been measured: whoever runs kcptun
  /// has a path that loses packets. With kFirstGuess it makes 2 %, for which a thin stream has two copies.
  /// Higher: a path that loses nothing is sent copies for longer than 15 s of 50 messages a second.
  static constexpr double kFirstDoubt = 0.016;

  void handle_unprotected(std::uint32_t arrived, std::uint32_t lost) {
    average(unprotected_, arrived, lost);
    doubt_ *= 1 - std::min(1.0, (static_cast<double>(arrived) + lost) / kMemory);
  }
  void handle_protected(std::uint32_t arrived, std::uint32_t lost) { average(protected_, arrived, lost); }
  double share() const { return std::max(unprotected_, protected_); }
  /// The share for decisions that must not wait for a measurement.
  double assumed_share() const { return share() + doubt_; }

 private:
  static void average(double& share, std::uint32_t arrived, std::uint32_t lost) {
    const double count = static_cast<double>(arrived) + lost;
    if (count > 0) share += std::min(1.0, count / kMemory) * (lost / count - share);
  }

  double unprotected_ = kFirstGuess;
  double protected_ = 0;
  double doubt_ = kFirstDoubt;
};

}  // namespace kcptun
