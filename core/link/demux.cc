#include "core/link/demux.h"

#include <utility>

#include "core/base/check.h"

namespace kcptun {

std::optional<Segment> Demux::first_segment(Bytes body) {
  const FecType type = fec_type(body);
  if (type == FecType::kParity || type == FecType::kOutOfBand) return std::nullopt;
  if (type == FecType::kData) body = body.subspan(kFecHeader);
  return take_segment(body);
}

// Packets at the front that belong together with the first one: of the same conversation, or of none in the clear.
std::size_t Demux::count_same_conv(std::span<const Packet> packets, std::uint32_t conv) {
  std::size_t count = 1;
  for (; count < packets.size(); ++count) {
    const std::optional<Segment> segment = first_segment(packets[count].bytes());
    if (segment && segment->conv != conv) break;
  }
  return count;
}

Demux::Demux(LinkContext& context, std::size_t max_sessions, const DemuxSettings& place)
    : context_(context), places_(max_sessions), place_(place), random_(place.seed) {}

Demux::~Demux() {
  if (!place_.directory) return;
  for (const auto& [conv, conversation] : by_conv_) place_.directory->release(conv);
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

// The one that the packet belongs to, if any. If none, `misrouted_to_` may say that another loop has it.
SessionEntry* Demux::find_or_open(TimePoint now, const Path& path, MutableBytes body, Source source) {
  misrouted_to_.reset();
  SessionEntry* const known = find(path);
  const std::optional<Segment> segment = first_segment(body);
  if (!segment) {  // parity, or garbage that the link counts
    if (known) return known;
    const auto stray = misrouted_paths_.find(key_of(path));
    if (source == Source::kSocket && stray != misrouted_paths_.end()) {
      misrouted_to_ = stray->second;
    } else {
      ++counters_.unmatched;
    }
    return nullptr;
  }
  if (known && known->link.conv() == segment->conv) return known;
  if (SessionEntry* const elsewhere = find(segment->conv)) return find_migrating(now, path, body, *elsewhere);
  if (source == Source::kOtherLoop) {  // it has ended on its way here
    ++counters_.unmatched;
    return nullptr;
  }
  return begin(now, path, *segment, known);
}

// A conversation that is not in this table begins: if another loop has none of that name, and it may replace `known`.
SessionEntry* Demux::begin(TimePoint now, const Path& path, const Segment& segment, SessionEntry* known) {
  if (known && segment.sn != 0) {
    ++counters_.foreign;
    return nullptr;
  }
  SessionLimiter::Decision decision;
  if (!known && !has_place(path, decision)) return nullptr;
  if (place_.directory) {
    const std::uint32_t owner = place_.directory->claim(segment.conv, place_.loop);
    if (owner != place_.loop) {
      record_misrouted(path, owner);
      return nullptr;
    }
  }
  make_room(now, decision);
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
  places_.add(conv, path.remote);
  return opened;
}

// --- places ---

SessionLimiter::Id Demux::id_of(const SessionEntry& conversation) {
  return conversation.link.anti_replay() ? conversation.link.anti_replay()->session() : conversation.link.conv();
}

bool Demux::has_place(const Path& path, SessionLimiter::Decision& decision) {
  decision = places_.decide(path.remote);
  if (decision.answer != SessionLimiter::Answer::kRefuse) return true;
  ++counters_.refused;
  return false;
}

void Demux::make_room(TimePoint now, const SessionLimiter::Decision& decision) {
  if (decision.answer != SessionLimiter::Answer::kEvictThenAdmit) return;
  const auto session = sessions_.find(decision.victim);
  SessionEntry* const victim =
      session != sessions_.end() ? session->second.get() : find(static_cast<std::uint32_t>(decision.victim));
  KCPTUN_CHECK(victim != nullptr);
  evicted_.push_back(end(now, *victim));
}

void Demux::record_activity(SessionEntry& conversation) {
  if (conversation.established) return;
  conversation.established = conversation.link.smux().streams() > 0;
  const SessionLimiter::Id id = id_of(conversation);
  conversation.established ? places_.establish(id) : places_.touch(id);
}

void Demux::record_misrouted(const Path& path, std::uint32_t loop) {
  misrouted_to_ = loop;
  if (misrouted_paths_.size() >= kMaxMisroutedPaths) misrouted_paths_.clear();
  misrouted_paths_[key_of(path)] = loop;
}

// --- moving ---

// A packet of `conversation` that came from another address than its own.
SessionEntry* Demux::find_migrating(TimePoint now, const Path& path, MutableBytes body, SessionEntry& conversation) {
  const std::optional<PathChallenge>& asked = conversation.challenge;
  const bool proved = asked && key_of(asked->path) == key_of(path) && conversation.link.matches_challenge(body, asked->token);
  if (!proved && !conversation.link.is_fresh(body)) {
    ++counters_.stale;
    challenge(now, path, conversation);
    return nullptr;
  }
  if (!may_move(now, path, conversation)) return &conversation;
  move(now, path, conversation);
  if (proved) conversation.link.handle_path_validated();
  return &conversation;
}

void Demux::move(TimePoint now, const Path& path, SessionEntry& conversation) {
  const auto old = by_path_.find(key_of(conversation.path));
  if (old != by_path_.end() && old->second == &conversation) by_path_.erase(old);
  by_path_[key_of(path)] = &conversation;  // whoever had it before has lost it, and will say so from another one
  follow(now, path, conversation);
}

bool Demux::may_move(TimePoint now, const Path& path, const SessionEntry& conversation) const {
  const bool back = conversation.previous && key_of(*conversation.previous) == key_of(path);
  return back || !conversation.migrated_at || now - *conversation.migrated_at >= kMinMigrationInterval;
}

// An address that has answered stays known as the previous one until another has. Where the client left it without being
// there any more, the challenge is lost; where a packet of its was sent on by somebody else, it answers, and is back.
void Demux::follow(TimePoint now, const Path& path, SessionEntry& conversation) {
  ++counters_.moved;
  places_.move(id_of(conversation), path.remote);
  conversation.challenge.reset();
  const Path left = std::exchange(conversation.path, path);
  const bool left_validated = conversation.link.path_validated();
  if (conversation.previous && key_of(*conversation.previous) == key_of(path)) {
    conversation.link.handle_peer_returned();
    conversation.previous.reset();
    if (left_validated) conversation.previous = left;
    return;
  }
  if (left_validated) conversation.previous = left;
  conversation.migrated_at = now;
  const Path& known = conversation.previous.value_or(left);
  const bool port_only = known.remote.ip == path.remote.ip;
  conversation.link.handle_peer_moved(now, port_only ? PathChange::kPort : PathChange::kAddress);
  challenge(now, left, conversation);
}

void Demux::credit(const Path& path, SessionEntry& conversation, std::span<const Packet> packets) {
  if (key_of(conversation.path) != key_of(path)) return;
  conversation.path = path;  // with the address that was asked
  std::size_t bytes = 0;
  for (const Packet& packet : packets) bytes += packet.size;
  conversation.link.credit_path(packets.size(), bytes);
}

void Demux::challenge(TimePoint now, const Path& path, SessionEntry& conversation) {
  std::optional<PathChallenge>& asked = conversation.challenge;
  if (asked && now - asked->sent_at < kMinChallengeInterval) return;
  asked = PathChallenge{path, random_.next32(), now};
  challenges_.push_back({&conversation, *asked});
}

// --- runs ---

void Demux::handle_run(TimePoint now, const Path& path, std::span<const Packet> packets) {
  handle(now, path, packets, Source::kSocket);
}

void Demux::handle_forwarded(TimePoint now, const Path& path, std::span<const Packet> packets) {
  handle(now, path, packets, Source::kOtherLoop);
}

void Demux::handle(TimePoint now, const Path& path, std::span<const Packet> packets, Source source) {
  misrouted_.clear();
  challenges_.clear();
  if (context_.session_header > 0) return handle_session_run(now, path, packets, source);
  // Nearly always all packets of a run belong to one conversation: they go to it together.
  while (!packets.empty()) {
    if (packets.front().size == 0) {
      packets = packets.subspan(1);
      continue;
    }
    SessionEntry* const conversation = find_or_open(now, path, packets.front().bytes(), source);
    if (!conversation) {
      packets = packets.subspan(misrouted_to_ ? forward(packets) : 1);
      continue;
    }
    const std::size_t count = count_same_conv(packets, conversation->link.conv());
    credit(path, *conversation, packets.first(count));
    conversation->link.handle_packets(now, packets.first(count));
    record_activity(*conversation);
    if (!std::exchange(conversation->touched, true)) touched_.push_back(conversation);
    packets = packets.subspan(count);
  }
}

std::size_t Demux::forward(std::span<const Packet> packets) {
  const std::optional<Segment> segment = first_segment(packets.front().bytes());
  const std::size_t count = segment ? count_same_conv(packets, segment->conv) : 1;
  misrouted_.push_back({*misrouted_to_, packets.first(count)});
  counters_.misrouted += count;
  return count;
}

std::span<SessionEntry* const> Demux::take_touched() {
  taken_.clear();
  std::swap(taken_, touched_);
  for (SessionEntry* conversation : taken_) conversation->touched = false;
  return taken_;
}

std::vector<std::unique_ptr<SessionEntry>> Demux::take_replaced() { return std::exchange(replaced_, {}); }

std::vector<std::unique_ptr<SessionEntry>> Demux::take_evicted() { return std::exchange(evicted_, {}); }

std::unique_ptr<SessionEntry> Demux::end(TimePoint now, SessionEntry& conversation) {
  if (conversation.touched) std::erase(touched_, &conversation);
  places_.remove(id_of(conversation));
  std::erase_if(challenges_, [&conversation](const Challenged& c) { return c.conversation == &conversation; });
  if (conversation.link.anti_replay()) return end_session(now, conversation);
  const auto at = by_path_.find(key_of(conversation.path));
  if (at != by_path_.end() && at->second == &conversation) by_path_.erase(at);
  const auto it = by_conv_.find(conversation.link.conv());
  KCPTUN_CHECK(it != by_conv_.end());
  std::unique_ptr<SessionEntry> out = std::move(it->second);
  by_conv_.erase(it);
  if (place_.directory) place_.directory->release(out->link.conv());
  return out;
}

}  // namespace kcptun
