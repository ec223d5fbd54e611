// The server's share of one engine: accepts sessions and joins each stream with a connection to the target.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <unordered_set>
#include <vector>

#include "config/profile.h"
#include "core/link/demux.h"
#include "daemon/engine/alarm.h"
#include "daemon/engine/engine.h"
#include "daemon/engine/hints.h"
#include "daemon/engine/session.h"
#include "daemon/engine/target.h"
#include "daemon/log/log.h"
#include "daemon/net/faketcp/server.h"
#include "daemon/server/forwarded_packets.h"
#include "daemon/server/listener_registry.h"
#include "daemon/server/listener_table.h"
#include "daemon/server/rule_flow_policy.h"
#include "daemon/server/session_registry.h"
#include "daemon/server/shared_replay_cache.h"
#include "daemon/server/udp_flow.h"
#include "daemon/server/user_table.h"
#include "daemon/worker/tunnel_worker.h"

namespace kcptun {

class ServerWorker;

/// State shared by the server's workers. The registry stores the sessions of worker i under the number i.
struct ServerShared {
  std::size_t loops = 1;             // number of workers that will exist
  std::vector<ServerWorker*> parts;  // constant once the loops run
  SessionRegistry registry;
  SharedReplayCache replay_cache;  // used if the suite has session ids
  ListenerRegistry listeners;      // that clients have asked for
  UserAccounts accounts;           // of users with a quota
  UserRates rates;
  HintLimiter hints;
};

/// After a client's address changes, the kernel may deliver its packets to another worker than the session's,
/// which forwards them. All workers listen on the same addresses in the same order: in forwarded packets,
/// Path::socket is the index in that order.
class ServerWorker final : public TunnelWorker, private PacketReceiver {
 public:
  /// `profile`, `engine` and `shared` outlive the worker, which adds itself to `shared`. The worker takes an
  /// equal share of the profile's session limit. `targets`: the target's known addresses.
  ServerWorker(const Profile& profile, Engine& engine, ServerShared& shared, std::vector<IpEndpoint> targets);
  ~ServerWorker() override;

  /// Listens on one more address, or on a socket that is bound to it. Returns the descriptor. The error names
  /// the address.
  Result<int> listen(const IpEndpoint& address, bool share_port, FileDescriptor bound = FileDescriptor());
  /// Also listens on these ports with fake TCP. The error names the address.
  Result<bool> listen_fake_tcp(const IpEndpoint& address, std::span<const std::uint16_t> ports,
                               FakeTcpServer::Share share);

  Counters counters() const override;
  std::size_t streams() const override;
  PeerSnapshot peer() const override;
  void apply_profile(const std::vector<IpEndpoint>* remote) override;
  TunnelSnapshot share() const override;
  void shut_down() override;

  /// Maximum number of forwarded packets that wait for this worker; further ones are dropped.
  static constexpr std::size_t kMaxForwarded = 4096;

 private:
  struct ServerSession;

  void handle_run(TimePoint now, const Path& path, std::span<const Packet> packets) override;
  void handle_stream(ServerSession& accepted, std::uint32_t sid);
  void handle_handed_over(ServerSession& accepted, std::uint32_t sid, HandedOver stream);
  void check_listener(std::size_t worker, const IpEndpoint& address);
  std::unique_ptr<Connection> connect(ServerSession& accepted, std::uint32_t sid);
  void finish_run();
  void follow(SessionEntry& conversation);
  void send_challenges();
  void send_cookies();
  void forward(const Path& path);
  void post(ForwardedPackets run);
  void handle_forwarded(const ForwardedPackets& run);
  void watch_rejected(TimePoint now, const IpEndpoint& remote, std::span<const Packet> packets);
  void accept(SessionEntry& conversation);
  void announce(ServerSession& accepted) const;
  PeerSnapshot peer_of(const ServerSession& accepted) const;
  void retire(std::unique_ptr<SessionEntry> conversation, std::string_view reason);
  void log_rejections(TimePoint now);
  void log_refused_client(TimePoint now);
  RequestTargets& targets_of(const ServerSession& accepted);
  void configure(ServerSession& accepted);
  void charge(ServerSession& accepted);
  void charge_all();
  void check_quota(ServerSession& accepted);
  void end_sessions_of_refused_users();
  std::vector<UserSnapshot> user_snapshots() const;

  EventLog log() const { return EventLog(profile_.name); }

  const Profile& profile_;
  Engine& engine_;
  ServerShared& shared_;
  RequestTotals request_totals_;
  // Socket indexes in the order of listen(), which is the same on all workers.
  std::vector<std::uint32_t> sockets_;
  std::atomic<std::size_t> forwarded_{0};  // forwarded packets that wait for this worker
  Target target_;
  RequestTargets request_targets_;
  RuleFlowPolicy flow_policy_;
  FlowShare flow_share_;
  ListenerTable listeners_;
  UserTable users_;
  Demux demux_;
  std::unordered_set<ServerSession*> accepted_;  // owned; the pointers are also the tags of their sessions
  Counters past_;
  RejectedPeers rejected_;
  Traffic past_traffic_;
  std::uint64_t most_ = 0;
  Alarm user_check_;                      // of users who may connect no more, and of their sessions
  TimePoint refused_client_logged_at_{};  // when a refused client was last logged
  TimePoint rejections_logged_at_{};      // when refused sessions were last logged
  std::uint64_t rejections_logged_ = 0;   // number of refusals logged so far
  bool shut_down_ = false;
};

}  // namespace kcptun
