// Detects the ends of the client's sessions and restarts their streams.
#include <algorithm>
#include <utility>

#include "daemon/client/client_session.h"
#include "daemon/client/client_worker.h"

namespace kcptun {
namespace {

// ICMP errors count only if no answer arrived for this long and this many packets were rejected. A server is
// unreachable for a moment while it restarts, and ICMP can be forged.
constexpr Duration kRefusedDuration = seconds(1);
constexpr std::uint64_t kMinRefused = 2;
// A session pinged every 500 ms has not answered, while a later session to the same server has received
// packets for this long. The server has then dropped the earlier session.
constexpr Duration kComparison = seconds(2);

constexpr std::string_view kPortUnreachable = "port unreachable (ICMP)";
constexpr std::string_view kSuperseded = "the server answers a later session only";

}  // namespace

// The session resets the connections that cannot restart.
void ClientWorker::handle_closed(ClientSession& session, std::string_view reason) {
  const bool current = slots_[session.slot].session.get() == &session;
  std::unique_ptr<ClientSession> gone = release(session);
  if (!gone) return;
  log().warning("session closed", {{"conv", hex_id(session.link.conv())}, {"reason", reason}});
  explain(session.link);
  note_failure(session, engine_.now());
  if (reason == kPortUnreachable && !session.link.heard()) explain_no_answer(session, engine_.now());
  // For an expired or suspect session, the finder's state is not updated.
  if (current) report_to_finder(session);
  account(session);
  // Send the session's last packets before the socket loses its peer.
  if (!engine_.blocked()) engine_.send_batch();
  keep_socket(session.socket);
  const bool gone_peer = session.link.peer_gone() || reason == kPortUnreachable || reason == kSuperseded;
  if (may_restart_streams(session, gone_peer)) restart_streams(session);
  session.session.close_all();  // connections are destroyed before the session that they refer to
  engine_.dispose(std::move(gone));
  if (current) redial_later();
}

// Removes the session from its slot, or from the expired and suspect sessions.
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

// A server that violated the protocol would do so again. If no packet ever arrived, a new session helps only
// if it uses another address.
bool ClientWorker::may_restart_streams(const ClientSession& session, bool gone) const {
  return !shut_down_ && gone &&
         (session.link.heard() || finder_.in_order().size() > 1 || profile_.servers.size() > 1);
}

void ClientWorker::restart_streams(ClientSession& session) {
  std::vector<LocalConnection> connections = session.session.release_connections();
  if (connections.empty()) return;
  log().info("streams restarted", {{"conv", hex_id(session.link.conv())}, {"count", connections.size()}});
  for (LocalConnection& connection : connections) admit(std::move(connection), slots_[session.slot]);
}

bool ClientWorker::is_port_unreachable(ClientSession& session, TimePoint now) const {
  const ClientSession::Unanswered& silence = session.current_unanswered();
  const DatagramSocket* socket = engine_.socket(session.socket);
  return socket && now - silence.since >= kRefusedDuration &&
         socket->counters().connection_refused - silence.refusals_before >= kMinRefused;
}

// Streams restart only after the session has stopped sending and its packets in flight have had time to
// arrive, so that the target sees each stream once.
bool ClientWorker::is_superseded(ClientSession& session, TimePoint now) {
  ClientSession* later = slots_[session.slot].session.get();
  if (!later || later == &session || !session.session.all_can_restart()) return false;
  if (!(later->server == session.server) && session.link.heard()) return false;
  ClientSession::Unanswered& silence = session.current_unanswered();
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

// True if a new session may help: the server may have forgotten the one that has its listeners, streams that
// can restart wait in this session or in an earlier suspect one,
// or a new session may be answered where this one is not. With a suite that has session ids, a server does
// not answer a session that it has dropped, or that was dialled before its start. A name may also have
// another address. In other cases no answer means that the server is unreachable.
bool ClientWorker::replacement_may_help(const ClientSession& session) const {
  if (reverses_ && session.slot == 0 && session.link.heard()) return true;
  if (!session.link.anti_replay() && finder_.in_order().size() < 2) return false;
  return session.session.all_can_restart() || std::ranges::any_of(expired_, [&session](const auto& old) {
           return old->slot == session.slot && old->session.all_can_restart() && old->link.unanswered_since();
         });
}

// If a new session may help, dials it beside the suspect one immediately, without waiting for the next
// connection.
std::string_view ClientWorker::check_unanswered(ClientSession& session, TimePoint now) {
  if (shut_down_ || session.is_replacement) return {};
  if (is_port_unreachable(session, now)) return kPortUnreachable;
  if (!session.link.suspected_dead(now)) return {};
  Slot& slot = slots_[session.slot];
  if (slot.session.get() == &session) {
    if (!replacement_may_help(session)) return {};
    mark_suspect(slot);
    redial(slot);
    return {};
  }
  return is_superseded(session, now) ? kSuperseded : std::string_view{};
}

}  // namespace kcptun
