// The client's share of one engine: accepts connections and carries them over its sessions.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "config/profile.h"
#include "core/base/random.h"
#include "daemon/client/association.h"
#include "daemon/client/entrance.h"
#include "daemon/client/health_checker.h"
#include "daemon/client/reachability.h"
#include "daemon/client/reverse_keeper.h"
#include "daemon/client/server_finder.h"
#include "daemon/client/slot_choice.h"
#include "daemon/client/udp_entrance.h"
#include "daemon/engine/alarm.h"
#include "daemon/engine/engine.h"
#include "daemon/engine/hints.h"
#include "daemon/engine/session.h"
#include "daemon/io/listener.h"
#include "daemon/io/network_watch.h"
#include "daemon/log/log.h"
#include "daemon/net/faketcp/firewall.h"
#include "daemon/net/socket_reserve.h"
#include "daemon/worker/tunnel_worker.h"

namespace kcptun {

class ClientWorker;

/// State shared by the client's workers: the round-robin position. Session slot i belongs to worker i %
/// parts.size().
struct ClientShared {
  std::vector<ClientWorker*> parts;  // constant once the loops run
  std::atomic<std::uint64_t> next_slot{0};
  Firewall* firewall = nullptr;           // tcp mode; outlives the workers
  std::vector<ForwardCounters> forwards;  // of the profile's forwards, then of its reverse forwards
  HintLimiter hints;
};

/// Manages the session slots of its engine; a slot holds at most one session. Connections go round robin over
/// the slots. With `conn auto` there are kMaxAutoSessions slots, all on one engine, and choose_slot()
/// decides: a further session is dialled while all others are saturated, and closed once it was idle for
/// Profile::fold_after. The first session is dialled as
/// soon as the server's address is known and this host has a route to it (ServerFinder). If a session has
/// ended, the next connection for its slot dials again, with a new lookup of the name. A session that
/// Link::suspected_dead reports as probably dead is replaced in the same way: it keeps its streams, which
/// continue if the path recovers, but takes no new ones.
///
/// If the network has changed so that a session's packets would leave from another address, the session gets
/// a new socket. Servers of this project follow it (Demux).
///
/// With several servers, each session goes to the best one by HealthChecker. Connections wait until the first
/// server has answered or all have failed. When another server becomes the best, sessions keep their streams,
/// and new connections use a session to that server.
///
/// When a session ends because its server restarted or stopped answering, streams of which nothing can have
/// been forwarded restart in another session, with the bytes that the first one read (ReplayBuffer).
///
/// With Profile::hop, sessions change their ports at intervals, or are replaced where the server would not
/// follow (hops.cc).
///
/// While no session is left because the server failed, the first slot is dialled again now and then
/// (Reachability).
///
/// Bounds: kMaxWaiting connections per slot wait for a dial, each for kMaxWait.
class ClientWorker final : public TunnelWorker,
                           private FlowEntrance::Sessions,
                           private ReverseKeeper::Sessions {
 public:
  /// `profile`, `engine` and `shared` outlive the worker. `remotes`: the server's known addresses; empty with
  /// several servers.
  ClientWorker(const Profile& profile, Engine& engine, ClientShared& shared, std::vector<IpEndpoint> remotes);
  ~ClientWorker() override;

  /// Adds slot number `slot` (numbered over all workers) and dials its session now or later.
  void add_slot(std::size_t slot);
  /// Also accepts from `listening`, on behalf of all workers.
  void listen(FileDescriptor listening);
  /// The same for a forward.
  void listen(FileDescriptor listening, const Forward& forward);
  /// Also takes the socket's datagrams, for `target` behind the server; none: a firewall's TPROXY leads them
  /// here, each to its own destination. Flows use the sessions of this worker. REQUIRES: the profile's
  /// capabilities are kRequestStreams and kDatagramPackets. The error names the address.
  Result<IpEndpoint> listen_udp(FlowSocket socket, const std::optional<Socks5Address>& target,
                                ForwardCounters* counters = nullptr);
  /// Keeps the profile's reverse forwards open. REQUIRES: it has the first slot, and the profile's
  /// capabilities are kRequestStreams and kServerStreams.
  void keep_reverses();
  /// Opens one spare socket per slot for later sessions, if the process would lack the privilege for such
  /// sockets later.
  void fill_reserve();
  /// Takes a connection for slot number `slot`, which belongs to this worker.
  void take(LocalConnection connection, std::size_t slot);

  Counters counters() const override;
  std::size_t streams() const override;
  PeerSnapshot peer() const override;
  void apply_profile(const std::vector<IpEndpoint>* remote) override;
  TunnelSnapshot share() const override;
  void shut_down() override;

  static constexpr std::size_t kMaxWaiting = 1024;
  static constexpr Duration kMaxWait = seconds(10);
  /// UDP associations of applications. Each has three descriptors, one of them at the server.
  static constexpr std::size_t kMaxAssociations = 1024;
  /// Sessions that have been replaced and still have streams. With as many, --hop replaces no further one:
  /// each has a socket, and a session at the server.
  static constexpr std::size_t kMaxLeftSessions = 64;

 private:
  struct ClientSession;
  struct Waiting {
    LocalConnection connection;
    TimePoint since;
  };
  struct Slot {
    std::unique_ptr<ClientSession> session;  // takes new connections
    std::deque<Waiting> waiting;             // for a session, oldest first
    bool wanted = false;                     // true if a session is to be dialled as soon as possible
  };

  Session* session_for_flow() override;
  Session* session_for_flow(Slot& slot);
  void associate(FileDescriptor connection, const std::string& entrance, ForwardCounters& counters);
  void end(Association& association);
  // client_reverses.cc
  std::optional<ReverseKeeper::Host> host_for_reverses() override;
  void dial_for_reverses() override;
  std::vector<ForwardSnapshot> forward_snapshots() const;
  void accept_reverse(ClientSession& session, std::uint32_t sid);
  void handle_closed(ClientSession& session, std::string_view reason);
  std::string_view check_unanswered(ClientSession& session, TimePoint now);
  bool is_port_unreachable(ClientSession& session, TimePoint now) const;
  bool is_superseded(ClientSession& session, TimePoint now);
  bool replacement_may_help(const ClientSession& session) const;
  bool may_restart_streams(const ClientSession& session, bool gone) const;
  void restart_streams(ClientSession& session);
  std::unique_ptr<ClientSession> release(ClientSession& session);
  // --hop (hops.cc)
  static bool server_follows(const ClientSession& session);
  void plan_hop(ClientSession& session);
  IpEndpoint next_remote(const ClientSession& session);
  void hop_sessions(TimePoint now);
  void hop(ClientSession& session, TimePoint now);
  void begin_hop(ClientSession& session, TimePoint now);
  void continue_hop(ClientSession& session, TimePoint now);
  void handle_hop_packet(ClientSession& session, const Path& path);
  void end_hop(ClientSession& session);
  void note_hop_failure(const IpEndpoint& remote, const std::string& reason);
  void begin_replacement(ClientSession& session, TimePoint now);
  void handle_replacement_answered(ClientSession& replacement);
  void give_up_replacements(TimePoint now);
  void accept(LocalConnection connection);
  // conn auto (auto_sessions.cc)
  using SlotLoads = std::array<SlotLoad, kMaxAutoSessions>;
  SlotLoads slot_loads() const;
  std::size_t choose_auto_slot();
  Slot& choose_auto_flow_slot();
  SlotLoad load_of(const Slot& slot) const;
  bool dial_further(Slot& slot);
  void fold(TimePoint now);
  bool fold_if_idle(Slot& slot, TimePoint now);
  void admit(LocalConnection connection, Slot& slot);
  void serve(LocalConnection connection, Slot& slot);
  void wait(LocalConnection connection, Slot& slot);
  std::size_t live_sessions() const;
  EventLog log() const { return EventLog(profile_.name); }
  template <typename Visit>
  void for_each_session(Visit visit) const;
  void redial(Slot& slot);
  void handle_found();
  void close_overdue(TimePoint now);
  Result<bool> dial(Slot& slot);
  Result<bool> dial_one(Slot& slot);
  Result<bool> dial_at(Slot& slot, const HostPort& server, const IpEndpoint& remote);
  Result<std::unique_ptr<ClientSession>> make_session(std::size_t slot, const HostPort& server,
                                                      const IpEndpoint& remote);
  void serve_waiting(Slot& slot);
  void watch_servers();
  void handle_servers_changed();
  Result<std::unique_ptr<DatagramSocket>> open_session_socket(const IpEndpoint& remote);
  Result<std::unique_ptr<DatagramSocket>> open_socket(const IpEndpoint& remote, std::uint32_t index,
                                                      FileDescriptor reserved = FileDescriptor());
  void account(const ClientSession& session);
  void report_to_finder(const ClientSession& session);
  void keep_socket(std::uint32_t index);
  void expire(Slot& slot);
  void mark_suspect(Slot& slot);
  void set_unusable_aside(Slot& slot);
  void handle_overdue(ClientSession& session);
  void drain(Slot& slot);
  void scavenge(TimePoint now);
  void handle_send_failure(TimePoint now);
  void follow_network(TimePoint now);
  void follow_network(ClientSession& session, TimePoint now);
  PeerSnapshot peer_of(const ClientSession& session, TimePoint now) const;
  PeerSnapshot peer_of_sessions(TimePoint now) const;
  void handle_answer(ClientSession& session);
  void note_failure(const ClientSession& session, TimePoint now);
  void redial_later();
  void dial_again();
  void explain(const Link& link);
  void explain_vanishing(const ClientSession& session, TimePoint now);
  void explain_unanswered(TimePoint now);
  void explain_no_answer(const ClientSession& session, TimePoint now);

  const Profile& profile_;
  Engine& engine_;
  ClientShared& shared_;
  Random random_;
  ServerFinder finder_;  // for a single server; with several, HealthChecker resolves them
  SocketReserve reserve_;
  std::vector<std::unique_ptr<UdpEntrance>> udp_entrances_;  // outlive the sessions, which own their flows
  FlowArena association_arena_;
  std::vector<std::unique_ptr<Association>> associations_;  // outlive the sessions likewise
  std::unique_ptr<ReverseKeeper> reverses_;  // null: the worker has none; outlives the sessions likewise
  std::vector<Slot> slots_;
  std::size_t next_flow_slot_ = 0;  // round robin
  std::vector<std::unique_ptr<Listener>> listeners_;
  std::vector<std::unique_ptr<Entrance>> stream_entrances_;
  // Sessions that keep their streams but take no new connections. Expired ones lived for autoexpire and end
  // after scavengettl. Suspect ones end with the keepalive timeout; a slot adds at most one per
  // kSuspectDeadAfter.
  std::vector<std::unique_ptr<ClientSession>> expired_;
  Alarm scavenge_;
  Alarm fold_;  // while there are further sessions
  Alarm hops_;
  bool hop_failure_logged_ = false;  // since the last hop that succeeded
  Alarm check_network_;              // scheduled after a sign that the route to the server may have changed
  std::unique_ptr<NetworkWatch> network_;
  Alarm check_unanswered_;
  Alarm overdue_;  // while connections wait
  Reachability reachability_;
  Alarm redial_;  // while no session is left
  // Null with a single server, which needs no checks and no failover.
  std::unique_ptr<HealthChecker> servers_;
  Counters past_;  // of ended sessions
  Traffic past_traffic_;
  std::uint64_t dialled_ = 0;
  std::uint64_t most_ = 0;
  bool shut_down_ = false;
};

}  // namespace kcptun
