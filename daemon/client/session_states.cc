// Determines whether the client's server answers, for the log and the status.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <utility>

#include "daemon/client/client_session.h"
#include "daemon/client/client_worker.h"
#include "daemon/engine/hints.h"

namespace kcptun {
namespace {

constexpr std::string_view kOnceAnswered =
    "the server answered before: it has stopped, or the path to it is interrupted; the client goes on trying";

// Rounded to whole seconds, so that repeated reports of one moment are equal.
double unix_time_of(TimePoint at, TimePoint now) {
  return std::round(unix_time() - std::chrono::duration<double>(now - at).count());
}

}  // namespace

// --- states ---

PeerSnapshot ClientWorker::peer_of(const ClientSession& session, TimePoint now) const {
  const bool heard = session.link.heard();
  const std::optional<TimePoint> since = session.link.unanswered_since();
  const bool refused = since && session.is_refused_since(*since);
  if (!refused && !session.link.suspected_dead(now))
    return {.state = heard ? PeerState::kConnected : PeerState::kConnecting};
  PeerSnapshot peer{.state = refused ? PeerState::kRefused : PeerState::kUnanswered,
                    .since = unix_time_of(*since, now)};
  peer.hint = heard && !refused ? std::string(kOnceAnswered)
                                : kcptun::explain_no_answer(session.session.path().remote, profile_, refused);
  return peer;
}

// An idle session counts as connected until its next keepalive, unless a session that was used later got no
// answer.
PeerSnapshot ClientWorker::peer_of_sessions(TimePoint now) const {
  PeerSnapshot best{.state = PeerState::kConnecting}, failed;
  TimePoint heard_at{}, silent_since{};
  for_each_session([&](const ClientSession& one) {
    PeerSnapshot peer = peer_of(one, now);
    if (peer.state == PeerState::kConnected) heard_at = std::max(heard_at, one.heard_at);
    if (peer.failed()) silent_since = std::max(silent_since, *one.link.unanswered_since());
    if (peer.failed()) failed = merge_parts(std::move(failed), peer);
    best = merge_parts(std::move(best), std::move(peer));
  });
  return failed.failed() && heard_at < silent_since ? failed : best;
}

PeerSnapshot ClientWorker::peer() const {
  const TimePoint now = engine_.now();
  if (servers_ && servers_->best()) return {.state = PeerState::kConnected};
  PeerSnapshot peer = peer_of_sessions(now);
  if (peer.state == PeerState::kConnected) return peer;
  if (const auto& failure = reachability_.failure()) {  // no session has received a packet since that failure
    const double since = unix_time_of(failure->since, now);
    peer = merge_parts(std::move(peer), {.state = failure->state, .since = since, .hint = failure->hint});
    peer.since = std::min(peer.since.value_or(since), since);
  }
  if (peer.state == PeerState::kConnecting && !servers_) peer.hint = finder_.failure();
  return peer;
}

void ClientWorker::handle_answer(ClientSession& session) {
  reachability_.handle_answer();
  const std::optional<Duration> round_trip = session.link.kcp().rtt().smoothed();
  if (!round_trip || std::exchange(session.answer_logged, true)) return;
  log().info("server answers", {{"rtt_ms", std::chrono::duration_cast<milliseconds>(*round_trip).count()},
                                {"conv", hex_id(session.link.conv())}});
}

// The session is over, or takes no more streams. A server that has restarted did not fail.
void ClientWorker::note_failure(const ClientSession& session, TimePoint now) {
  const PeerSnapshot peer = peer_of(session, now);
  const std::string why = explain_end(session.link, profile_);
  if (peer.failed())
    reachability_.handle_failure({peer.state, *session.link.unanswered_since(), peer.hint},
                                 session.link.heard());
  else if (!why.empty())
    reachability_.handle_failure({PeerState::kRefused, now, why}, session.link.heard());
}

void ClientWorker::redial_later() {
  if (!shut_down_ && !servers_ && !slots_.front().session)
    redial_.schedule_at(engine_.now() + reachability_.next_redial());
}

// One session is enough to see whether the server is back.
void ClientWorker::dial_again() {
  if (shut_down_ || servers_) return;
  if (std::ranges::none_of(slots_, [](const Slot& slot) { return slot.session != nullptr; }))
    redial(slots_.front());
}

// --- hints ---

void ClientWorker::explain(const Link& link) {
  const std::string why = explain_end(link, profile_);
  if (!why.empty() && engine_.hints().take(Hint::kMismatch, engine_.now()))
    log().warning("hint", {{"text", why}});
}

void ClientWorker::explain_vanishing(const ClientSession& session, TimePoint now) {
  if (!profile_.link.kcp.find_mtu && engine_.hints().take(Hint::kFullSize, now))
    log().warning("hint", {{"text", explain_full_size(session.session.path().remote, profile_)}});
}

void ClientWorker::explain_unanswered(TimePoint now) {
  const auto owed = [](const std::unique_ptr<ClientSession>& session) {
    return session && session->session.connections() > 0 && session->link.kcp().counters().in_segments == 0;
  };
  const ClientSession* silent = nullptr;
  for (const Slot& slot : slots_)
    if (owed(slot.session)) silent = slot.session.get();
  for (const auto& old : expired_)
    if (owed(old)) silent = old.get();
  if (silent) explain_no_answer(*silent, now);
}

void ClientWorker::explain_no_answer(const ClientSession& session, TimePoint now) {
  const DatagramSocket* socket = engine_.socket(session.socket);
  if (!socket || !engine_.hints().take(Hint::kNoAnswer, now)) return;
  const bool refused = socket->counters().pending_errors > 0;
  log().warning("hint",
                {{"text", kcptun::explain_no_answer(session.session.path().remote, profile_, refused)}});
}

}  // namespace kcptun
