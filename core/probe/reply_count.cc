#include "core/probe/reply_count.h"

#include <algorithm>

#include "core/fec/fec_header.h"
#include "core/fec/shard_evidence.h"

namespace kcptun {
namespace {

// Parity may by chance be lost slightly more often than data. A sender that omits parity omits far more.
constexpr double kMaxExcess = 0.2;

}  // namespace

void ReplyCount::handle(Bytes body) {
  const FecType type = fec_type(body);
  if (type != FecType::kData && type != FecType::kParity) return;
  const std::uint32_t seqid = load_u32(body.data());
  if (seqid >= kMaxPackets) return;
  if (seqid >= seen_.size()) seen_.resize(seqid + 1, Seen::kNothing);
  seen_[seqid] = type == FecType::kData ? Seen::kData : Seen::kParity;
}

std::optional<FecSettings> ReplyCount::shards() const {
  ShardEvidence evidence;
  for (std::size_t i = 0; i < seen_.size(); ++i) {
    if (seen_[i] != Seen::kNothing) evidence.observe(static_cast<std::uint32_t>(i), seen_[i] == Seen::kData);
  }
  const auto settled = evidence.settled();
  return settled ? settled : evidence.likely();
}

std::optional<LossCount> ReplyCount::loss() const {
  const auto counts = shards();
  if (!counts) return std::nullopt;
  LossCount data, parity;
  const std::uint32_t group = counts->data_shards + counts->parity_shards;
  for (std::size_t i = 0; i < seen_.size(); ++i) {
    LossCount& count = i % group < counts->data_shards ? data : parity;
    ++(seen_[i] == Seen::kNothing ? count.lost : count.arrived);
  }
  if (parity.total() == 0 || parity.share() > data.share() + kMaxExcess) return data;
  return data += parity;
}

}  // namespace kcptun
