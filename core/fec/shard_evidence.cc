#include "core/fec/shard_evidence.h"

#include <algorithm>
#include <array>

#include "core/base/serial.h"

namespace kcptun {
namespace {

// Positions of sequence numbers in groups of one size.
struct GroupDivisor {
  std::uint64_t reciprocal = 0;  // 2^64 / period, rounded up
  std::uint32_t numbers = 0;  // sequence numbers are below it, because the last, incomplete group is left out

  // The remainder of a division by invariant multiplication, exact for any 32-bit number (Lemire, Kaser,
  // Kurz, "Faster remainder by direct computation", 2019): an observation computes one for each candidate.
  constexpr std::uint32_t position(std::uint32_t seqid, std::uint32_t period) const {
    const std::uint64_t fraction = reciprocal * seqid;
    // The upper 64 bits of fraction * period, from two products that fit: CPUs of 32 bits have no wider type.
    const std::uint64_t low = (fraction & 0xffffffffu) * period;
    return static_cast<std::uint32_t>(((fraction >> 32) * period + (low >> 32)) >> 32);
  }
};

constexpr std::array<GroupDivisor, kMaxShards + 1> kDivisors = [] {
  std::array<GroupDivisor, kMaxShards + 1> divisors{};
  for (std::uint32_t period = 2; period <= kMaxShards; ++period)
    divisors[period] = {~std::uint64_t{0} / period + 1, 0xffffffffu / period * period};
  return divisors;
}();

static_assert([] {
  for (std::uint32_t period = 2; period <= kMaxShards; ++period)
    for (std::uint32_t seqid :
         {0u, 1u, period - 1, period, 0x7fffffffu, 0xfffffffeu - period, 0xfffffffeu, 0xffffffffu})
      if (kDivisors[period].position(seqid, period) != seqid % period) return false;
  return true;
}());

}  // namespace

ShardEvidence::ShardEvidence() {
  candidates_.reserve(kMaxShards - 1);
  for (std::uint32_t period = 2; period <= kMaxShards; ++period) {
    candidates_.push_back({static_cast<std::uint16_t>(period), 1, static_cast<std::uint8_t>(period - 1)});
  }
}

void ShardEvidence::observe(std::uint32_t seqid, bool is_data) {
  // Only numbers beyond the newest count, so that duplicates are no evidence.
  if (samples_ == 0 || serial_less(newest_, seqid)) {
    ++samples_;
    newest_ = seqid;
  }
  std::erase_if(candidates_, [=](Candidate& candidate) {
    const std::uint32_t period = candidate.period;
    const GroupDivisor& divisor = kDivisors[period];
    if (seqid >= divisor.numbers) return true;
    const std::uint32_t position = divisor.position(seqid, period);
    if (is_data) {
      if (position + 1 > candidate.max_data) return true;
      candidate.min_data = std::max(candidate.min_data, static_cast<std::uint8_t>(position + 1));
    } else {
      if (position < candidate.min_data) return true;
      candidate.max_data = std::min(candidate.max_data, static_cast<std::uint8_t>(position));
    }
    return false;
  });
}

bool ShardEvidence::allows(FecSettings settings) const {
  return std::any_of(candidates_.begin(), candidates_.end(), [&](const Candidate& candidate) {
    return candidate.period == settings.data_shards + settings.parity_shards &&
           candidate.min_data <= settings.data_shards && settings.data_shards <= candidate.max_data;
  });
}

bool ShardEvidence::agrees(std::uint32_t seqid, std::uint32_t data_shards, std::uint32_t length) const {
  return std::all_of(candidates_.begin(), candidates_.end(), [&](const Candidate& candidate) {
    return candidate.min_data == data_shards && candidate.max_data == data_shards &&
           seqid % candidate.period == 0 && length <= candidate.period;
  });
}

std::optional<FecSettings> ShardEvidence::settled() const {
  return candidates_.size() == 1 ? likely() : std::nullopt;
}

std::optional<FecSettings> ShardEvidence::likely() const {
  if (candidates_.empty()) return std::nullopt;
  const Candidate& largest = candidates_.back();
  for (const Candidate& candidate : candidates_) {
    if (candidate.min_data != largest.min_data || candidate.max_data != largest.min_data) return std::nullopt;
    if (largest.period % candidate.period != 0) return std::nullopt;
  }
  return FecSettings{largest.min_data, largest.period - std::uint32_t{largest.min_data}};
}

}  // namespace kcptun
