// How the client's sessions end, and what becomes of their streams.
#include <algorithm>
#include <utility>

#include "daemon/client/client_session.h"
#include "daemon/client/client_worker.h"

namespace kcptun {
namespace {

// A server that is started anew is away for a moment, and ICMP may be forged: it counts only beside a silence, of so
// long, in which so many packets were refused.
constexpr Duration kRefusedPatience = seconds(1);
constexpr std::uint64_t kRefusals = 2;
// A session that is asked each 500 ms, and does not answer, while a later one to the same server has been heard for so
// long: the server has forgotten it.
constexpr Duration kComparison = seconds(2);

constexpr std::string_view kNobodyListens = "nobody listens on the server's port (ICMP)";
constexpr std::string_view kForgotten = "its server answers another session, and not this one";

}  // namespace

// The connections that cannot begin anew are reset by the session.
void ClientWorker::handle_closed(ClientSession& session, std::string_view reason) {
  const bool current = slots_[session.slot].session.get() == &session;
  std::unique_ptr<ClientSession> gone = release(session);
  if (!gone) return;
  log().warning("session closed", {{"conv", hex_id(session.link.conv())}, {"reason", reason}});
  explain(session.link);
  if (reason == kNobodyListens && !session.link.heard()) explain_no_answer(session, engine_.now());
  if (current) report_to_finder(session);  // of one that was set aside it is forgotten
  account(session);
  if (!engine_.blocked()) engine_.send_batch();  // what the session said last; the socket forgets its peer now
  keep_socket(session.socket);
  const bool gone_peer = session.link.peer_gone() || reason == kNobodyListens || reason == kForgotten;
  if (may_restart_streams(session, gone_peer)) restart_streams(session);
  session.session.close_all();  // connections go before the session that they refer to
  engine_.dispose(std::move(gone));
}

// Out of its slot, or of those that were set aside.
std::unique_ptr<ClientWorker::ClientSession> ClientWorker::release(ClientSession& session) {
  std::unique_ptr<ClientSession>& current = slots_[session.slot].session;
  if (current.get() == &session) return std::move(current);
  const auto it =
      std::ranges::find_if(expired_, [&session](const auto& old) { return old.get() == &session; });
  if (it == expired_.end()) return nullptr;
  std::unique_ptr<ClientSession> gone = std::move(*it);
  expired_.erase(it);
  return gone;
}

// A server that breaks the protocol would break it again. Where none was ever heard, another session is better only if
// it goes elsewhere.
bool ClientWorker::may_restart_streams(const ClientSession& session, bool gone) const {
  return !shut_down_ && gone && (session.link.heard() || finder_.in_order().size() > 1 || profile_.servers.size() > 1);
}

void ClientWorker::restart_streams(ClientSession& session) {
  std::vector<LocalConnection> connections = session.session.take_back_connections();
  if (connections.empty()) return;
  log().info("streams begin anew", {{"conv", hex_id(session.link.conv())}, {"streams", connections.size()}});
  for (LocalConnection& connection : connections) admit(std::move(connection), slots_[session.slot]);
}

bool ClientWorker::is_refused(ClientSession& session, TimePoint now) const {
  const ClientSession::Silence& silence = session.current_silence();
  const DatagramSocket* socket = engine_.socket(session.socket);
  return socket && now - silence.since >= kRefusedPatience &&
         socket->counters().refusals - silence.refusals_before >= kRefusals;
}

// Nothing of the session leaves any more once its streams begin anew, and what left before has had its time to arrive:
// the target sees each of them once.
bool ClientWorker::is_forgotten(ClientSession& session, TimePoint now) {
  ClientSession* later = slots_[session.slot].session.get();
  if (!later || later == &session || !session.session.all_movable()) return false;
  if (!(later->server == session.server) && session.link.heard()) return false;
  ClientSession::Silence& silence = session.current_silence();
  if (later->heard_at > silence.since) {
    if (!silence.other_heard) silence.other_heard = later->heard_at;
    return now - *silence.other_heard >= kComparison;
  }
  if (!later->link.unanswered_since()) {
    later->link.probe_liveness(now);
    engine_.wake(later->session);
  }
  return false;
}

// Streams that could move wait for the session: its own, or those of one that was set aside before. And another one may
// be answered where it is not: under a suite that knows sessions a server says nothing to one that it has forgotten, or
// refuses after its start; and a name may have an address more. Else silence means that nobody is reached.
bool ClientWorker::wants_another(const ClientSession& session) const {
  if (!session.link.anti_replay() && finder_.in_order().size() < 2) return false;
  return session.session.all_movable() || std::ranges::any_of(expired_, [&session](const auto& old) {
           return old->slot == session.slot && old->session.all_movable() && old->link.unanswered_since();
         });
}

// Another session is dialled beside a suspect one at once where that may help, not only when the next connection comes.
std::string_view ClientWorker::judge_unanswered(ClientSession& session, TimePoint now) {
  if (shut_down_) return {};
  if (is_refused(session, now)) return kNobodyListens;
  if (!session.link.suspected_dead(now)) return {};
  Slot& slot = slots_[session.slot];
  if (slot.session.get() == &session) {
    if (!wants_another(session)) return {};
    mark_suspect(slot);
    redial(slot);
    return {};
  }
  return is_forgotten(session, now) ? kForgotten : std::string_view{};
}

}  // namespace kcptun
