// How the client's sessions follow a better server, a session that replaces them, and a change of the
// network.
#include <algorithm>
#include <utility>

#include "config/address.h"
#include "daemon/client/client_session.h"
#include "daemon/client/client_worker.h"
#include "daemon/worker/tunnel_sockets.h"

namespace kcptun {
namespace {

// Interval of scavenge() while there are expired or suspect sessions.
constexpr Duration kScavengeInterval = seconds(1);
// Delay after a failed send.
constexpr Duration kRouteCheckDelay = milliseconds(500);

}  // namespace

// --- several servers ---

void ClientWorker::watch_servers() {
  servers_.reset();
  if (profile_.servers.size() < 2) return;
  servers_ = std::make_unique<HealthChecker>(
      profile_, engine_, random_,
      [this](const IpEndpoint& remote, std::uint32_t index) { return open_socket(remote, index); },
      [this] { handle_servers_changed(); });
}

void ClientWorker::handle_servers_changed() {
  if (shut_down_) return;
  const std::optional<std::size_t> best = servers_->best();
  if (best) reachability_.handle_answer();
  if (servers_->all_failed() && !reachability_.failure())
    reachability_.handle_failure(
        {PeerState::kUnanswered, engine_.now(), "none of the servers in remoteaddr answers"}, false);
  for (Slot& slot : slots_) {
    if (best && slot.session && !(slot.session->server == profile_.servers[*best])) {
      log().info("session replaced", {{"conv", hex_id(slot.session->link.conv())},
                                      {"streams", slot.session->session.connections()},
                                      {"server", to_text(slot.session->server)},
                                      {"better", to_text(profile_.servers[*best])}});
      drain(slot);
    }
    if (!slot.waiting.empty()) serve_waiting(slot);
  }
}

void ClientWorker::account(const ClientSession& session) {
  past_.add_link(session.link, false);
  past_traffic_.add(session.session.traffic());
}

// A UDP dial succeeds for any address, so only the session's outcome shows whether the server answers.
void ClientWorker::report_to_finder(const ClientSession& session) {
  if (servers_) return;
  const bool heard = session.link.kcp().counters().in_segments > 0;
  if (!heard || session.link.suspected_dead(engine_.now())) return finder_.handle_no_answer();
  finder_.handle_answered(session.session.path().remote);
}

// The session reached autoexpire. It keeps its streams, and the next connection gets a new session.
void ClientWorker::expire(Slot& slot) {
  log().info("session expired",
             {{"conv", hex_id(slot.session->link.conv())}, {"streams", slot.session->session.connections()}});
  drain(slot);
}

// The server or the path may be down. The session's streams wait for it; new connections get another session.
void ClientWorker::mark_suspect(Slot& slot) {
  log().warning("session suspect", {{"conv", hex_id(slot.session->link.conv())},
                                    {"streams", slot.session->session.connections()},
                                    {"reason", "its server owes an answer"}});
  report_to_finder(*slot.session);
  note_failure(*slot.session, engine_.now());
  drain(slot);
}

// Leaves the slot without a session unless new streams may use it.
void ClientWorker::set_unusable_aside(Slot& slot) {
  if (slot.session && slot.session->link.suspected_dead(engine_.now())) mark_suspect(slot);
  // The process was suspended or stopped for too long: the session ends at its next turn.
  if (slot.session && slot.session->link.out_of_time(engine_.now())) drain(slot);
}

// The first packet after such a pause may have waited in the socket since before the pause, so it does not
// show that the server still has the session. New streams get another session; the old ones find out.
void ClientWorker::handle_overdue(ClientSession& session) {
  const auto slot =
      std::ranges::find_if(slots_, [&](const Slot& one) { return one.session.get() == &session; });
  if (slot != slots_.end()) drain(*slot);
}

void ClientWorker::drain(Slot& slot) {
  expired_.push_back(std::move(slot.session));
  if (reverses_) reverses_->handle_session_changed();
  scavenge_.schedule_at(engine_.now() + kScavengeInterval);
}

// Ends expired and suspect sessions: when their last stream closes, and expired ones at the latest after
// scavengettl.
void ClientWorker::scavenge(TimePoint now) {
  std::erase_if(expired_, [this, now](std::unique_ptr<ClientSession>& old) {
    const bool too_old = profile_.autoexpire.count() > 0 && profile_.scavengettl &&
                         now - old->dialled_at > profile_.autoexpire + *profile_.scavengettl;
    if (old->is_replacement) return false;
    if (old->session.has_streams()) {
      if (too_old) old->session.shut_down();  // removed once the peer has acknowledged the ends
      return false;
    }
    // The streams' last data is still in flight; the smux keepalive timeout bounds the wait.
    if (!old->link.drained()) return false;
    log().info("session scavenged", {{"conv", hex_id(old->link.conv())}});
    account(*old);
    keep_socket(old->socket);
    engine_.dispose(std::move(old));
    return true;
  });
  if (!expired_.empty()) scavenge_.schedule_at(now + kScavengeInterval);
}

// --- network changes ---

// A single failed send may be transient, so the route is checked after a delay. The engine is sending, so the
// check cannot run here.
void ClientWorker::handle_send_failure(TimePoint now) { check_network_.schedule_at(now + kRouteCheckDelay); }

void ClientWorker::follow_network(TimePoint now) {
  if (shut_down_) return;
  for (Slot& slot : slots_)
    if (slot.session) follow_network(*slot.session, now);
  for (const auto& old : expired_) follow_network(*old, now);
  if (servers_) servers_->follow_network();
  if (!servers_) finder_.handle_network_change();
}

// If the address is the same, the old socket still works, and the server knows its address.
void ClientWorker::follow_network(ClientSession& session, TimePoint now) {
  const Path old = session.session.path();
  if (!source_address_changed(old, profile_)) return;
  Result<std::unique_ptr<DatagramSocket>> socket = open_session_socket(old.remote);
  if (!socket) return;
  const Path path = path_from(**socket, old.remote);
  end_hop(session);
  log().info("session moved", {{"conv", hex_id(session.link.conv())},
                               {"from", to_string(old.local)},
                               {"local", to_string(path.local)}});
  keep_socket(session.socket);
  engine_.add_socket(std::move(*socket), session);
  engine_.remove_socket(std::exchange(session.socket, path.socket));
  session.silence.reset();  // it refers to the old socket's ICMP errors
  session.session.set_path(path);
  session.link.handle_new_address(now);
  engine_.wake(session.session);
}

}  // namespace kcptun
