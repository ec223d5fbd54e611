#include "core/fec/fec_decoder.h"

#include <algorithm>

#include "core/base/check.h"
#include "core/base/packet.h"

namespace kcptun {

namespace {

constexpr std::size_t kSizeField = 2;
constexpr std::size_t kKcpHeader = 24;

// The KCP packet in a recovered shard, or nothing: the size field must fit, and zeros must follow the packet.
Bytes packet_of(Bytes shard) {
  const std::size_t size = load_u16(shard.data());
  if (size < kSizeField + kKcpHeader || size > shard.size()) return {};
  const Bytes padding = shard.subspan(size);
  if (std::any_of(padding.begin(), padding.end(), [](std::uint8_t b) { return b != 0; })) return {};
  return shard.subspan(kSizeField, size - kSizeField);
}

}  // namespace

FecDecoder::FecDecoder(FecSettings own, ErasureCodeCache& codes)
    : codes_(codes), evidence_(std::make_unique<ShardEvidence>()) {
  if (own.enabled()) code_ = codes_.use(own);
}

std::optional<FecSettings> FecDecoder::shard_set() const {
  if (!code_) return std::nullopt;
  return FecSettings{code_->data_shards(), code_->parity_shards()};
}

std::size_t FecDecoder::held_bytes() const {
  std::size_t sum = recovered_.capacity() * sizeof(Bytes);
  for (const Group& group : groups_) {
    sum += group.shards.capacity() * sizeof(Shard) + group.kept.capacity() + group.output.capacity();
  }
  return sum + (evidence_ ? sizeof(ShardEvidence) + 4 * kMaxShards : 0);
}

void FecDecoder::handle(Bytes body) {
  recovered_.clear();
  const FecType type = fec_type(body);
  if ((type != FecType::kData && type != FecType::kParity) || body.size() > kMaxDatagram) {
    ++counters_.errors;
    return;
  }
  const std::uint32_t seqid = load_u32(body.data());
  const bool is_data = type == FecType::kData;
  ++(is_data ? counters_.data_received : counters_.parity_received);
  if (!evidence_ && seqid >= code_->wrap()) {
    ++counters_.errors;
    return;
  }
  bool now_known = false;
  if (evidence_ || !fits(seqid, is_data)) now_known = learn(seqid, is_data);
  if (!code_) return;
  insert(seqid, body);
  if (!now_known) return;
  for (Group& group : groups_) try_recover(group);  // that waited for the counts
}

bool FecDecoder::fits(std::uint32_t seqid, bool is_data) const {
  return (seqid % code_->shards() < code_->data_shards()) == is_data;
}

// True if this packet has settled the assumed counts.
bool FecDecoder::learn(std::uint32_t seqid, bool is_data) {
  if (!evidence_) {
    drop_counts();
    evidence_ = std::make_unique<ShardEvidence>();
  }
  evidence_->observe(seqid, is_data);
  if (evidence_->contradictory()) {
    drop_counts();
    *evidence_ = ShardEvidence();
    evidence_->observe(seqid, is_data);
  }
  if (code_ && !evidence_->allows(*shard_set())) drop_counts();
  // Two groups' worth: if a foreign packet has ruled out the true counts, the others must first rule out the
  // rest.
  const std::optional<FecSettings> likely = code_ ? std::nullopt : evidence_->likely();
  if (likely && evidence_->samples() >= 2 * (likely->data_shards + likely->parity_shards)) adopt(*likely);
  if (!code_ || !evidence_->settled()) return false;
  evidence_.reset();
  return true;
}

// The counts were contradicted: recovers nothing until others are known.
void FecDecoder::drop_counts() {
  if (code_) ++counters_.relearned;
  for (Group& group : groups_) close(group);
  newest_.reset();
  code_.reset();
}

// Groups up to the newest count as done, so that no group is used that has packets from before the counts
// were known.
void FecDecoder::adopt(FecSettings settings) {
  code_ = codes_.use(settings);
  const std::uint32_t count = code_->wrap() / code_->shards();
  newest_ = evidence_->newest() / code_->shards();
  stale_ = 0;
  for (std::uint32_t i = 0; i < kLiveGroups; ++i) {
    open(groups_[i], (*newest_ + count - i) % count);
    groups_[i].state = GroupState::kDone;
  }
}

void FecDecoder::insert(std::uint32_t seqid, Bytes body) {
  const std::uint32_t position = seqid % code_->shards();
  Group* group = find_group(seqid / code_->shards());
  if (!group || group->state == GroupState::kDone || group->shards[position].size > 0) return;
  const Bytes shard = body.subspan(kFecShardOffset);
  group->shards[position] = {shard.data(), 0, static_cast<std::uint16_t>(shard.size())};
  group->has_views = true;
  ++(position < code_->data_shards() ? group->data : group->parity);
  try_recover(*group);
}

// How many groups `id` is behind the newest, modulo the wrap.
std::uint32_t FecDecoder::age(std::uint32_t id) const {
  return *newest_ >= id ? *newest_ - id : *newest_ + code_->wrap() / code_->shards() - id;
}

FecDecoder::Group* FecDecoder::find_group(std::uint32_t id) {
  if (!advance_to(id)) return nullptr;
  Group* unused = nullptr;
  for (Group& group : groups_) {
    if (group.state == GroupState::kFree) {
      unused = &group;
    } else if (group.id == id) {
      return &group;
    }
  }
  KCPTUN_CHECK(unused);  // as the others have different ages below kLiveGroups, and none has `id`
  open(*unused, id);
  return unused;
}

// Moves newest_ to `id` if that is ahead; false if `id` is too old. Many old packets in a row mean that the
// sender has restarted its numbers.
bool FecDecoder::advance_to(std::uint32_t id) {
  const bool ahead = newest_ && age(id) > code_->wrap() / code_->shards() / 2;
  const bool stale = newest_ && !ahead && age(id) >= kLiveGroups;
  stale_ = stale ? stale_ + 1 : 0;
  if (stale && stale_ <= 2 * code_->shards()) return false;
  if (!newest_ || ahead || stale) newest_ = id;
  for (Group& group : groups_) {
    if (group.state != GroupState::kFree && age(group.id) >= kLiveGroups) close(group);
  }
  return true;
}

void FecDecoder::open(Group& group, std::uint32_t id) {
  close(group);
  group.id = id;
  group.state = GroupState::kOpen;
  group.shards.assign(code_->shards(), Shard{});
}

void FecDecoder::close(Group& group) {
  if (group.state == GroupState::kOpen && group.received() < code_->data_shards()) ++counters_.short_groups;
  complete(group);
  group.state = GroupState::kFree;
  group.data = group.parity = 0;
}

std::size_t FecDecoder::open_groups() const {
  return static_cast<std::size_t>(
      std::ranges::count_if(groups_, [](const Group& group) { return group.state == GroupState::kOpen; }));
}

std::size_t FecDecoder::parity_waiting() const {
  std::size_t waiting = 0;
  for (const Group& group : groups_)
    if (group.state == GroupState::kOpen) waiting += group.parity;
  return waiting;
}

std::optional<std::uint32_t> FecDecoder::newest_done() const {
  const Group* newest = nullptr;
  for (const Group& group : groups_)
    if (group.state == GroupState::kDone && (!newest || age(group.id) < age(newest->id))) newest = &group;
  return newest ? std::optional(newest->id) : std::nullopt;
}

// The group needs no more packets: frees its copies.
void FecDecoder::complete(Group& group) {
  group.state = GroupState::kDone;
  group.has_views = false;
  std::vector<std::uint8_t>().swap(group.kept);
}

void FecDecoder::try_recover(Group& group) {
  if (group.state != GroupState::kOpen) return;
  if (group.data == code_->data_shards()) {
    ++counters_.full_groups;
    return complete(group);
  }
  if (group.received() < code_->data_shards()) return;
  std::uint32_t length = code_->shards();
  while (group.shards[length - 1].size == 0) --length;
  if (evidence_ && !evidence_->agrees(group.id * code_->shards(), code_->data_shards(), length)) return;
  recover(group);
  complete(group);
}

void FecDecoder::recover(Group& group) {
  std::array<std::uint32_t, kMaxShards> lost;
  std::size_t count = 0;
  for (std::uint32_t i = 0; i < code_->data_shards(); ++i) {
    if (group.shards[i].size == 0) lost[count++] = i;
  }
  std::uint32_t first_parity = code_->data_shards();
  while (group.shards[first_parity].size == 0) ++first_parity;
  const std::size_t width = group.shards[first_parity].size;
  if (!consistent(group, width)) {
    ++counters_.errors;
    return;
  }
  decode(group, {lost.data(), count}, width);
  const std::size_t before = recovered_.size();
  for (std::size_t i = 0; i < count; ++i) {
    const Bytes packet = packet_of({group.output.data() + i * width, width});
    if (!packet.empty()) recovered_.push_back(packet);
  }
  if (recovered_.size() - before < count) {  // then the others may be wrong too
    recovered_.resize(before);
    ++counters_.errors;
  }
  counters_.recovered += recovered_.size() - before;
}

// All parity shards have the size of the longest data shard.
bool FecDecoder::consistent(const Group& group, std::size_t width) const {
  for (std::size_t i = 0; i < group.shards.size(); ++i) {
    const std::size_t size = group.shards[i].size;
    if (i < code_->data_shards() ? size > width : size > 0 && size != width) return false;
  }
  return true;
}

void FecDecoder::decode(Group& group, std::span<const std::uint32_t> lost, std::size_t width) {
  std::array<ErasureCode::Survivor, kMaxShards> survivors;
  std::array<std::uint8_t*, kMaxShards> outs;
  group.output.resize(lost.size() * width);
  for (std::size_t i = 0; i < lost.size(); ++i) outs[i] = group.output.data() + i * width;
  std::size_t count = 0;
  for (std::uint32_t i = 0; count < code_->data_shards(); ++i) {
    if (group.shards[i].size > 0) survivors[count++] = {i, group.bytes(i)};
  }
  code_->decode({survivors.data(), count}, lost, {{outs.data(), lost.size()}, width});
}

void FecDecoder::end_batch() {
  recovered_.clear();
  for (Group& group : groups_) {
    if (group.has_views) copy_views(group);
    if (group.output.capacity() > 0) std::vector<std::uint8_t>().swap(group.output);
  }
}

// Copies the shards that are views of the batch.
void FecDecoder::copy_views(Group& group) {
  std::size_t total = 0, views = 0;
  for (const Shard& shard : group.shards) {
    if (shard.view) total += shard.size, ++views;
  }
  // The first time it reserves what the whole group will need at this rate: one allocation per group.
  if (group.kept.capacity() == 0) group.kept.reserve(std::max(total, total / views * code_->data_shards()));
  for (Shard& shard : group.shards) {
    if (!shard.view) continue;
    const std::uint8_t* view = shard.view;
    shard.view = nullptr;
    shard.offset = static_cast<std::uint32_t>(group.kept.size());
    group.kept.insert(group.kept.end(), view, view + shard.size);
  }
  group.has_views = false;
}

}  // namespace kcptun
