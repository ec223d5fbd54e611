#include "core/link/demux.h"

#include <optional>
#include <utility>

namespace kcptun {
namespace {

// The first segment of an opened packet, where it has one in the clear.
std::optional<Segment> first_segment(Bytes body) {
  const FecType type = fec_type(body);
  if (type == FecType::kParity || type == FecType::kOutOfBand) return std::nullopt;
  if (type == FecType::kData) body = body.subspan(kFecHeader);
  return take_segment(body);
}

}  // namespace

Conversation* Demux::find(const Path& path) const {
  const auto it = table_.find(key_of(path));
  return it == table_.end() ? nullptr : it->second.get();
}

Conversation* Demux::open(TimePoint now, const Path& path, std::uint32_t conv) {
  if (table_.size() >= max_conversations_) {
    ++counters_.refused;
    return nullptr;
  }
  ++counters_.opened;
  auto conversation = std::make_unique<Conversation>(conv, context_, now, path);
  return (table_[key_of(path)] = std::move(conversation)).get();
}

// `known` is the conversation of this address, if any; returns the one that the packet belongs to, if any.
Conversation* Demux::conversation_for(TimePoint now, const Path& path, MutableBytes body, Conversation* known) {
  const std::optional<Segment> segment = first_segment(body);
  if (!segment) {  // parity, or garbage that the link counts
    if (!known) ++counters_.homeless;
    return known;
  }
  if (!known) return open(now, path, segment->conv);
  if (known->link.conv() == segment->conv) return known;
  if (segment->sn != 0) {
    ++counters_.foreign;
    return nullptr;
  }
  ++counters_.replaced;
  replaced_.push_back(end(*known));
  return open(now, path, segment->conv);
}

void Demux::handle_run(TimePoint now, const Path& path, std::span<const Packet> packets) {
  // Nearly always all packets of a run belong to one conversation: they go to it together.
  while (!packets.empty()) {
    if (packets.front().size == 0) {
      packets = packets.subspan(1);
      continue;
    }
    Conversation* conversation = conversation_for(now, path, packets.front().bytes(), find(path));
    if (!conversation) {
      packets = packets.subspan(1);
      continue;
    }
    std::size_t count = 1;
    for (; count < packets.size(); ++count) {
      const std::optional<Segment> segment = first_segment(packets[count].bytes());
      if (segment && segment->conv != conversation->link.conv()) break;
    }
    conversation->path = path;
    conversation->link.handle_packets(now, packets.first(count));
    if (!std::exchange(conversation->touched, true)) touched_.push_back(conversation);
    packets = packets.subspan(count);
  }
}

std::span<Conversation* const> Demux::take_touched() {
  taken_.clear();
  std::swap(taken_, touched_);
  for (Conversation* conversation : taken_) conversation->touched = false;
  return taken_;
}

std::vector<std::unique_ptr<Conversation>> Demux::take_replaced() { return std::exchange(replaced_, {}); }

std::unique_ptr<Conversation> Demux::end(Conversation& conversation) {
  if (conversation.touched) std::erase(touched_, &conversation);
  const auto it = table_.find(key_of(conversation.path));
  std::unique_ptr<Conversation> out = std::move(it->second);
  table_.erase(it);
  return out;
}

}  // namespace kcptun
