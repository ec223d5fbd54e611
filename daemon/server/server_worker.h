// The server's share of one loop: conversations from anywhere, each stream joined to a connection to the target.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <unordered_set>
#include <vector>

#include "config/profile.h"
#include "core/link/demux.h"
#include "daemon/engine/engine.h"
#include "daemon/engine/hints.h"
#include "daemon/engine/session.h"
#include "daemon/engine/target.h"
#include "daemon/log/log.h"
#include "daemon/net/faketcp/server.h"
#include "daemon/server/forwarded_packets.h"
#include "daemon/server/session_registry.h"
#include "daemon/server/shared_replay_cache.h"
#include "daemon/worker/tunnel_worker.h"

namespace kcptun {

class ServerWorker;

/// What the server's parts share. Part number i has conversations under the number i in the registry.
struct ServerShared {
  std::size_t loops = 1;           // parts that there will be
  std::vector<ServerWorker*> parts;  // fixed before the loops run
  SessionRegistry registry;
  SharedReplayCache replay_cache;  // for a suite that knows sessions
};

/// A client that has a new address may be delivered to a loop that does not have its conversation; that loop passes its
/// packets on. All parts listen on the same addresses in the same order: passed on, Path::socket counts those.
class ServerWorker final : public TunnelWorker, private Session::Owner, private PacketReceiver {
 public:
  /// `profile`, `loop` and `shared` outlive the part, which adds itself to `shared`. It takes its part of the
  /// profile's sessions: as many as each of `shared.loops`. `targets`: the target's addresses, as
  /// far as they are known.
  ServerWorker(const Profile& profile, Engine& engine, ServerShared& shared, std::vector<IpEndpoint> targets);
  ~ServerWorker() override;

  /// Listens on one more address, or on a socket that is bound to it; gives the descriptor. The error names the address.
  Result<int> listen(const IpEndpoint& address, bool share_port, FileDescriptor bound = FileDescriptor());
  /// Listens on these ports of the disguise too; the error names the address.
  Result<bool> listen_fake_tcp(const IpEndpoint& address, std::span<const std::uint16_t> ports,
                                FakeTcpServer::Share share);

  Counters counters() const override;
  std::size_t streams() const override;
  PeerSnapshot peer() const override;
  void apply_profile(const std::vector<IpEndpoint>* remote) override;
  TunnelSnapshot share() const override;
  void shut_down() override;

  /// Packets from other loops that wait for this one; more are dropped.
  static constexpr std::size_t kMaxForwarded = 4096;

 private:
  struct ServerSession;

  void handle_run(TimePoint now, const Path& path, std::span<const Packet> packets) override;
  void handle_stream(Session& session, std::uint32_t sid) override;
  void handle_closed(Session& session, std::string_view reason) override;
  void finish_run();
  void follow(SessionEntry& conversation);
  void send_challenges();
  void forward(const Path& path);
  void post(ForwardedPackets run);
  void handle_forwarded(const ForwardedPackets& run);
  void watch_rejected(TimePoint now, const IpEndpoint& remote, std::span<const Packet> packets);
  void accept(SessionEntry& conversation);
  void announce(ServerSession& accepted) const;
  PeerSnapshot peer_of(const ServerSession& accepted) const;
  void retire(std::unique_ptr<SessionEntry> conversation, std::string_view reason);
  void log_refusals(TimePoint now);

  EventLog log() const { return EventLog(profile_.name); }

  const Profile& profile_;
  Engine& engine_;
  ServerShared& shared_;
  Demux demux_;
  std::vector<std::uint32_t> sockets_;     // their indices, in the order of listen(), which is the same on all loops
  std::atomic<std::size_t> forwarded_{0};  // packets that wait for us
  Target target_;
  std::unordered_set<ServerSession*> accepted_;  // owned; also the tags of their conversations
  Counters past_;
  RejectedPeers rejected_;
  HintLimiter hints_;
  Traffic past_traffic_;
  std::uint64_t most_ = 0;
  TimePoint refusals_logged_at_{};           // when the log last said that sessions are refused
  std::uint64_t refusals_logged_ = 0;  // how many it has told of
  bool shut_down_ = false;
};

}  // namespace kcptun
