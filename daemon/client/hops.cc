// How the client's sessions change their ports at intervals (--hop).
//
// A server of this project follows a living session. The client opens a second socket, to another port of the
// server's range, and sends an echo request through it. The session goes there once the server has answered,
// and the first socket stays open until what is on its way has arrived. A port that does not answer is left
// alone, and the session has lost nothing.
//
// Other servers take a packet from another port for another session. So a new session is dialled, and
// replaces the old one once its server has answered. The old one keeps its streams.
#include <algorithm>
#include <utility>

#include "daemon/client/client_session.h"
#include "daemon/net/address.h"
#include "daemon/worker/tunnel_sockets.h"

namespace kcptun {
namespace {

// Intervals vary by this part of Profile::hop in both directions, so that sessions do not hop together.
constexpr int kJitter = 4;
// Echo requests through a new socket. With three, a path that loses a fifth of its packets each way fails in
// one hop of twenty.
constexpr int kMaxProbes = 3;
// Between two of them, beside two round trips.
constexpr Duration kProbeInterval = milliseconds(250);
// How long the socket that was left stays open, beside two round trips: longer than Demux keeps a session at
// its address (Demux::kMinMigrationInterval).
constexpr Duration kLeaveAfter = milliseconds(500);
// A new session that has no answer by then is given up.
constexpr Duration kReplacementTimeout = seconds(3);

Duration two_round_trips(const Link& link) { return 2 * link.kcp().rtt().smoothed().value_or(Duration(0)); }

}  // namespace

// Servers of this project follow sessions. A server of the suites with a session header is one.
bool ClientWorker::server_follows(const ClientSession& session) {
  return session.link.anti_replay() || session.link.smux().peer_is_ours();
}

void ClientWorker::plan_hop(ClientSession& session) {
  session.hop_at = TimePoint::max();
  if (profile_.hop.count() == 0) return;
  const Duration jitter = profile_.hop / kJitter;
  const auto part = static_cast<double>(random_.next32()) / 4294967296.0;
  session.hop_at =
      engine_.now() + profile_.hop - jitter + std::chrono::duration_cast<Duration>(2 * part * jitter);
  hops_.schedule_at(session.hop_at);
}

// A port of the server's range other than the present one, if there is one.
IpEndpoint ClientWorker::next_remote(const ClientSession& session) {
  IpEndpoint remote = session.session.path().remote;
  const HostPort& server = session.server;
  if (!server.is_range()) return remote;
  const auto others = static_cast<std::uint32_t>(server.port_max - server.port_min);
  const std::uint32_t port = server.port_min + random_.below(others);
  remote.port = static_cast<std::uint16_t>(port >= remote.port ? port + 1 : port);
  return remote;
}

// Hops begin a session at most, which goes to the end of expired_.
void ClientWorker::hop_sessions(TimePoint now) {
  if (shut_down_) return;
  give_up_replacements(now);
  for (Slot& slot : slots_)
    if (slot.session) hop(*slot.session, now);
  for (std::size_t i = 0; i < expired_.size(); ++i) hop(*expired_[i], now);
  TimePoint next = TimePoint::max();
  for_each_session([&next](const ClientSession& one) {
    next = std::min(next, one.hop ? std::min(one.hop_at, one.hop->next) : one.hop_at);
  });
  if (next != TimePoint::max()) hops_.schedule_at(next);
}

void ClientWorker::hop(ClientSession& session, TimePoint now) {
  if (session.is_replacement) return;
  if (session.hop && now >= session.hop->next) continue_hop(session, now);
  if (now < session.hop_at) return;
  plan_hop(session);
  // A hop is no remedy for a path that is down, and would hide that its session is.
  if (session.hop || !session.link.heard() || session.link.suspected_dead(now)) return;
  server_follows(session) ? begin_hop(session, now) : begin_replacement(session, now);
}

// --- sessions that the server follows ---

void ClientWorker::begin_hop(ClientSession& session, TimePoint now) {
  const IpEndpoint remote = next_remote(session);
  Result<std::unique_ptr<DatagramSocket>> socket = open_session_socket(remote);
  if (!socket) return note_hop_failure(remote, socket.error());
  session.hop = ClientSession::Hop{.other = path_from(**socket, remote), .next = now};
  engine_.add_socket(std::move(*socket), session);
  continue_hop(session, now);
}

void ClientWorker::continue_hop(ClientSession& session, TimePoint now) {
  ClientSession::Hop& hop = *session.hop;
  if (hop.taken) return end_hop(session);
  if (hop.probes == kMaxProbes) {
    note_hop_failure(hop.other.remote, "it does not answer");
    // A server with a session header may have followed the echo request: this brings it back.
    session.link.probe_liveness(now);
    engine_.wake(session.session);
    return end_hop(session);
  }
  ++hop.probes;
  hop.next = now + kProbeInterval + two_round_trips(session.link);
  hops_.schedule_at(hop.next);
  if (engine_.blocked() || (engine_.batch().room() == 0 && !engine_.send_batch())) return;
  session.link.append_challenge(now, hop.other, wire_ms(now), engine_.batch());
}

// A packet of the session came through a socket that may be the new one.
void ClientWorker::handle_hop_packet(ClientSession& session, const Path& path) {
  ClientSession::Hop& hop = *session.hop;
  if (hop.taken || path.socket != hop.other.socket) return;
  const TimePoint now = engine_.now();
  hop_failure_logged_ = false;
  hop.taken = true;
  hop.next = now + kLeaveAfter + two_round_trips(session.link);
  hops_.schedule_at(hop.next);
  const Path path_taken = std::exchange(hop.other, session.session.path());
  log().debug("session hopped", {{"conv", hex_id(session.link.conv())},
                                 {"from", to_string(hop.other.remote)},
                                 {"remote", to_string(path_taken.remote)},
                                 {"local", to_string(path_taken.local)}});
  session.session.set_path(path_taken);
  session.socket = path_taken.socket;
  session.silence.reset();           // it refers to the old socket's ICMP errors
  session.link.probe_liveness(now);  // goes on until the server has seen the new address
}

// Closes the socket that the session does not use.
void ClientWorker::end_hop(ClientSession& session) {
  if (!session.hop) return;
  const std::uint32_t socket = session.hop->other.socket;
  session.hop.reset();
  keep_socket(socket);
  engine_.remove_socket(socket);
}

void ClientWorker::note_hop_failure(const IpEndpoint& remote, const std::string& reason) {
  if (std::exchange(hop_failure_logged_, true)) return;
  log().warning("cannot hop to this port, staying at the present one",
                {{"remote", to_string(remote)}, {"reason", reason}});
}

// --- sessions of other servers ---

void ClientWorker::begin_replacement(ClientSession& session, TimePoint now) {
  const std::size_t slot = session.slot;
  if (slots_[slot].session.get() != &session || expired_.size() >= kMaxLeftSessions) return;
  if (std::ranges::any_of(expired_,
                          [slot](const auto& one) { return one->is_replacement && one->slot == slot; }))
    return;
  const IpEndpoint remote = next_remote(session);
  Result<std::unique_ptr<ClientSession>> dialled = make_session(slot, session.server, remote);
  if (!dialled) return note_hop_failure(remote, dialled.error());
  ClientSession& replacement = **dialled;
  replacement.is_replacement = true;
  replacement.hop_at = now + kReplacementTimeout;
  hops_.schedule_at(replacement.hop_at);
  expired_.push_back(std::move(*dialled));
  replacement.link.probe_liveness(now);
  engine_.wake(replacement.session);
}

// The server has answered. If the slot's session has ended meanwhile, another one is being dialled.
void ClientWorker::handle_replacement_answered(ClientSession& replacement) {
  replacement.is_replacement = false;
  hop_failure_logged_ = false;
  plan_hop(replacement);
  scavenge_.schedule_at(engine_.now());
  Slot& slot = slots_[replacement.slot];
  if (shut_down_ || !slot.session) return;
  log().info("session hopped", {{"conv", hex_id(slot.session->link.conv())},
                                {"streams", slot.session->session.connections()},
                                {"remote", to_string(replacement.session.path().remote)}});
  std::unique_ptr<ClientSession> next = release(replacement);
  drain(slot);
  slot.session = std::move(next);
}

void ClientWorker::give_up_replacements(TimePoint now) {
  std::erase_if(expired_, [this, now](std::unique_ptr<ClientSession>& one) {
    if (!one->is_replacement || now < one->hop_at) return false;
    note_hop_failure(one->session.path().remote, "it does not answer");
    account(*one);
    keep_socket(one->socket);
    engine_.dispose(std::move(one));
    return true;
  });
}

}  // namespace kcptun
