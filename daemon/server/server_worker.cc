#include "daemon/server/server_worker.h"

#include <sodium.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <utility>

#include "daemon/net/address.h"
#include "daemon/server/server_session.h"
#include "daemon/worker/snapshot_taker.h"
#include "daemon/worker/tunnel_sockets.h"

namespace kcptun {
namespace {

// Minimum interval between two log lines about refused sessions.
constexpr Duration kRejectionLogInterval = seconds(60);

// In addition to the keepalive interval: a long round trip and a few losses.
constexpr Duration kAnswerMargin = seconds(5);

// Each worker has its own limit: workers share no table, and the kernel spreads the clients over them.
std::size_t sessions_of_a_loop(const Profile& profile, const ServerShared& shared) {
  return (profile.max_sessions + shared.loops - 1) / shared.loops;
}

DemuxSettings place_of(ServerShared& shared, const ClientPolicy& clients) {
  DemuxSettings place{&shared.registry, static_cast<std::uint32_t>(shared.parts.size()), 0,
                      &shared.replay_cache, &clients};
  randombytes_buf(&place.seed, sizeof place.seed);
  return place;
}

}  // namespace

// --- sessions ---

ServerWorker::ServerWorker(const Profile& profile, Engine& engine, ServerShared& shared,
                           std::vector<IpEndpoint> targets)
    : profile_(profile),
      engine_(engine),
      shared_(shared),
      target_(engine, profile.remote, std::move(targets)),
      request_targets_(engine, profile.dial_rules, request_totals_),
      flow_policy_(profile.dial_rules),
      listeners_(profile, shared.listeners, shared.parts.size(),
                 [this](std::size_t holder, const IpEndpoint& at) { check_listener(holder, at); }),
      users_(engine, request_totals_, &listeners_, shared.accounts, shared.rates),
      demux_(engine.context(), sessions_of_a_loop(profile, shared), place_of(shared, users_)),
      user_check_(engine, [this](TimePoint) { end_sessions_of_refused_users(); }) {
  users_.apply(profile);
  end_sessions_of_refused_users();
  request_targets_.listens = &listeners_;
  engine_.share_hints(shared.hints);
  flow_share_.sockets = flow_options(profile_);
  if (shared.parts.empty() && !profile.target_is_request) target_.look_up_early(log());
  shared.parts.push_back(this);
}

ServerWorker::~ServerWorker() {
  for (ServerSession* accepted : accepted_) delete accepted;
}

Result<int> ServerWorker::listen(const IpEndpoint& address, bool share_port, FileDescriptor bound) {
  UdpSocket::Options options = udp_options(profile_, engine_.next_socket_index());
  options.reuse_port = share_port;
  options.receive_info = is_wildcard(address);
  Result<UdpSocket> socket = bound.valid() ? UdpSocket::adopt(std::move(bound), address, options)
                                           : UdpSocket::bind(address, options);
  if (!socket) return Error{socket.error()};
  configure_socket(*socket, profile_);
  const int fd = socket->fd();
  sockets_.push_back(options.index);
  engine_.add_socket(std::move(*socket), *this);
  return fd;
}

Result<bool> ServerWorker::listen_fake_tcp(const IpEndpoint& address, std::span<const std::uint16_t> ports,
                                           FakeTcpServer::Share share) {
  Result<std::unique_ptr<FakeTcpServer>> socket =
      FakeTcpServer::listen(address, ports, share, fake_tcp_options(profile_, engine_.next_socket_index()));
  if (!socket) return Error{socket.error()};
  configure_socket(**socket, profile_);
  engine_.add_socket(std::move(*socket), *this);
  return true;
}

void ServerWorker::handle_run(TimePoint now, const Path& path, std::span<const Packet> packets) {
  if (shut_down_) return;
  watch_rejected(now, path.remote, packets);
  demux_.handle_run(now, path, packets);
  forward(path);
  finish_run();
}

void ServerWorker::finish_run() {
  send_challenges();
  send_cookies();
  log_rejections(engine_.now());
  log_refused_client(engine_.now());
  for (std::unique_ptr<SessionEntry>& replaced : demux_.take_replaced())
    retire(std::move(replaced), "replaced by a newer one from its address");
  for (std::unique_ptr<SessionEntry>& evicted : demux_.take_evicted())
    retire(std::move(evicted), "it had no stream and made room");
  for (SessionEntry* conversation : demux_.take_touched()) {
    if (conversation->tag == 0) accept(*conversation);
    follow(*conversation);
  }
}

void ServerWorker::follow(SessionEntry& conversation) {
  auto* accepted = reinterpret_cast<ServerSession*>(conversation.tag);
  announce(*accepted);
  const std::uint64_t segments = conversation.link.kcp().counters().in_segments;
  if (std::exchange(accepted->segments, segments) != segments) accepted->heard_at = engine_.now();
  const IpEndpoint before = accepted->session.path().remote;
  if (before != conversation.path.remote)
    log().info("session moved", {{"conv", hex_id(conversation.link.conv())},
                                 {"from", to_string(before)},
                                 {"remote", to_string(conversation.path.remote)}});
  accepted->session.set_path(conversation.path);
  if (accepted->user && accepted->user->user.quota) check_quota(*accepted);
  if (const TimePoint now = engine_.now(); accepted->full_size.handle_run(now, conversation.link.kcp()) &&
                                           !profile_.link.kcp.find_mtu &&
                                           engine_.hints().take(Hint::kFullSize, now))
    log().warning("hint", {{"text", explain_full_size(conversation.path.remote, profile_)}});
  engine_.wake(accepted->session);
}

// --- client address changes ---

void ServerWorker::send_challenges() {
  for (const Demux::Challenged& asked : demux_.challenges()) {
    // The challenge is polled again later.
    if (engine_.blocked() || (engine_.batch().room() == 0 && !engine_.send_batch())) return;
    asked.session->link.append_challenge(engine_.now(), asked.challenge.path, asked.challenge.token,
                                         engine_.batch());
  }
}

// One that finds no room is not sent: the client asks again.
void ServerWorker::send_cookies() {
  for (const Demux::CookieReply& reply : demux_.cookie_replies()) {
    if (engine_.blocked() || (engine_.batch().room() == 0 && !engine_.send_batch())) return;
    reply.append_to(engine_.batch());
  }
}

void ServerWorker::forward(const Path& path) {
  if (demux_.misrouted().empty()) return;
  const auto socket = std::ranges::find(sockets_, path.socket);
  // Fake TCP: its connections belong to their worker, and the client reconnects.
  if (socket == sockets_.end()) return;
  Path counted = path;
  counted.socket = static_cast<std::uint32_t>(socket - sockets_.begin());
  for (const Demux::Misrouted& stray : demux_.misrouted())
    shared_.parts[stray.worker]->post(ForwardedPackets(counted, stray.packets));
}

// Called on any thread.
void ServerWorker::post(ForwardedPackets run) {
  const std::size_t count = run.packets().size();
  if (forwarded_.fetch_add(count, std::memory_order_relaxed) + count > kMaxForwarded) {
    forwarded_.fetch_sub(count, std::memory_order_relaxed);
    return;
  }
  engine_.mailbox().post([this, passed = std::make_shared<ForwardedPackets>(std::move(run))] {
    forwarded_.fetch_sub(passed->packets().size(), std::memory_order_relaxed);
    handle_forwarded(*passed);
  });
}

void ServerWorker::handle_forwarded(const ForwardedPackets& run) {
  if (shut_down_) return;
  Path path = run.path();
  path.socket = sockets_.at(path.socket);
  demux_.handle_forwarded(engine_.now(), path, run.packets());
  finish_run();
  engine_.flush();  // forwards all views into the run before it is destroyed
}

// A client with another key or cipher gets no answer; only the server's log shows the cause.
void ServerWorker::watch_rejected(TimePoint now, const IpEndpoint& remote, std::span<const Packet> packets) {
  const auto rejected = static_cast<std::size_t>(
      std::ranges::count_if(packets, [](const Packet& packet) { return packet.size == 0; }));
  if (rejected < packets.size()) return rejected_.handle_good(remote);
  if (rejected_.handle_rejected(remote, rejected) && engine_.hints().take(Hint::kOnlyRejected, now))
    log().warning("hint", {{"text", explain_rejected(remote, profile_)}});
}

void ServerWorker::accept(SessionEntry& conversation) {
  auto* accepted = new ServerSession(*this, conversation);
  accepted_.insert(accepted);
  conversation.tag = reinterpret_cast<std::uintptr_t>(accepted);
  most_ = std::max<std::uint64_t>(most_, demux_.size());
  if (accepted->user) configure(*accepted);
}

// Logs only sessions that have carried a stream, so that a flood of other sessions cannot fill the disk.
void ServerWorker::announce(ServerSession& accepted) const {
  const SessionEntry& conversation = accepted.conversation;
  if (!conversation.established || std::exchange(accepted.announced, true)) return;
  std::vector<LogField> fields{{"conv", hex_id(conversation.link.conv())},
                               {"remote", to_string(conversation.path.remote)}};
  if (accepted.user) fields.emplace_back("user", accepted.user->user.name);
  log().write(LogLevel::kInfo, "session opened", fields);
}

// To the client, a clock difference looks like an unreachable server; this log line names the cause. Packets
// of an earlier session are late or replayed; they do no harm and are not logged.
void ServerWorker::log_rejections(TimePoint now) {
  const auto refusal = demux_.take_refusal();
  if (!refusal || refusal->why == SessionRefusal::kKnown ||
      refusal->why == SessionRefusal::kServerJustStarted)
    return;
  if (rejections_logged_at_ != TimePoint{} && now - rejections_logged_at_ < kRejectionLogInterval) return;
  rejections_logged_at_ = now;
  const std::uint64_t refused = demux_.counters().sessions_refused;
  log().warning("session rejected",
                {{"remote", to_string(refusal->remote)},
                 {"why", to_text(refusal->why)},
                 {"clock_ahead_seconds", refusal->ahead.count()},
                 {"packets", refused - std::exchange(rejections_logged_, refused)},
                 {"late_seconds_allowed", ReplayCache::kMaxAge.count()},
                 {"early_seconds_allowed", ReplayCache::kMaxClockSkew.count()},
                 {"remedy", "set the clocks of client and server; or a recording is played again"}});
}

// Destroys the session before the link that it drives, and both after the callbacks in progress.
void ServerWorker::retire(std::unique_ptr<SessionEntry> conversation, std::string_view reason) {
  auto* const accepted = reinterpret_cast<ServerSession*>(conversation->tag);
  if (conversation->established) {
    std::vector<LogField> fields{{"conv", hex_id(conversation->link.conv())},
                                 {"remote", to_string(conversation->path.remote)},
                                 {"reason", reason}};
    if (accepted && accepted->user) fields.emplace_back("user", accepted->user->user.name);
    log().write(LogLevel::kInfo, "session closed", fields);
  }
  if (const std::string why = explain_end(conversation->link, profile_);
      !why.empty() && engine_.hints().take(Hint::kMismatch, engine_.now()))
    log().warning("hint", {{"text", why}});
  past_.add_link(conversation->link, false);
  if (accepted) {
    accepted->session.close_all();
    charge(*accepted);
    past_traffic_.add(accepted->session.traffic());
    if (accepted->user) accepted->user->past.add(accepted->session.traffic());
    engine_.remove(accepted->session);
    accepted_.erase(accepted);
    engine_.dispose(std::unique_ptr<ServerSession>(accepted));
  }
  engine_.dispose(std::move(conversation));
}

void ServerWorker::handle_stream(ServerSession& accepted, std::uint32_t sid) {
  if (accepted.refused_at) return accepted.session.link().reset_stream(sid);
  accepted.session.attach(connect(accepted, sid));
}

void ServerWorker::handle_handed_over(ServerSession& accepted, std::uint32_t sid, HandedOver stream) {
  Session& session = accepted.session;
  if (stream.request.command == RequestCommand::kListen)
    return listeners_.open(session, sid, std::move(stream));
  const FlowPolicy& policy = accepted.user ? accepted.user->flow_policy : flow_policy_;
  std::unique_ptr<UdpFlow> flow = UdpFlow::open(session, sid, policy, flow_share_, stream.unsent);
  if (!flow) return session.link().reset_stream(sid);
  UdpFlow& opened = *flow;
  session.attach(std::move(flow));
  opened.handle_data(stream.unread);
}

// The listener may belong to another worker.
void ServerWorker::check_listener(std::size_t worker, const IpEndpoint& address) {
  ServerWorker* const holder = shared_.parts[worker];
  holder->engine_.mailbox().post([holder, address] { holder->listeners_.check(address); });
}

// Streams name their target if their client has marked them as request streams, or if the server has no
// target.
std::unique_ptr<Connection> ServerWorker::connect(ServerSession& accepted, std::uint32_t sid) {
  Session& session = accepted.session;
  using Accepted = RequestReader::Accepted;
  const bool marked = session.link().smux().kind(sid) == StreamKind::kRequest;
  if (!marked && !profile_.target_is_request) return std::make_unique<Connection>(session, sid, target_);
  return std::make_unique<Connection>(session, sid, targets_of(accepted),
                                      marked ? Accepted::kRequestStream : Accepted::kSocks5AndHttp);
}

// --- whole worker ---

Counters ServerWorker::counters() const {
  Counters sum = past_;
  for (const ServerSession* accepted : accepted_) sum.add_link(accepted->conversation.link, true);
  sum.passive_opens = demux_.counters().opened;
  sum.max_conn = most_;
  sum.add_udp(engine_.udp_counters());
  sum.in_csum_errors = engine_.counters().rejected_packets;
  return sum;
}

std::size_t ServerWorker::streams() const {
  std::size_t sum = 0;
  for (const ServerSession* accepted : accepted_) sum += accepted->session.connections();
  return sum;
}

// Open sessions read the changed profile the next time they use it. Connections being dialled keep their old
// target.
void ServerWorker::apply_profile(const std::vector<IpEndpoint>* remote) {
  if (remote) target_.replace(profile_.remote, *remote);
  listeners_.apply_rules();
  charge_all();  // what was moved under the quotas of before
  users_.apply(profile_);
  end_sessions_of_refused_users();
  engine_.for_each_socket([this](DatagramSocket& socket) { reconfigure_socket(socket, profile_); });
  for (ServerSession* accepted : accepted_) {
    configure(*accepted);
    engine_.wake(accepted->session);
  }
}

TunnelSnapshot ServerWorker::share() const {
  std::vector<SessionView> sessions;
  for (const ServerSession* accepted : accepted_)
    sessions.push_back(
        {&accepted->session, peer_of(*accepted), accepted->user ? accepted->user->user.name : std::string()});
  TunnelSnapshot share = snapshot_share(std::move(sessions), past_traffic_);
  share.peer = peer();
  share.users = user_snapshots();
  share.refused_clients = users_.refused();
  share.requests = request_totals_.requests;
  share.denied_requests = request_totals_.denied;
  share.flows = flow_share_.flows;
  share.refused_flows = flow_share_.refused;
  share.denied_datagrams = flow_share_.denied;
  share.listeners = listeners_.size();
  share.accepted_connections = listeners_.counters().accepted;
  share.refused_connections = listeners_.counters().refused;
  return share;
}

// A live client acknowledges at least our keepalives.
PeerSnapshot ServerWorker::peer_of(const ServerSession& accepted) const {
  const Duration silence = engine_.now() - accepted.heard_at;
  if (silence < profile_.link.smux.keepalive + kAnswerMargin) return {.state = PeerState::kConnected};
  return {.state = PeerState::kUnanswered,
          .since = std::round(unix_time() - std::chrono::duration<double>(silence).count())};
}

PeerSnapshot ServerWorker::peer() const {
  PeerSnapshot all;
  for (const ServerSession* accepted : accepted_) all = merge_parts(std::move(all), peer_of(*accepted));
  return all;
}

void ServerWorker::shut_down() {
  shut_down_ = true;
  for (ServerSession* accepted : accepted_) accepted->session.shut_down();
  charge_all();
}

}  // namespace kcptun
