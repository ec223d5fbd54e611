// The share of packets that the path loses.
#pragma once

#include <algorithm>
#include <cstdint>

namespace kcptun {

/// Fed with what became of copies that nothing protected: those in groups without parity. A moving average
/// over about kMemory copies, which begins at kFirstGuess.
class LossEstimate {
 public:
  static constexpr double kMemory = 256;
  static constexpr double kFirstGuess = 0.004;

  void handle(std::uint32_t arrived, std::uint32_t lost) {
    const double count = static_cast<double>(arrived) + lost;
    if (count == 0) return;
    share_ += std::min(1.0, count / kMemory) * (lost / count - share_);
  }
  double share() const { return share_; }

 private:
  double share_ = kFirstGuess;
};

}  // namespace kcptun
