// Demux with a session header (docs/develop/protocol.md section 11): a session is found by its id, whatever
// address its packets come from, and a packet that is not fresh changes nothing.
#include <algorithm>
#include <memory>
#include <utility>

#include "core/base/check.h"
#include "core/link/demux.h"
#include "core/link/first_segment.h"

namespace kcptun {
namespace {

std::uint64_t session_id_of(const Packet& packet) { return read_session_header(packet.data).session; }

}  // namespace

// False for what no client sends: it is dropped before any look-up.
bool Demux::belongs(const Packet& packet) const {
  if (packet.size < kSessionHeader) return false;
  if (!context_.credentials) return true;
  const auto head = noise::read_head(packet.data);
  return head && (head->kind == noise::Kind::kData || head->kind == noise::Kind::kHello);
}

SessionEntry* Demux::refuse(SessionRefusal why, const Path& path, std::uint32_t timestamp) {
  ++counters_.sessions_refused;
  last_refusal_ = {why, path.remote, UnixTime(seconds(timestamp)) - context_.wall};
  return nullptr;
}

SessionEntry* Demux::add_session(TimePoint now, const Path& path, SessionName name,
                                 std::unique_ptr<NoiseSession> noise) {
  ++counters_.opened;
  limiter_.add(name.session, path.remote);
  auto session = std::make_unique<SessionEntry>(name, context_, now, path, std::move(noise));
  return (by_id_[name.session] = std::move(session)).get();
}

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
  if (refusal != SessionRefusal::kNone) return refuse(refusal, path, header.time);
  evict_victim(now, decision);
  return add_session(now, path, SessionName(segment->conv, header.session), nullptr);
}

// Steps 4.1 to 4.5 of docs/develop/protocol.md section 15, "Receiving". Only the last one keeps anything.
SessionEntry* Demux::open_noise_session(TimePoint now, const Path& path, const Packet& packet) {
  const auto first = hello_gate_->read(packet);
  if (!first) {
    ++counters_.unmatched;
    return nullptr;
  }
  const SessionClaim claim{first->session, first->hello.time, settings_.worker};
  SessionRefusal refusal = settings_.admission->check(now, context_.wall, claim);
  if (refusal != SessionRefusal::kNone) return refuse(refusal, path, claim.timestamp);
  SessionLimiter::Decision decision;
  if (!may_admit(path, decision)) return nullptr;
  if (const auto cookie = hello_gate_->demand_cookie(now, path.remote, *first)) {
    cookie_replies_.push_back({path, *cookie});
    return nullptr;
  }
  const auto authentic = hello_gate_->authenticate(now, *first);
  if (!authentic) return nullptr;
  refusal = settings_.admission->open(now, context_.wall, claim);
  if (refusal != SessionRefusal::kNone) return refuse(refusal, path, claim.timestamp);
  evict_victim(now, decision);
  SessionEntry* const opened =
      add_session(now, path, SessionName(authentic->conv, claim.session), hello_gate_->open(now, *authentic));
  opened->client = authentic->response.client();
  return opened;
}

bool Demux::answers_challenge(const Path& path, const SessionEntry& session, std::span<const Packet> bodies) {
  const std::optional<PathChallenge>& challenge = session.challenge;
  return challenge && key_of(challenge->path) == key_of(path) &&
         std::ranges::any_of(bodies, [&](const Packet& body) {
           return session.link.matches_challenge(body.bytes(), challenge->token);
         });
}

// The peer is where its newest packet came from, or where it has answered a challenge. A reordered packet
// from elsewhere shows nothing.
void Demux::handle_session_packets(TimePoint now, const Path& path, SessionEntry& session,
                                   std::span<const Packet> packets) {
  const Link::Fresh fresh = session.link.take_fresh(now, packets);
  if (fresh.bodies.empty()) return;
  const bool elsewhere = key_of(session.path) != key_of(path);
  const bool proved = elsewhere && answers_challenge(path, session, fresh.bodies);
  if (proved || (fresh.newest && elsewhere && may_migrate(now, path, session))) set_path(now, path, session);
  if (proved) session.link.handle_path_validated();
  credit_path(path, session, fresh.bodies);
  session.link.handle_fresh(now, fresh);
  record_activity(session);
  if (!std::exchange(session.touched, true)) touched_.push_back(&session);
}

void Demux::handle_session_run(TimePoint now, const Path& path, std::span<const Packet> packets,
                               Source source) {
  KCPTUN_CHECK(settings_.admission != nullptr);
  while (!packets.empty()) {
    if (!belongs(packets.front())) {
      packets = packets.subspan(1);
      continue;
    }
    std::size_t count = 1;
    while (count < packets.size() && belongs(packets[count]) &&
           session_id_of(packets[count]) == session_id_of(packets.front()))
      ++count;
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

void Demux::CookieReply::append_to(TransmitBatch& batch) const {
  batch.begin_run(path);
  std::ranges::copy(packet, batch.push(packet.size()).data);
}

// Any packet that names a conv may open the session; parity before that is lost.
void Demux::open_with_first(TimePoint now, const Path& path, std::span<const Packet> packets) {
  for (std::size_t i = 0; i < packets.size(); ++i) {
    const std::size_t cookies = cookie_replies_.size();
    SessionEntry* const opened =
        hello_gate_ ? open_noise_session(now, path, packets[i]) : open_session(now, path, packets[i]);
    if (cookie_replies_.size() > cookies)
      return;  // the others are of the same session, and would get the same
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
