// The limit that an overflowing queue sets to the bytes in flight.
#pragma once

#include <cstdint>

#include "core/kcp/bbr/model.h"

namespace kcptun::bbr {

/// Sessions that overflow a queue together share it, so each takes less of it until nothing is lost ([BBR]
/// BBR.inflight_longterm, called inflight_hi in BBRv2).
class InflightHi {
 public:
  /// `path_loss`: the share that the path loses by itself. `packet_size`: bytes. REQUIRES: Startup has filled
  /// the pipe.
  void handle_round(const Model& model, double path_loss, std::uint64_t packet_size);
  /// Bytes; CongestionController::kUnlimited until a queue has overflowed.
  std::uint64_t value() const { return value_; }

 private:
  std::uint64_t packets_ = 0;  // of the rounds that are judged together
  std::uint64_t lost_ = 0;
  std::uint64_t value_ = CongestionController::kUnlimited;
};

}  // namespace kcptun::bbr
