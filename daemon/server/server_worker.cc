#include "daemon/server/server_worker.h"

#include <sodium.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <utility>

#include "daemon/net/address.h"
#include "daemon/worker/snapshot_taker.h"
#include "daemon/worker/tunnel_sockets.h"

namespace kcptun {
namespace {

// How often, at most, the log says that sessions are refused.
constexpr Duration kRefusalLogInterval = seconds(60);

// What a keepalive's answer may take: a long round trip and a few losses.
constexpr Duration kAnswerMargin = seconds(5);

// Each loop keeps its part: they share no table, and the kernel spreads the clients.
std::size_t sessions_of_a_loop(const Profile& profile, const ServerShared& shared) {
  return (profile.max_sessions + shared.loops - 1) / shared.loops;
}

DemuxSettings place_of(ServerShared& shared) {
  DemuxSettings place{&shared.registry, static_cast<std::uint32_t>(shared.parts.size()), 0, &shared.replay_cache};
  randombytes_buf(&place.seed, sizeof place.seed);
  return place;
}

}  // namespace

// --- conversations ---

// A conversation's session. The demux owns the conversation, this part owns the session.
struct ServerWorker::ServerSession {
  ServerSession(ServerWorker& part, SessionEntry& of)
      : conversation(of), session(part.engine_, of.link, part, of.path, part.profile_) {}
  SessionEntry& conversation;
  Session session;
  FullSizeWatch full_size;
  bool announced = false;
  std::uint64_t segments = 0;  // that had come from the client at heard_at
  TimePoint heard_at{};
};

ServerWorker::ServerWorker(const Profile& profile, Engine& engine, ServerShared& shared, std::vector<IpEndpoint> targets)
    : profile_(profile),
      engine_(engine),
      shared_(shared),
      demux_(engine.context(), sessions_of_a_loop(profile, shared), place_of(shared)),
      target_(engine, profile.remote, std::move(targets)) {
  if (shared.parts.empty()) target_.look_up_early(log());
  shared.parts.push_back(this);
}

ServerWorker::~ServerWorker() {
  for (ServerSession* accepted : accepted_) delete accepted;
}

Result<int> ServerWorker::listen(const IpEndpoint& address, bool share_port, FileDescriptor bound) {
  UdpSocket::Options options = udp_options(profile_, engine_.next_socket_index());
  options.reuse_port = share_port;
  options.receive_info = is_wildcard(address);
  Result<UdpSocket> socket =
      bound.valid() ? UdpSocket::adopt(std::move(bound), address, options) : UdpSocket::bind(address, options);
  if (!socket) return Error{socket.error()};
  set_up_socket(*socket, profile_);
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
  set_up_socket(**socket, profile_);
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
  log_refusals(engine_.now());
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
  if (const TimePoint now = engine_.now(); accepted->full_size.handle_run(now, conversation.link.kcp()) &&
                                         !profile_.link.kcp.find_mtu && hints_.take(Hint::kFullSize, now))
    log().warning("hint", {{"text", explain_full_size(conversation.path.remote, profile_)}});
  engine_.wake(accepted->session);
}

// --- clients that move ---

void ServerWorker::send_challenges() {
  for (const Demux::Challenged& asked : demux_.challenges()) {
    if (engine_.blocked() || (engine_.batch().room() == 0 && !engine_.send_batch())) return;  // it is asked again
    asked.conversation->link.append_challenge(engine_.now(), asked.challenge.path, asked.challenge.token, engine_.batch());
  }
}

void ServerWorker::forward(const Path& path) {
  if (demux_.misrouted().empty()) return;
  const auto socket = std::ranges::find(sockets_, path.socket);
  if (socket == sockets_.end()) return;  // the disguise: its connections belong to their loop, the client dials anew
  Path counted = path;
  counted.socket = static_cast<std::uint32_t>(socket - sockets_.begin());
  for (const Demux::Misrouted& stray : demux_.misrouted()) shared_.parts[stray.loop]->post(ForwardedPackets(counted, stray.packets));
}

// From any loop's thread.
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
  engine_.flush();  // passes all views on: the run goes
}

// A client with another key or cipher gets no answer at all; the log is the only place to find out.
void ServerWorker::watch_rejected(TimePoint now, const IpEndpoint& remote, std::span<const Packet> packets) {
  const auto rejected = static_cast<std::size_t>(
      std::ranges::count_if(packets, [](const Packet& packet) { return packet.size == 0; }));
  if (rejected < packets.size()) return rejected_.handle_good(remote);
  if (rejected_.handle_rejected(remote, rejected) && hints_.take(Hint::kOnlyRejected, now))
    log().warning("hint", {{"text", explain_rejected(remote, profile_)}});
}

void ServerWorker::accept(SessionEntry& conversation) {
  auto* accepted = new ServerSession(*this, conversation);
  accepted_.insert(accepted);
  conversation.tag = reinterpret_cast<std::uintptr_t>(accepted);
  most_ = std::max<std::uint64_t>(most_, demux_.size());
}

