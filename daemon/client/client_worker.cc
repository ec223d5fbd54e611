#include "daemon/client/client_worker.h"

#include <fcntl.h>
#include <sodium.h>
#include <sys/socket.h>

#include <algorithm>
#include <utility>

#include "config/address.h"
#include "config/forwards.h"
#include "daemon/client/client_session.h"
#include "daemon/net/address.h"
#include "daemon/net/faketcp/client.h"
#include "daemon/worker/snapshot_taker.h"
#include "daemon/worker/tunnel_sockets.h"

namespace kcptun {
namespace {

// If a server that never answered has an answer outstanding for this long, a hint is logged.
constexpr Duration kNoAnswerThreshold = seconds(5);

std::uint64_t random_seed() {
  std::uint64_t seed;
  randombytes_buf(&seed, sizeof seed);
  return seed;
}

}  // namespace

ClientWorker::ClientWorker(const Profile& profile, Engine& engine, ClientShared& shared,
                           std::vector<IpEndpoint> remotes)
    : profile_(profile),
      engine_(engine),
      shared_(shared),
      random_(random_seed()),
      finder_(
          profile, engine, random_,
          [this](const IpEndpoint& remote, std::uint32_t i) { return open_socket(remote, i); },
          [this] { handle_found(); }),
      reserve_(static_cast<int>(profile.sockbuf), uplink_of(profile)),
      scavenge_(engine, [this](TimePoint now) { scavenge(now); }),
      fold_(engine, [this](TimePoint now) { fold(now); }),
      hops_(engine, [this](TimePoint now) { hop_sessions(now); }),
      check_network_(engine, [this](TimePoint now) { follow_network(now); }),
      check_unanswered_(engine, [this](TimePoint now) { explain_unanswered(now); }),
      overdue_(engine, [this](TimePoint now) { close_overdue(now); }),
      redial_(engine, [this](TimePoint) { dial_again(); }) {
  engine_.share_hints(shared.hints);
  finder_.replace(std::move(remotes));
  network_ = std::make_unique<NetworkWatch>(engine.uv(), [this] {
    follow_network(engine_.now());
    engine_.flush();  // the timer's iteration may wait before its next pump
  });
  watch_servers();
}

ClientWorker::~ClientWorker() = default;

// --- sessions ---

void ClientWorker::add_slot(std::size_t slot) {
  KCPTUN_CHECK(slot / shared_.parts.size() == slots_.size());
  Slot& added = slots_.emplace_back();
  if (servers_ || (!profile_.conn && slot > 0)) return;
  added.wanted = true;
  if (finder_.in_order().size() == 1) return handle_found();
  finder_.find();
}

Result<bool> ClientWorker::dial(Slot& slot) {
  if (!servers_) return dial_one(slot);
  if (!servers_->best() && !servers_->all_failed()) return Error{"no server has answered yet"};
  const auto target = servers_->target();
  if (!target) return Error{"no server's address is known"};
  return dial_at(slot, profile_.servers[target->server], target->address);
}

// Dials the first of the server's addresses that this host has a route to.
Result<bool> ClientWorker::dial_one(Slot& slot) {
  std::string error = "no address";
  const HostPort& server = std::get<HostPort>(profile_.remote);
  for (IpEndpoint remote : finder_.in_order()) {
    remote.port = random_port(server, random_);
    const Result<bool> dialled = dial_at(slot, server, remote);
    if (dialled) return dialled;
    error = dialled.error();
  }
  return Error{error};
}

Result<bool> ClientWorker::dial_at(Slot& slot, const HostPort& server, const IpEndpoint& remote) {
  const auto index = static_cast<std::size_t>(&slot - slots_.data());
  Result<std::unique_ptr<ClientSession>> made = make_session(index, server, remote);
  if (!made) return Error{made.error()};
  slot.session = std::move(*made);
  most_ = std::max<std::uint64_t>(most_, live_sessions());
  return true;
}

Result<std::unique_ptr<ClientWorker::ClientSession>> ClientWorker::make_session(std::size_t slot,
                                                                                const HostPort& server,
                                                                                const IpEndpoint& remote) {
  Result<std::unique_ptr<DatagramSocket>> socket = open_session_socket(remote);
  if (!socket) return Error{socket.error()};
  const Path path = path_from(**socket, remote);
  const SessionName id = new_session_name(random_);
  auto session = std::make_unique<ClientSession>(*this, slot, id, server, path);
  engine_.add_socket(std::move(*socket), *session);
  ++dialled_;
  log().info("session dialled", {{"conv", hex_id(session->link.conv())}, {"remote", to_string(remote)}});
  if (profile_.hop.count() > 0) session->link.announce();  // shows whether the server follows sessions
  plan_hop(*session);
  return session;
}

Result<std::unique_ptr<DatagramSocket>> ClientWorker::open_session_socket(const IpEndpoint& remote) {
  FileDescriptor reserved = reserve_.take(is_ipv4(remote) ? AF_INET : AF_INET6);
  const FileDescriptor copy(reserved.valid() ? ::fcntl(reserved.get(), F_DUPFD_CLOEXEC, 0) : -1);
  auto opened = open_socket(remote, engine_.next_socket_index(), std::move(reserved));
  if (!opened && copy.valid()) reserve_.reclaim(copy.get());  // a failed dial returns the spare socket
  return opened;
}

Result<std::unique_ptr<DatagramSocket>> ClientWorker::open_socket(const IpEndpoint& remote,
                                                                  std::uint32_t index,
                                                                  FileDescriptor reserved) {
  if (shared_.firewall) {
    auto opened = FakeTcpClient::connect(remote, fake_tcp_options(profile_, index), *shared_.firewall);
    if (!opened) return Error{opened.error()};
    configure_socket(**opened, profile_);
    return std::unique_ptr<DatagramSocket>(std::move(*opened));
  }
  auto opened = UdpSocket::connect(remote, udp_options(profile_, index), std::move(reserved));
  if (!opened) return Error{opened.error()};
  configure_socket(*opened, profile_);
  return std::unique_ptr<DatagramSocket>(std::make_unique<UdpSocket>(std::move(*opened)));
}

void ClientWorker::fill_reserve() {
  if (shared_.firewall) return;  // tcp mode keeps its privileges
  const auto any = [this](bool ipv4) {
    const std::vector<IpEndpoint> known = finder_.in_order();
    return known.empty() ||
           std::ranges::any_of(known, [ipv4](const IpEndpoint& one) { return is_ipv4(one) == ipv4; });
  };
  const std::size_t count = (profile_.hop.count() > 0 ? 2 : 1) * slots_.size();
  if (any(true)) reserve_.fill(AF_INET, count);
  if (any(false)) reserve_.fill(AF_INET6, count);
}

// Keeps the socket for a later session. Nothing is sent on it any more.
void ClientWorker::keep_socket(std::uint32_t index) {
  if (!shared_.firewall) reserve_.reclaim(engine_.socket(index)->fd());
}

std::size_t ClientWorker::live_sessions() const {
  const auto live = std::ranges::count_if(slots_, [](const Slot& slot) { return slot.session != nullptr; });
  return static_cast<std::size_t>(live) + expired_.size();
}

void ClientWorker::redial(Slot& slot) {
  if (servers_) return serve_waiting(slot);
  slot.wanted = true;
  finder_.find();
}

// The server's addresses were resolved. All slots that want a session may dial.
void ClientWorker::handle_found() {
  if (shut_down_) return;
  for (Slot& slot : slots_)
    if (std::exchange(slot.wanted, false)) serve_waiting(slot);
}

// Dials. If that is not possible, connections wait for a server to answer, for the network, or for kMaxWait.
// With several servers they are dropped when all have failed.
void ClientWorker::serve_waiting(Slot& slot) {
  if (!slot.session) {
    const Result<bool> dialled = dial(slot);
    if (!dialled && servers_ && !servers_->all_failed()) return;
    if (!dialled && !servers_) {
      slot.wanted = true;
      return finder_.handle_failure(dialled.error());
    }
    if (!dialled) log().error("cannot dial", {{"reason", dialled.error()}});
    if (!servers_) finder_.handle_connected();
    if (dialled && slot.waiting.empty()) {  // no connection asks whether the server answers
      slot.session->link.probe_liveness(engine_.now());
      engine_.wake(slot.session->session);
    }
  }
  for (Waiting& one : std::exchange(slot.waiting, {}))
    if (slot.session) serve(std::move(one.connection), slot);
}

void ClientWorker::close_overdue(TimePoint now) {
  std::size_t closed = 0;
  std::optional<TimePoint> oldest;
  for (Slot& slot : slots_) {
    for (; !slot.waiting.empty() && now - slot.waiting.front().since >= kMaxWait; ++closed)
      slot.waiting.pop_front();
    if (!slot.waiting.empty())
      oldest = std::min(oldest.value_or(slot.waiting.front().since), slot.waiting.front().since);
  }
  if (closed > 0)
    log().warning("connections closed: no session could be dialled for them", {{"count", closed}});
  if (oldest) overdue_.schedule_at(*oldest + kMaxWait);
}

// --- connections ---

void ClientWorker::listen(FileDescriptor listening) {
  listeners_.push_back(std::make_unique<Listener>(
      engine_.uv(), std::move(listening), [this](FileDescriptor fd) { accept(std::move(fd)); },
      profile_.name));
}

void ClientWorker::listen(FileDescriptor listening, const Forward& forward) {
  const auto number = static_cast<std::size_t>(&forward - profile_.forwards.data());
  ForwardCounters& counters = shared_.forwards.at(number);
  stream_entrances_.push_back(std::make_unique<Entrance>(
      engine_, forward, std::move(listening),
      [this, &counters](LocalConnection one) {
        counters.add_connection();
        if (one.request) one.request->counters = &counters;
        accept(std::move(one));
      },
      [this, entrance = listen_text(forward), &counters](FileDescriptor fd) {
        associate(std::move(fd), entrance, counters);
      },
      profile_.name));
}

// Round robin over all sessions of all engines, as kcptun does, where their number is given.
void ClientWorker::accept(LocalConnection connection) {
  if (!profile_.conn) return take(std::move(connection), choose_auto_slot());
  const std::size_t slot = shared_.next_slot.fetch_add(1, std::memory_order_relaxed) % *profile_.conn;
  ClientWorker* part = shared_.parts[slot % shared_.parts.size()];
  if (part == this) return take(std::move(connection), slot);
  auto moved = std::make_shared<LocalConnection>(std::move(connection));
  part->engine_.mailbox().post([part, moved, slot] { part->take(std::move(*moved), slot); });
}

void ClientWorker::take(LocalConnection connection, std::size_t slot_number) {
  if (shut_down_) return;
  Slot& slot = slots_[slot_number / shared_.parts.size()];
  const Duration lifetime = profile_.autoexpire;
  if (slot.session && lifetime.count() > 0 && engine_.now() - slot.session->dialled_at >= lifetime)
    expire(slot);
  admit(std::move(connection), slot);
}

void ClientWorker::admit(LocalConnection connection, Slot& slot) {
  set_unusable_aside(slot);
  if (slot.session) return serve(std::move(connection), slot);
  if (slot.waiting.size() >= kMaxWaiting) return;
  wait(std::move(connection), slot);
}

void ClientWorker::wait(LocalConnection connection, Slot& slot) {
  slot.waiting.push_back({std::move(connection), engine_.now()});
  overdue_.schedule_at(engine_.now() + kMaxWait);
  redial(slot);
}

void ClientWorker::serve(LocalConnection connection, Slot& slot) {
  Session& session = slot.session->session;
  const std::optional<std::uint32_t> sid =
      session.link().open_stream(connection.request ? StreamKind::kRequest : StreamKind::kPlain);
  if (!sid && session.link().smux().sids_used_up()) {
    expire(slot);
    return admit(std::move(connection), slot);
  }
  if (!sid) {
    log().warning("session has no more stream ids", {{"conv", hex_id(session.link().conv())}});
    return;
  }
  slot.session->idle_since.reset();
  session.attach(std::make_unique<Connection>(session, *sid, std::move(connection)));
  if (session.link().kcp().counters().in_segments == 0)
    check_unanswered_.schedule_at(engine_.now() + kNoAnswerThreshold);
}

// --- whole worker ---

Counters ClientWorker::counters() const {
  Counters sum = past_;
  for_each_session([&sum](const ClientSession& one) { sum.add_link(one.link, true); });
  sum.active_opens = dialled_;
  sum.max_conn = most_;
  sum.add_udp(engine_.udp_counters());
  sum.in_csum_errors = engine_.counters().rejected_packets;
  return sum;
}

std::size_t ClientWorker::streams() const {
  std::size_t sum = 0;
  for_each_session([&sum](const ClientSession& one) { sum += one.session.connections(); });
  return sum;
}

// Open sessions read the changed profile the next time they use it.
void ClientWorker::apply_profile(const std::vector<IpEndpoint>* remote) {
  if (remote) {
    finder_.replace(*remote);
    watch_servers();
    for (Slot& slot : slots_)
      // With one server left of several, no other code would redial.
      if (!slot.waiting.empty() || (slot.wanted && !slot.session)) redial(slot);
  } else if (servers_) {
    servers_->update_settings();
  }
  engine_.for_each_socket([this](DatagramSocket& socket) { reconfigure_socket(socket, profile_); });
  for_each_session([this](ClientSession& one) {
    one.link.update_settings(link_settings(profile_), engine_.now());
    if (!one.is_replacement) plan_hop(one);
    engine_.wake(one.session);
  });
}

TunnelSnapshot ClientWorker::share() const {
  std::vector<SessionView> sessions;
  for_each_session([this, &sessions](const ClientSession& one) {
    sessions.push_back({&one.session, peer_of(one, engine_.now())});
  });
  TunnelSnapshot share = snapshot_share(std::move(sessions), past_traffic_);
  share.peer = peer();
  if (servers_) share.servers = servers_->snapshot();
  share.forwards = forward_snapshots();
  return share;
}

void ClientWorker::shut_down() {
  shut_down_ = true;
  listeners_.clear();
  stream_entrances_.clear();
  for (const auto& entrance : udp_entrances_) entrance->stop();
  for (const auto& association : associations_) association->close();
  if (reverses_) reverses_->stop();
  finder_.shut_down();
  if (servers_) servers_->shut_down();
  for (Slot& slot : slots_) {
    slot.waiting.clear();
    if (slot.session) slot.session->session.shut_down();
  }
  for (const auto& old : expired_) old->session.shut_down();
}

}  // namespace kcptun
