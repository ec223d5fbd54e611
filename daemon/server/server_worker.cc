#include "daemon/server/server_worker.h"

#include <sodium.h>

#include <algorithm>
#include <utility>

#include "daemon/net/address.h"
#include "daemon/worker/snapshot_taker.h"
#include "daemon/worker/tunnel_sockets.h"

namespace kcptun {
namespace {

// How often, at most, the log says that sessions are refused.
constexpr Duration kTellRefusalsEvery = seconds(60);

// Each loop keeps its part: they share no table, and the kernel spreads the clients.
std::size_t sessions_of_a_loop(const Profile& profile, const ServerShared& shared) {
  return (profile.max_sessions + shared.loops - 1) / shared.loops;
}

DemuxPlace place_of(ServerShared& shared) {
  DemuxPlace place{&shared.registry, static_cast<std::uint32_t>(shared.parts.size()), 0, &shared.session_gate};
  randombytes_buf(&place.seed, sizeof place.seed);
  return place;
}

}  // namespace

// --- conversations ---

// A conversation's session. The demux owns the conversation, this part owns the session.
struct ServerPart::Accepted {
  Accepted(ServerPart& part, Conversation& of)
      : conversation(of), session(part.loop_, of.link, part, of.path, part.profile_) {}
  Conversation& conversation;
  Session session;
  FullSizeWatch full_size;
  bool announced = false;
};

ServerPart::ServerPart(const Profile& profile, Loop& loop, ServerShared& shared, std::vector<IpEndpoint> targets)
    : profile_(profile),
      loop_(loop),
      shared_(shared),
      demux_(loop.context(), sessions_of_a_loop(profile, shared), place_of(shared)),
      target_(loop, profile.remote, std::move(targets)) {
  if (shared.parts.empty()) target_.look_up_early(log());
  shared.parts.push_back(this);
}

ServerPart::~ServerPart() {
  for (Accepted* accepted : accepted_) delete accepted;
}

Result<int> ServerPart::listen(const IpEndpoint& address, bool share_port, FileDescriptor bound) {
  UdpSocket::Options options = udp_options(profile_, loop_.next_socket_index());
  options.reuse_port = share_port;
  options.receive_info = is_wildcard(address);
  Result<UdpSocket> socket =
      bound.valid() ? UdpSocket::adopt(std::move(bound), address, options) : UdpSocket::bind(address, options);
  if (!socket) return Error{socket.error()};
  set_up_socket(*socket, profile_);
  const int fd = socket->fd();
  sockets_.push_back(options.index);
  loop_.add_socket(std::move(*socket), *this);
  return fd;
}

Result<bool> ServerPart::listen_disguised(const IpEndpoint& address, std::span<const std::uint16_t> ports,
                                          DisguisedServer::Share share) {
  Result<std::unique_ptr<DisguisedServer>> socket =
      DisguisedServer::listen(address, ports, share, disguise_options(profile_, loop_.next_socket_index()));
  if (!socket) return Error{socket.error()};
  set_up_socket(**socket, profile_);
  loop_.add_socket(std::move(*socket), *this);
  return true;
}

void ServerPart::handle_run(TimePoint now, const Path& path, std::span<const Packet> packets) {
  if (shut_down_) return;
  watch_rejected(now, path.remote, packets);
  demux_.handle_run(now, path, packets);
  pass_on(path);
  finish_run();
}

void ServerPart::finish_run() {
  send_challenges();
  tell_of_refusals(loop_.now());
  for (std::unique_ptr<Conversation>& replaced : demux_.take_replaced())
    retire(std::move(replaced), "replaced by a newer one from its address");
  for (std::unique_ptr<Conversation>& evicted : demux_.take_evicted())
    retire(std::move(evicted), "it had no stream and made room");
  for (Conversation* conversation : demux_.take_touched()) {
    if (conversation->tag == 0) accept(*conversation);
    follow(*conversation);
  }
}

void ServerPart::follow(Conversation& conversation) {
  auto* accepted = reinterpret_cast<Accepted*>(conversation.tag);
  announce(*accepted);
  const IpEndpoint before = accepted->session.path().remote;
  if (before != conversation.path.remote)
    log().info("session moved", {{"conv", hex_id(conversation.link.conv())},
                                 {"from", to_string(before)},
                                 {"remote", to_string(conversation.path.remote)}});
  accepted->session.set_path(conversation.path);
  if (const TimePoint now = loop_.now(); accepted->full_size.handle_run(now, conversation.link.kcp()) &&
                                         !profile_.link.kcp.find_mtu && hints_.take(Hint::kFullSize, now))
    log().warning("hint", {{"text", explain_full_size(conversation.path.remote, profile_)}});
  loop_.wake(accepted->session);
}

// --- clients that move ---

void ServerPart::send_challenges() {
  for (const Demux::Challenged& asked : demux_.challenges()) {
    if (loop_.blocked() || (loop_.batch().room() == 0 && !loop_.send_batch())) return;  // it is asked again
    asked.conversation->link.append_challenge(loop_.now(), asked.challenge.path, asked.challenge.token, loop_.batch());
  }
}

void ServerPart::pass_on(const Path& path) {
  if (demux_.strays().empty()) return;
  const auto socket = std::ranges::find(sockets_, path.socket);
  if (socket == sockets_.end()) return;  // the disguise: its connections belong to their loop, the client dials anew
  Path counted = path;
  counted.socket = static_cast<std::uint32_t>(socket - sockets_.begin());
  for (const Demux::Stray& stray : demux_.strays()) shared_.parts[stray.loop]->post(PassedRun(counted, stray.packets));
}

// From any loop's thread.
void ServerPart::post(PassedRun run) {
  const std::size_t count = run.packets().size();
  if (passed_on_.fetch_add(count, std::memory_order_relaxed) + count > kMaxPassedOn) {
    passed_on_.fetch_sub(count, std::memory_order_relaxed);
    return;
  }
  loop_.mailbox().post([this, passed = std::make_shared<PassedRun>(std::move(run))] {
    passed_on_.fetch_sub(passed->packets().size(), std::memory_order_relaxed);
    handle_passed_on(*passed);
  });
}

void ServerPart::handle_passed_on(const PassedRun& run) {
  if (shut_down_) return;
  Path path = run.path();
  path.socket = sockets_.at(path.socket);
  demux_.handle_passed_on(loop_.now(), path, run.packets());
  finish_run();
  loop_.flush();  // passes all views on: the run goes
}

// A client with another key or cipher gets no answer at all; the log is the only place to find out.
void ServerPart::watch_rejected(TimePoint now, const IpEndpoint& remote, std::span<const Packet> packets) {
  const auto rejected = static_cast<std::size_t>(
      std::ranges::count_if(packets, [](const Packet& packet) { return packet.size == 0; }));
  if (rejected < packets.size()) return rejected_.handle_good(remote);
  if (rejected_.handle_rejected(remote, rejected) && hints_.take(Hint::kOnlyRejected, now))
    log().warning("hint", {{"text", explain_rejected(remote, profile_)}});
}

void ServerPart::accept(Conversation& conversation) {
  auto* accepted = new Accepted(*this, conversation);
  accepted_.insert(accepted);
  conversation.tag = reinterpret_cast<std::uintptr_t>(accepted);
  most_ = std::max<std::uint64_t>(most_, demux_.size());
}

// Only sessions that have carried a stream are worth a line: a flood of others must not fill the disk.
void ServerPart::announce(Accepted& accepted) const {
  const Conversation& conversation = accepted.conversation;
  if (!conversation.established || std::exchange(accepted.announced, true)) return;
  log().info("session opened",
             {{"conv", hex_id(conversation.link.conv())}, {"remote", to_string(conversation.path.remote)}});
}

// Clocks that differ look to the client like a server that is not there: this is where one finds out. Packets of a
// session that was open before are late ones, or recordings that do no harm; nobody need know.
void ServerPart::tell_of_refusals(TimePoint now) {
  const auto refusal = demux_.take_refusal();
  if (!refusal || refusal->why == SessionRefusal::kKnown || refusal->why == SessionRefusal::kTooSoon) return;
  if (refusals_told_ != TimePoint{} && now - refusals_told_ < kTellRefusalsEvery) return;
  refusals_told_ = now;
  const std::uint64_t refused = demux_.counters().sessions_refused;
  log().warning("session refused",
                {{"remote", to_string(refusal->remote)},
                 {"why", to_text(refusal->why)},
                 {"clock_ahead_seconds", refusal->ahead.count()},
                 {"packets", refused - std::exchange(refusals_reported_, refused)},
                 {"late_seconds_allowed", SessionGate::kMostLate.count()},
                 {"early_seconds_allowed", SessionGate::kMostEarly.count()},
                 {"remedy", "set the clocks of client and server; or a recording is played again"}});
}

// The session goes before the link that it drives; both after the callbacks that may be under way.
void ServerPart::retire(std::unique_ptr<Conversation> conversation, std::string_view reason) {
  if (conversation->established)
    log().info("session closed", {{"conv", hex_id(conversation->link.conv())},
                                  {"remote", to_string(conversation->path.remote)},
                                  {"reason", reason}});
  if (const std::string why = explain_end(conversation->link, profile_);
      !why.empty() && hints_.take(Hint::kMismatch, loop_.now()))
    log().warning("hint", {{"text", why}});
  past_.add_link(conversation->link, false);
  if (auto* accepted = reinterpret_cast<Accepted*>(conversation->tag)) {
    accepted->session.close_all();
    past_traffic_.add(accepted->session.traffic());
    loop_.forget(accepted->session);
    accepted_.erase(accepted);
    loop_.dispose(std::unique_ptr<Accepted>(accepted));
  }
  loop_.dispose(std::move(conversation));
}

void ServerPart::handle_closed(Session& session, std::string_view reason) {
  const auto it = std::find_if(accepted_.begin(), accepted_.end(),
                               [&session](const Accepted* accepted) { return &accepted->session == &session; });
  if (it != accepted_.end()) retire(demux_.end(loop_.now(), (*it)->conversation), reason);
}

void ServerPart::handle_stream(Session& session, std::uint32_t sid) {
  session.attach(std::make_unique<Connection>(session, sid, target_));
}

// --- the whole ---

Counters ServerPart::counters() const {
  Counters sum = past_;
  for (const Accepted* accepted : accepted_) sum.add_link(accepted->conversation.link, true);
  sum.passive_opens = demux_.counters().opened;
  sum.max_conn = most_;
  sum.add_udp(loop_.udp_counters());
  sum.in_csum_errors = loop_.counters().rejected_packets;
  return sum;
}

std::size_t ServerPart::streams() const {
  std::size_t sum = 0;
  for (const Accepted* accepted : accepted_) sum += accepted->session.connections();
  return sum;
}

// What sessions ask of the profile while they live, they find changed. Connections that are being made go on to the
// target that they began with.
void ServerPart::apply_profile(const std::vector<IpEndpoint>* remote) {
  if (remote) target_.replace(profile_.remote, *remote);
  loop_.for_each_socket([this](DatagramSocket& socket) { change_socket(socket, profile_); });
  for (Accepted* accepted : accepted_) {
    accepted->conversation.link.retune(link_settings(profile_), loop_.now());
    loop_.wake(accepted->session);
  }
}

TunnelSnapshot ServerPart::share() const {
  std::vector<const Session*> sessions;
  for (const Accepted* accepted : accepted_) sessions.push_back(&accepted->session);
  return take_share(std::move(sessions), past_traffic_);
}

void ServerPart::shut_down() {
  shut_down_ = true;
  for (Accepted* accepted : accepted_) accepted->session.shut_down();
}

}  // namespace kcptun