// Only sessions that have carried a stream are worth a line: a flood of others must not fill the disk.
void ServerWorker::announce(ServerSession& accepted) const {
  const SessionEntry& conversation = accepted.conversation;
  if (!conversation.established || std::exchange(accepted.announced, true)) return;
  log().info("session opened",
             {{"conv", hex_id(conversation.link.conv())}, {"remote", to_string(conversation.path.remote)}});
}

// Clocks that differ look to the client like a server that is not there: this is where one finds out. Packets of a
// session that was open before are late ones, or recordings that do no harm; nobody need know.
void ServerWorker::log_refusals(TimePoint now) {
  const auto refusal = demux_.take_refusal();
  if (!refusal || refusal->why == SessionRefusal::kKnown || refusal->why == SessionRefusal::kServerJustStarted) return;
  if (refusals_logged_at_ != TimePoint{} && now - refusals_logged_at_ < kRefusalLogInterval) return;
  refusals_logged_at_ = now;
  const std::uint64_t refused = demux_.counters().sessions_refused;
  log().warning("session refused",
                {{"remote", to_string(refusal->remote)},
                 {"why", to_text(refusal->why)},
                 {"clock_ahead_seconds", refusal->ahead.count()},
                 {"packets", refused - std::exchange(refusals_logged_, refused)},
                 {"late_seconds_allowed", ReplayCache::kMaxAge.count()},
                 {"early_seconds_allowed", ReplayCache::kMaxClockSkew.count()},
                 {"remedy", "set the clocks of client and server; or a recording is played again"}});
}

// The session goes before the link that it drives; both after the callbacks that may be under way.
void ServerWorker::retire(std::unique_ptr<SessionEntry> conversation, std::string_view reason) {
  if (conversation->established)
    log().info("session closed", {{"conv", hex_id(conversation->link.conv())},
                                  {"remote", to_string(conversation->path.remote)},
                                  {"reason", reason}});
  if (const std::string why = explain_end(conversation->link, profile_);
      !why.empty() && hints_.take(Hint::kMismatch, engine_.now()))
    log().warning("hint", {{"text", why}});
  past_.add_link(conversation->link, false);
  if (auto* accepted = reinterpret_cast<ServerSession*>(conversation->tag)) {
    accepted->session.close_all();
    past_traffic_.add(accepted->session.traffic());
    engine_.forget(accepted->session);
    accepted_.erase(accepted);
    engine_.dispose(std::unique_ptr<ServerSession>(accepted));
  }
  engine_.dispose(std::move(conversation));
}

void ServerWorker::handle_closed(Session& session, std::string_view reason) {
  const auto it = std::find_if(accepted_.begin(), accepted_.end(),
                               [&session](const ServerSession* accepted) { return &accepted->session == &session; });
  if (it != accepted_.end()) retire(demux_.end(engine_.now(), (*it)->conversation), reason);
}

void ServerWorker::handle_stream(Session& session, std::uint32_t sid) {
  session.attach(std::make_unique<Connection>(session, sid, target_));
}

// --- the whole ---

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

// What sessions ask of the profile while they live, they find changed. Connections that are being made go on to the
// target that they began with.
void ServerWorker::apply_profile(const std::vector<IpEndpoint>* remote) {
  if (remote) target_.replace(profile_.remote, *remote);
  engine_.for_each_socket([this](DatagramSocket& socket) { change_socket(socket, profile_); });
  for (ServerSession* accepted : accepted_) {
    accepted->conversation.link.update_settings(link_settings(profile_), engine_.now());
    engine_.wake(accepted->session);
  }
}

TunnelSnapshot ServerWorker::share() const {
  std::vector<SessionView> sessions;
  for (const ServerSession* accepted : accepted_) sessions.push_back({&accepted->session, peer_of(*accepted)});
  TunnelSnapshot share = take_share(std::move(sessions), past_traffic_);
  share.peer = peer();
  return share;
}

// A live client acknowledges at least our keepalives.
PeerSnapshot ServerWorker::peer_of(const ServerSession& accepted) const {
  const Duration silence = engine_.now() - accepted.heard_at;
  if (silence < profile_.link.smux.keepalive + kAnswerMargin) return {.state = PeerState::kConnected};
  return {.state = PeerState::kUnanswered, .since = std::round(unix_time() - std::chrono::duration<double>(silence).count())};
}

PeerSnapshot ServerWorker::peer() const {
  PeerSnapshot all;
  for (const ServerSession* accepted : accepted_) all = merge_parts(std::move(all), peer_of(*accepted));
  return all;
}

void ServerWorker::shut_down() {
  shut_down_ = true;
  for (ServerSession* accepted : accepted_) accepted->session.shut_down();
}

}  // namespace kcptun
