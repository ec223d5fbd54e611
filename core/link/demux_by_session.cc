// Demux with a session header (docs/develop/protocol.md section 11): a session is found by its id, whatever
// address its packets come from, and a packet that is not fresh changes nothing.
#include <utility>

#include "core/base/check.h"
#include "core/link/demux.h"

namespace kcptun {
namespace {

std::uint64_t session_id_of(const Packet& packet) { return read_session_header(packet.data).session; }

bool has_header(const Packet& packet) { return packet.size >= kSessionHeader; }

// Packets at the front that belong to the first one's session.
std::size_t same_session(std::span<const Packet> packets) {
  std::size_t count = 1;
  while (count < packets.size() && has_header(packets[count]) &&
         session_id_of(packets[count]) == session_id_of(packets.front()))
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
  if (!may_admit(path, decision)) return nullptr;
  const SessionRefusal refusal =
      settings_.admission->open(now, context_.wall, {header.session, header.time, settings_.worker});
  if (refusal != SessionRefusal::kNone) {
    ++counters_.sessions_refused;
    last_refusal_ = {refusal, path.remote, UnixTime(seconds(header.time)) - context_.wall};
    return nullptr;
  }
  evict_victim(now, decision);
  ++counters_.opened;
  limiter_.add(header.session, path.remote);
  auto session =
      std::make_unique<SessionEntry>(SessionName(segment->conv, header.session), context_, now, path);
  return (by_id_[header.session] = std::move(session)).get();
}

// The peer is where its newest packet came from. A reordered packet from elsewhere shows nothing.
void Demux::handle_session_packets(TimePoint now, const Path& path, SessionEntry& session,
                                   std::span<const Packet> packets) {
  const AntiReplay& anti_replay = *session.link.anti_replay();
  bool fresh = false;
  bool newest = false;
  for (const Packet& packet : packets) {
    const SessionHeader header = read_session_header(packet.data);
    fresh |= anti_replay.fresh(header);
    newest |= anti_replay.fresh(header) && anti_replay.newest(header);
  }
  const bool elsewhere = key_of(session.path) != key_of(path);
  if (newest && elsewhere && may_migrate(now, path, session)) set_path(now, path, session);
  if (fresh) credit_path(path, session, packets);
  session.link.handle_packets(now, packets);
  if (fresh) record_activity(session);
  if (fresh && !std::exchange(session.touched, true)) touched_.push_back(&session);
}

void Demux::handle_session_run(TimePoint now, const Path& path, std::span<const Packet> packets,
                               Source source) {
  KCPTUN_CHECK(settings_.admission != nullptr);
  while (!packets.empty()) {
    if (!has_header(packets.front())) {
      packets = packets.subspan(1);
      continue;
    }
    const std::size_t count = same_session(packets);
    const std::span<const Packet> together = packets.first(count);
    packets = packets.subspan(count);
    const std::uint64_t id = session_id_of(together.front());
    if (const auto known = by_id_.find(id); known != by_id_.end()) {
      handle_session_packets(now, path, *known->second, together);
      continue;
    }
    if (source == Source::kOtherWorker) {  // the session has ended meanwhile
      counters_.unmatched += count;
      continue;
    }
    if (const auto owner = settings_.admission->owner(id); owner && *owner != settings_.worker) {
      misrouted_.push_back({*owner, together});
      counters_.misrouted += count;
      continue;
    }
    open_with_first(now, path, together);
  }
}

// Any packet that names a conv may open the session; parity before that is lost.
void Demux::open_with_first(TimePoint now, const Path& path, std::span<const Packet> packets) {
  for (std::size_t i = 0; i < packets.size(); ++i) {
    SessionEntry* const opened = open_session(now, path, packets[i]);
    if (!opened) continue;
    return handle_session_packets(now, path, *opened, packets.subspan(i));
  }
}

std::unique_ptr<SessionEntry> Demux::end_session(TimePoint now, SessionEntry& session) {
  const AntiReplay& anti_replay = *session.link.anti_replay();
  settings_.admission->end(now, anti_replay.session(), anti_replay.newest_time());
  const auto it = by_id_.find(anti_replay.session());
  std::unique_ptr<SessionEntry> out = std::move(it->second);
  by_id_.erase(it);
  return out;
}

std::optional<Demux::RefusedSession> Demux::take_refusal() {
  return std::exchange(last_refusal_, std::nullopt);
}

}  // namespace kcptun
