// Demux under a suite that knows sessions: conversations are found by their session, whatever address they
// come from, and nothing looks at a packet that is not fresh (docs/protocol.md section 11).
#include <utility>

#include "core/base/check.h"
#include "core/link/demux.h"

namespace kcptun {
namespace {

std::uint64_t session_of(const Packet& packet) { return read_session_header(packet.data).session; }

bool has_header(const Packet& packet) { return packet.size >= kSessionHeader; }

// Packets at the front that are of the first one's session.
std::size_t same_session(std::span<const Packet> packets) {
  std::size_t count = 1;
  while (count < packets.size() && has_header(packets[count]) &&
         session_of(packets[count]) == session_of(packets.front()))
    ++count;
  return count;
}

}  // namespace

SessionEntry* Demux::open_session(TimePoint now, const Path& path, const Packet& packet) {
  const SessionHeader header = read_session_header(packet.data);
  const std::optional<Segment> segment = first_segment(packet.bytes().subspan(kSessionHeader));
  if (!segment || header.from != Role::kClient) {
    ++counters_.unmatched;
    return nullptr;
  }
  SessionLimiter::Decision decision;
  if (!has_place(path, decision)) return nullptr;
  const SessionRefusal refusal =
      place_.admission->open(now, context_.wall, {header.session, header.time, place_.loop});
  if (refusal != SessionRefusal::kNone) {
    ++counters_.sessions_refused;
    last_refusal_ = {refusal, path.remote, UnixTime(seconds(header.time)) - context_.wall};
    return nullptr;
  }
  make_room(now, decision);
  ++counters_.opened;
  places_.add(header.session, path.remote);
  auto conversation =
      std::make_unique<SessionEntry>(SessionName(segment->conv, header.session), context_, now, path);
  return (sessions_[header.session] = std::move(conversation)).get();
}

// The address that the newest packet came from is where the peer is now; one that was overtaken tells nothing.
void Demux::handle_session_packets(TimePoint now, const Path& path, SessionEntry& conversation,
                                   std::span<const Packet> packets) {
  const AntiReplay& guard = *conversation.link.anti_replay();
  bool fresh = false;
  bool newest = false;
  for (const Packet& packet : packets) {
    const SessionHeader header = read_session_header(packet.data);
    fresh |= guard.fresh(header);
    newest |= guard.fresh(header) && guard.newest(header);
  }
  const bool elsewhere = key_of(conversation.path) != key_of(path);
  if (newest && elsewhere && may_move(now, path, conversation)) follow(now, path, conversation);
  if (fresh) credit(path, conversation, packets);
  conversation.link.handle_packets(now, packets);
  if (fresh) record_activity(conversation);
  if (fresh && !std::exchange(conversation.touched, true)) touched_.push_back(&conversation);
}

void Demux::handle_session_run(TimePoint now, const Path& path, std::span<const Packet> packets, Source source) {
  KCPTUN_CHECK(place_.admission != nullptr);
  while (!packets.empty()) {
    if (!has_header(packets.front())) {
      packets = packets.subspan(1);
      continue;
    }
    const std::size_t count = same_session(packets);
    const std::span<const Packet> together = packets.first(count);
    packets = packets.subspan(count);
    const std::uint64_t session = session_of(together.front());
    if (const auto known = sessions_.find(session); known != sessions_.end()) {
      handle_session_packets(now, path, *known->second, together);
      continue;
    }
    if (source == Source::kOtherLoop) {  // it has ended on its way here
      counters_.unmatched += count;
      continue;
    }
    if (const auto owner = place_.admission->owner(session); owner && *owner != place_.loop) {
      misrouted_.push_back({*owner, together});
      counters_.misrouted += count;
      continue;
    }
    // Any packet that names a conv may open it; parity before that is lost.
    for (std::size_t i = 0; i < count; ++i) {
      if (SessionEntry* const opened = open_session(now, path, together[i])) {
        handle_session_packets(now, path, *opened, together.subspan(i));
        break;
      }
    }
  }
}

std::unique_ptr<SessionEntry> Demux::end_session(TimePoint now, SessionEntry& conversation) {
  const AntiReplay& guard = *conversation.link.anti_replay();
  place_.admission->end(now, guard.session(), guard.newest_time());
  const auto it = sessions_.find(guard.session());
  std::unique_ptr<SessionEntry> out = std::move(it->second);
  sessions_.erase(it);
  return out;
}

std::optional<Demux::RefusedSession> Demux::take_refusal() {
  return std::exchange(last_refusal_, std::nullopt);
}

}  // namespace kcptun
