// The client's share of one loop: accepts connections and carries them over its sessions.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "config/profile.h"
#include "core/base/random.h"
#include "daemon/client/health_checker.h"
#include "daemon/client/reachability.h"
#include "daemon/client/server_finder.h"
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

/// What the client's parts share: whose turn it is. Session slot i lives on part i % parts.size().
struct ClientShared {
  std::vector<ClientWorker*> parts;  // fixed before the loops run
  std::atomic<std::uint64_t> next_slot{0};
  Firewall* firewall = nullptr;  // tcp mode; outlives the parts
};

/// Keeps the session slots of its loop: each holds a session or none. The first is dialled as soon as the server's address
/// is known and this host has a way there (ServerFinder); a session that ended is dialled again, its name
/// resolved anew, for the next connection that comes to the slot. So is one whose server has owed an answer for too long
/// (Link::suspect): it keeps its streams, which go on if the path comes back, but it never takes new ones again.
/// A session whose packets would leave from another address than its socket's, because the network has changed, gets a
/// new socket: servers of this project follow it (Demux).
/// With several servers each session goes to the best of them by HealthChecker; connections wait until the first has
/// answered or all have failed. When another one becomes the best, sessions keep their streams, and new connections go to
/// a session to that one.
/// When a session ends because its server has restarted or fallen silent, streams of which nothing can have been passed
/// on begin anew in another session, with the bytes that the first one had taken (ReplayBuffer).
/// Where no session is left because the server failed, the first slot is dialled again now and then (Reachability).
/// Bounds: kMaxWaiting connections wait for a dial per slot, each for kMaxWait.
class ClientWorker final : public TunnelWorker {
 public:
  /// `profile`, `loop` and `shared` outlive the part. `remotes`: the server's addresses, as
  /// far as they are known; empty with several servers.
  ClientWorker(const Profile& profile, Engine& engine, ClientShared& shared, std::vector<IpEndpoint> remotes);
  ~ClientWorker() override;

  /// Adds slot number `slot` (of all parts), and dials it now or later.
  void add_slot(std::size_t slot);
  /// Accepts from `listening` too, on behalf of all parts.
  void listen(FileDescriptor listening);
  /// Keeps sockets ready for later sessions, one a slot, where the process may have such ones only now.
  void fill_reserve();
  /// A connection for slot number `slot`, which is on this loop.
  void take(FileDescriptor fd, std::size_t slot);

  Counters counters() const override;
  std::size_t streams() const override;
  PeerSnapshot peer() const override;
  void apply_profile(const std::vector<IpEndpoint>* remote) override;
  TunnelSnapshot share() const override;
  void shut_down() override;

  static constexpr std::size_t kMaxWaiting = 1024;
  static constexpr Duration kMaxWait = seconds(10);

 private:
  struct ClientSession;
  struct Waiting {
    LocalConnection connection;
    TimePoint since;
  };
  struct Slot {
    std::unique_ptr<ClientSession> session;     // takes new connections
    std::deque<Waiting> waiting;          // for a session, the oldest first
    bool wanted = false;                  // a session, as soon as one can be dialled
  };

  void handle_closed(ClientSession& session, std::string_view reason);
  std::string_view judge_unanswered(ClientSession& session, TimePoint now);
  bool is_refused(ClientSession& session, TimePoint now) const;
  bool is_forgotten(ClientSession& session, TimePoint now);
  bool wants_another(const ClientSession& session) const;
  bool may_restart_streams(const ClientSession& session, bool gone) const;
  void restart_streams(ClientSession& session);
  std::unique_ptr<ClientSession> release(ClientSession& session);
  void accept(FileDescriptor fd);
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
  ServerFinder finder_;  // of the one server; with several HealthChecker looks for them
  SocketReserve reserve_;
  std::vector<Slot> slots_;
  std::vector<std::unique_ptr<Listener>> listeners_;
  // Sessions that take no new connections, but keep their streams: expired ones, each of which lived autoexpire and gets
  // scavengettl, and suspect ones, which live on until the keepalive gives up: a slot makes at most one in kSuspectDeadAfter.
  std::vector<std::unique_ptr<ClientSession>> expired_;
  Alarm scavenge_;
  Alarm check_network_;  // soon after somebody said that the way to the server may be another one
  std::unique_ptr<NetworkWatch> network_;
  Alarm check_unanswered_;
  Alarm overdue_;  // while connections wait
  Reachability reachability_;
  Alarm redial_;  // while no session is left
  std::unique_ptr<HealthChecker> servers_;  // null with one server: then nothing is asked, and nothing moves
  HintLimiter hints_;
  Counters past_;   // of sessions that are gone
  Traffic past_traffic_;
  std::uint64_t dialled_ = 0;
  std::uint64_t most_ = 0;
  bool shut_down_ = false;
};

}  // namespace kcptun
