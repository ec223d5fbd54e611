#include "core/fec/fec_encoder.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "core/base/check.h"
#include "core/base/packet.h"

namespace kcptun {

namespace {

// Bytes of heap that an idle session may keep.
constexpr std::size_t kIdleBytes = 512;

void stamp(std::uint8_t* body, std::uint32_t seqid, FecType type) {
  store_u32(body, seqid);
  store_u16(body + 4, static_cast<std::uint16_t>(type));
}

}  // namespace

FecEncoder::FecEncoder(const ErasureCode& code, std::uint32_t first_seqid)
    : code_(code), planned_(code.parity_shards()), next_(first_seqid) {
  KCPTUN_CHECK(first_seqid < code.wrap() && first_seqid % code.shards() == 0);
}

void FecEncoder::plan_parity(std::uint32_t count) {
  KCPTUN_CHECK(begins_group() && count <= code_.parity_shards());
  planned_ = count;
}

bool FecEncoder::add(TimePoint now, MutableBytes body) {
  KCPTUN_CHECK(count_ < code_.data_shards() && body.size() >= kFecHeader && body.size() <= kMaxDatagram);
  const MutableBytes shard = body.subspan(kFecShardOffset);
  stamp(body.data(), next_, FecType::kData);
  store_u16(shard.data(), static_cast<std::uint16_t>(shard.size()));
  skip_ = !last_ || now - *last_ >= kParityGap;
  if (skip_ && count_ == 0 && partial_.capacity() > kIdleBytes) std::vector<std::uint8_t>().swap(partial_);
  last_ = now;
  ++next_;
  longest_ = std::max(longest_, shard.size());
  if (planned_ > 0) views_.push_back(shard);
  return ++count_ == code_.data_shards();
}

std::size_t FecEncoder::finish_group(std::span<std::uint8_t* const> outs) {
  KCPTUN_CHECK(count_ == code_.data_shards() && outs.size() <= planned_);
  if (skip_) outs = {};
  std::array<std::uint8_t*, kMaxShards> shards;
  for (std::size_t i = 0; i < outs.size(); ++i) {
    stamp(outs[i], next_ + static_cast<std::uint32_t>(i), FecType::kParity);
    shards[i] = outs[i] + kFecShardOffset;
    if (partial_width_ == 0) continue;
    std::memcpy(shards[i], partial_.data() + i * partial_width_, partial_width_);
    std::memset(shards[i] + partial_width_, 0, longest_ - partial_width_);
  }
  if (!outs.empty())
    code_.encode({count_ - views_.size(), views_},
                 {std::span(shards.data(), outs.size()), longest_, parity_store()});
  next_ = (next_ + code_.parity_shards()) % code_.wrap();
  count_ = 0;
  longest_ = 0;
  partial_width_ = 0;
  views_.clear();
  return outs.size();
}

void FecEncoder::end_batch() {
  if (views_.empty()) return;
  KCPTUN_CHECK(count_ < code_.data_shards());
  const ErasureCode::Store store = parity_store();
  widen_partial();
  std::array<std::uint8_t*, kMaxShards> rows;
  for (std::size_t i = 0; i < planned_; ++i) rows[i] = partial_.data() + i * partial_width_;
  code_.encode({count_ - views_.size(), views_}, {std::span(rows.data(), planned_), partial_width_, store});
  views_.clear();
}

// Makes room for longest_ bytes per row. The new bytes are zeros, because the shards so far are shorter.
void FecEncoder::widen_partial() {
  if (longest_ <= partial_width_) return;
  const std::size_t old = partial_width_;
  partial_width_ = longest_;
  if (partial_.size() < partial_width_ * planned_) partial_.resize(partial_width_ * planned_);
  if (old == 0) return;
  for (std::size_t i = planned_; i-- > 0;) {
    std::uint8_t* row = partial_.data() + i * partial_width_;
    std::memmove(row, partial_.data() + i * old, old);
    std::memset(row + old, 0, partial_width_ - old);
  }
}

}  // namespace kcptun
