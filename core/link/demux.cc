#include "core/link/demux.h"

#include <utility>

#include "core/base/check.h"
#include "core/link/first_segment.h"

namespace kcptun {

// The conv that an opened packet names in the clear; none in parity and garbage.
std::optional<std::uint32_t> Demux::conv_of(Bytes body) {
  if (is_datagram_packet(body)) return datagram_conv(body);
  const std::optional<Segment> segment = first_segment(body);
  return segment ? std::optional(segment->conv) : std::nullopt;
}

// Packets at the front that go where the first one goes: they name its conv, or none in the clear.
std::size_t Demux::count_same_conv(std::span<const Packet> packets, std::uint32_t conv) {
  std::size_t count = 1;
  for (; count < packets.size(); ++count) {
    const std::optional<std::uint32_t> named = conv_of(packets[count].bytes());
    if (named && *named != conv) break;
  }
  return count;
}

Demux::Demux(LinkContext& context, std::size_t max_sessions, const DemuxSettings& settings)
    : context_(context), limiter_(max_sessions), settings_(settings), random_(settings.seed) {
  if (!context.credentials) return;
  KCPTUN_CHECK(context.secrets != nullptr);
  KCPTUN_CHECK(context.credentials->pattern == noise::Pattern::kNNpsk0 || settings.clients != nullptr);
  hello_gate_.emplace(*context.credentials, *context.secrets, settings.clients);
}

Demux::~Demux() {
  if (!settings_.directory) return;
  for (const auto& [conv, session] : by_conv_) settings_.directory->release(conv);
}

SessionEntry* Demux::find(const Path& path) const {
  const auto it = by_path_.find(key_of(path));
  return it == by_path_.end() ? nullptr : it->second;
}

SessionEntry* Demux::find(std::uint32_t conv) const {
  const auto it = by_conv_.find(conv);
  return it == by_conv_.end() ? nullptr : it->second.get();
}

// --- finding ---

// The session that the packet belongs to. If none, misrouted_to_ is the worker that has it, if any.
SessionEntry* Demux::find_or_open(TimePoint now, const Path& path, MutableBytes body, Source source) {
  misrouted_to_.reset();
  SessionEntry* const known = find(path);
  const std::optional<Segment> segment = first_segment(body);
  if (!segment) return find_without_segment(now, path, body, source);
  if (known && known->link.conv() == segment->conv) return known;
  if (SessionEntry* const elsewhere = find(segment->conv)) return find_migrating(now, path, body, *elsewhere);
  if (source == Source::kOtherWorker) {  // the session has ended meanwhile
    ++counters_.unmatched;
    return nullptr;
  }
  return try_open(now, path, *segment, known);
}

// A packet that opens nothing: of the datagram channel, parity, or garbage that the link counts.
SessionEntry* Demux::find_without_segment(TimePoint now, const Path& path, MutableBytes body, Source source) {
  SessionEntry* const known = find(path);
  const std::optional<std::uint32_t> conv = conv_of(body);
  if (known && (!conv || known->link.conv() == *conv)) return known;
  if (SessionEntry* const elsewhere = conv ? find(*conv) : nullptr)
    return find_migrating(now, path, body, *elsewhere);
  const auto misrouted = misrouted_paths_.find(key_of(path));
  if (source == Source::kSocket && misrouted != misrouted_paths_.end()) {
    misrouted_to_ = misrouted->second;
  } else {
    ++counters_.unmatched;
  }
  return nullptr;
}

// Opens a session that is not in this table if no other worker has it and it may replace `known`.
SessionEntry* Demux::try_open(TimePoint now, const Path& path, const Segment& segment, SessionEntry* known) {
  if (known && segment.sn != 0) {
    ++counters_.foreign;
    return nullptr;
  }
  SessionLimiter::Decision decision;
  if (!known && !may_admit(path, decision)) return nullptr;
  if (settings_.directory) {
    const std::uint32_t owner = settings_.directory->claim(segment.conv, settings_.worker);
    if (owner != settings_.worker) {
      record_misrouted(path, owner);
      return nullptr;
    }
  }
  evict_victim(now, decision);
  if (known) {
    ++counters_.replaced;
    replaced_.push_back(end(now, *known));
  }
  return open(now, path, segment.conv);
}

SessionEntry* Demux::open(TimePoint now, const Path& path, std::uint32_t conv) {
  ++counters_.opened;
  misrouted_paths_.erase(key_of(path));
  SessionEntry* const opened =
      (by_conv_[conv] = std::make_unique<SessionEntry>(conv, context_, now, path)).get();
  by_path_[key_of(path)] = opened;
  limiter_.add(conv, path.remote);
  return opened;
}

// --- limits ---

SessionLimiter::Id Demux::id_of(const SessionEntry& session) {
  return session.link.anti_replay() ? session.link.anti_replay()->session() : session.link.conv();
}

bool Demux::may_admit(const Path& path, SessionLimiter::Decision& decision) {
  decision = limiter_.decide(path.remote);
  if (decision.answer != SessionLimiter::Answer::kRefuse) return true;
  ++counters_.refused;
  return false;
}

void Demux::evict_victim(TimePoint now, const SessionLimiter::Decision& decision) {
  if (decision.answer != SessionLimiter::Answer::kEvictThenAdmit) return;
  const auto by_id = by_id_.find(decision.victim);
  SessionEntry* const victim =
      by_id != by_id_.end() ? by_id->second.get() : find(static_cast<std::uint32_t>(decision.victim));
  KCPTUN_CHECK(victim != nullptr);
  evicted_.push_back(end(now, *victim));
}

void Demux::record_activity(SessionEntry& session) {
  if (session.established) return;
  session.established = session.link.smux().streams() > 0;
  const SessionLimiter::Id id = id_of(session);
  session.established ? limiter_.establish(id) : limiter_.record_activity(id);
}

void Demux::record_misrouted(const Path& path, std::uint32_t worker) {
  misrouted_to_ = worker;
  if (misrouted_paths_.size() >= kMaxMisroutedPaths) misrouted_paths_.clear();
  misrouted_paths_[key_of(path)] = worker;
}

// --- migration ---

// A packet of `session` that came from another address than its own.
SessionEntry* Demux::find_migrating(TimePoint now, const Path& path, MutableBytes body,
                                    SessionEntry& session) {
  const std::optional<PathChallenge>& challenge = session.challenge;
  const bool proved = challenge && key_of(challenge->path) == key_of(path) &&
                      session.link.matches_challenge(body, challenge->token);
  if (!proved && !session.link.is_fresh(body)) {
    ++counters_.stale;
    queue_challenge(now, path, session);
    return nullptr;
  }
  if (!may_migrate(now, path, session)) return &session;
  migrate(now, path, session);
  if (proved) session.link.handle_path_validated();
  return &session;
}

void Demux::migrate(TimePoint now, const Path& path, SessionEntry& session) {
  const auto old = by_path_.find(key_of(session.path));
  if (old != by_path_.end() && old->second == &session) by_path_.erase(old);
  by_path_[key_of(path)] = &session;  // a session that had it gets it back with its next fresh packet
  set_path(now, path, session);
}

bool Demux::may_migrate(TimePoint now, const Path& path, const SessionEntry& session) const {
  const bool back = session.previous && key_of(*session.previous) == key_of(path);
  return back || !session.migrated_at || now - *session.migrated_at >= kMinMigrationInterval;
}

// A validated path stays the previous one until another is validated. It is challenged: a client that has
// left it does not answer, and a client whose packet an attacker has forwarded does, and so returns.
void Demux::set_path(TimePoint now, const Path& path, SessionEntry& session) {
  ++counters_.migrated;
  limiter_.migrate(id_of(session), path.remote);
  session.challenge.reset();
  const Path left = std::exchange(session.path, path);
  const bool was_validated = session.link.path_validated();
  if (session.previous && key_of(*session.previous) == key_of(path)) {
    session.link.handle_peer_returned();
    session.previous.reset();
    if (was_validated) session.previous = left;
    // A client that tries a new path sends from both. Its answer from there validates that path.
    if (context_.session_header > 0) queue_challenge(now, left, session);
    return;
  }
  if (was_validated) session.previous = left;
  session.migrated_at = now;
  const Path& known = session.previous.value_or(left);
  const bool port_only = known.remote.ip == path.remote.ip;
  session.link.handle_peer_moved(now, port_only ? PathChange::kPort : PathChange::kAddress);
  queue_challenge(now, left, session);
}

void Demux::credit_path(const Path& path, SessionEntry& session, std::span<const Packet> packets) {
  if (key_of(session.path) != key_of(path)) return;
  session.path = path;  // the local address may have changed
  std::size_t bytes = 0;
  for (const Packet& packet : packets) bytes += packet.size;
  session.link.credit_path(packets.size(), bytes);
}

void Demux::queue_challenge(TimePoint now, const Path& path, SessionEntry& session) {
  std::optional<PathChallenge>& last = session.challenge;
  if (last && now - last->sent_at < kMinChallengeInterval) return;
  last = PathChallenge{path, random_.next32(), now};
  challenges_.push_back({&session, *last});
}

// --- runs ---

void Demux::handle_run(TimePoint now, const Path& path, std::span<const Packet> packets) {
  handle(now, path, packets, Source::kSocket);
}

void Demux::handle_forwarded(TimePoint now, const Path& path, std::span<const Packet> packets) {
  handle(now, path, packets, Source::kOtherWorker);
}

void Demux::handle(TimePoint now, const Path& path, std::span<const Packet> packets, Source source) {
  misrouted_.clear();
  challenges_.clear();
  cookie_replies_.clear();
  if (context_.session_header > 0) return handle_session_run(now, path, packets, source);
  // Packets of one session go to it together: nearly always the whole run.
  while (!packets.empty()) {
    if (packets.front().size == 0) {
      packets = packets.subspan(1);
      continue;
    }
    SessionEntry* const session = find_or_open(now, path, packets.front().bytes(), source);
    if (!session) {
      packets = packets.subspan(misrouted_to_ ? forward(packets) : 1);
      continue;
    }
    const std::size_t count = count_same_conv(packets, session->link.conv());
    credit_path(path, *session, packets.first(count));
    session->link.handle_packets(now, packets.first(count));
    record_activity(*session);
    if (!std::exchange(session->touched, true)) touched_.push_back(session);
    packets = packets.subspan(count);
  }
}

std::size_t Demux::forward(std::span<const Packet> packets) {
  const std::optional<std::uint32_t> conv = conv_of(packets.front().bytes());
  const std::size_t count = conv ? count_same_conv(packets, *conv) : 1;
  misrouted_.push_back({*misrouted_to_, packets.first(count)});
  counters_.misrouted += count;
  return count;
}

std::span<SessionEntry* const> Demux::take_touched() {
  taken_.clear();
  std::swap(taken_, touched_);
  for (SessionEntry* session : taken_) session->touched = false;
  return taken_;
}

std::vector<std::unique_ptr<SessionEntry>> Demux::take_replaced() { return std::exchange(replaced_, {}); }

std::vector<std::unique_ptr<SessionEntry>> Demux::take_evicted() { return std::exchange(evicted_, {}); }

std::unique_ptr<SessionEntry> Demux::end(TimePoint now, SessionEntry& session) {
  if (session.touched) std::erase(touched_, &session);
  limiter_.remove(id_of(session));
  std::erase_if(challenges_, [&session](const Challenged& c) { return c.session == &session; });
  if (session.link.anti_replay()) return end_session(now, session);
  const auto at = by_path_.find(key_of(session.path));
  if (at != by_path_.end() && at->second == &session) by_path_.erase(at);
  const auto it = by_conv_.find(session.link.conv());
  KCPTUN_CHECK(it != by_conv_.end());
  std::unique_ptr<SessionEntry> out = std::move(it->second);
  by_conv_.erase(it);
  if (settings_.directory) settings_.directory->release(out->link.conv());
  return out;
}

}  // namespace kcptun
