// Checks a client's servers: which ones answer, at what RTT, and which one is the best.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "config/profile.h"
#include "core/base/random.h"
#include "daemon/client/address_race.h"
#include "daemon/client/server_pool.h"
#include "daemon/engine/alarm.h"
#include "daemon/engine/engine.h"
#include "daemon/engine/session.h"
#include "daemon/io/name_lookup.h"
#include "daemon/log/log.h"
#include "daemon/metrics/snapshot.h"

namespace kcptun {

/// Keeps one session without streams to each server. Any kcptun server acknowledges its keepalives, which
/// shows that the server is alive and measures the RTT. The address is the one that answers first
/// (AddressRace). A server that does not answer within the time limit has failed. It is tried again with a
/// new session and a new name lookup, at ServerPool's intervals.
/// Bounds: one session per server and engine; packets at the intervals below.
class HealthChecker final : private Session::Owner {
 public:
  /// Ping intervals of the best server and of those on probation, and of the others. All are pinged
  /// immediately when the best one has an overdue answer.
  static constexpr Duration kBestInterval = seconds(1);
  static constexpr Duration kOthersInterval = seconds(5);
  /// The RTT of a server is the minimum of this many last samples: the others include queueing or delayed
  /// answers.
  static constexpr std::size_t kAnswers = 4;
  /// Time limit for an answer, in addition to the RTT. Failover from a dead server takes at most
  /// kBestInterval plus this.
  static constexpr Duration kAnswerTimeout = milliseconds(1500);
  /// Interval at which states are evaluated.
  static constexpr Duration kPollInterval = milliseconds(250);

  /// `profile` and `engine` outlive it. `changed` is called on the loop when the best server may have changed
  /// or all may have failed.
  HealthChecker(const Profile& profile, Engine& engine, Random& random, OpenSocket open,
                std::function<void()> changed);
  ~HealthChecker() override;
  HealthChecker(const HealthChecker&) = delete;
  HealthChecker& operator=(const HealthChecker&) = delete;

  struct Target {
    std::size_t server;  // index in profile.servers
    IpEndpoint address;  // with a random port of the server's range
  };
  /// The target of a new session; none while no server's address is known.
  std::optional<Target> target();
  /// The best server, if it is healthy. Sessions to other servers are to be replaced.
  std::optional<std::size_t> best() const;
  /// True if every server has failed: it does not answer or has no address.
  bool all_failed() const { return choice_.all_failed(); }
  /// This host's addresses or routes may have changed. Sessions whose packets would leave from another
  /// address are restarted, so that the change does not count as a server failure.
  void follow_network();
  /// The profile changed but not its servers.
  void update_settings();
  void shut_down();

  std::vector<ServerSnapshot> snapshot() const;

 private:
  struct Watched;
  struct Server {
    HostPort name;
    std::vector<IpEndpoint> addresses;
    std::size_t next_address = 0;
    std::optional<IpEndpoint> address;   // the last one dialled
    std::unique_ptr<NameLookup> lookup;  // while a lookup is in progress
    std::unique_ptr<AddressRace> race;   // while a race is in progress
    std::optional<IpEndpoint> answered;  // the winner of the race; reset when the server fails
    std::optional<bool> logged_healthy;  // the last logged state; changes on probation are not logged
    std::unique_ptr<Watched> session;
  };

  void handle_stream(Session& session, std::uint32_t sid) override;
  void handle_closed(Session& session, std::string_view reason) override;
  void handle_packet(TimePoint now);
  void look(TimePoint now);
  void try_server(std::size_t index);
  void handle_resolved(std::size_t index, NameLookup::Addresses addresses);
  static std::vector<IpEndpoint> in_order(const Server& server);
  void handle_race(std::size_t index, std::optional<IpEndpoint> winner);
  bool dial(std::size_t index);
  void check(std::size_t index, TimePoint now, bool urgent);
  void fail(std::size_t index, std::string_view reason);
  void choose();
  EventLog log() const { return EventLog(profile_.name); }

  const Profile& profile_;
  Engine& engine_;
  Random& random_;
  OpenSocket open_;
  std::function<void()> changed_;
  std::vector<Server> servers_;
  ServerPool choice_;
  std::unique_ptr<Alarm> poll_timer_;
  TimePoint polled_at_{};
  std::optional<std::size_t> announced_;  // the best server last logged
  bool all_failed_logged_ = false;        // "all failed" has been logged
  bool shut_down_ = false;
};

}  // namespace kcptun
