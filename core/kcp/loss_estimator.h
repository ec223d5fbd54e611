// The share of packets that the path loses.
#pragma once

#include <algorithm>
#include <cstdint>

namespace kcptun {

/// Fed with what became of copies that nothing protected, those in groups without parity: a moving average over about
/// kMemory copies, which begins at kFirstGuess. There may be few of them; the share that parity could not bring back
/// of the others is less than the path's loss, so that a loss that grows shows there, too.
class LossEstimator {
 public:
  static constexpr double kMemory = 256;
  static constexpr double kFirstGuess = 0.004;

  void handle_unprotected(std::uint32_t arrived, std::uint32_t lost) { average(unprotected_, arrived, lost); }
  void handle_protected(std::uint32_t arrived, std::uint32_t lost) { average(protected_, arrived, lost); }
  double share() const { return std::max(unprotected_, protected_); }

 private:
  static void average(double& share, std::uint32_t arrived, std::uint32_t lost) {
    const double count = static_cast<double>(arrived) + lost;
    if (count > 0) share += std::min(1.0, count / kMemory) * (lost / count - share);
  }

  double unprotected_ = kFirstGuess;
  double protected_ = 0;
};

}  // namespace kcptun
