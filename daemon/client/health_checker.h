// Watches several servers of a client: which answer, how far away they are, and which is the best.
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

/// Keeps one session without streams to each server, which any kcptun server understands: a keepalive asks,
/// and its acknowledgement tells that the server lives and how far away it is. Of a server's addresses it is the
/// one that answers first (AddressRace). A server whose answer is owed for too long has failed; it is tried again
/// with a new session, its name resolved anew, at ServerPool's intervals.
/// Bounds: one session per server and loop; packets as the intervals below say.
class HealthChecker final : private Session::Owner {
 public:
  /// How often the best server is asked and those on probation, and how often the others. All are asked at
  /// once while the best one owes an answer.
  static constexpr Duration kBestInterval = seconds(1);
  static constexpr Duration kOthersInterval = seconds(5);
  /// A server is as far away as the shortest of so many last answers tells: the others had to wait for
  /// something.
  static constexpr std::size_t kAnswers = 4;
  /// How long an answer may be owed, beside the round trip: so a server that dies is left within kBestInterval and
  /// this.
  static constexpr Duration kAnswerTimeout = milliseconds(1500);
  /// How often states are looked at.
  static constexpr Duration kPollInterval = milliseconds(250);

  /// `profile` and `loop` outlive it. `changed` is called, on the loop, when the best server may be another
  /// one, or all may have failed.
  HealthChecker(const Profile& profile, Engine& engine, Random& random, OpenSocket open,
              std::function<void()> changed);
  ~HealthChecker() override;
  HealthChecker(const HealthChecker&) = delete;
  HealthChecker& operator=(const HealthChecker&) = delete;

  struct Target {
    std::size_t server;  // of profile.servers
    IpEndpoint address;  // the port is one of the server's, chosen at random
  };
  /// Where a new session goes; none while no server's address is known.
  std::optional<Target> target();
  /// The best server, if it is healthy: sessions to others are to be left.
  std::optional<std::size_t> best() const;
  /// All have failed: not one answers, or has an address.
  bool all_failed() const { return choice_.all_failed(); }
  /// This host's addresses or routes may have changed: sessions whose packets would leave from another
  /// address begin anew, before that is taken for the servers' failure.
  void follow_network();
  /// The profile changed, its servers did not.
  void update_settings();
  void shut_down();

  std::vector<ServerSnapshot> snapshot() const;

 private:
  struct Watched;
  struct Server {
    HostPort name;
    std::vector<IpEndpoint> addresses;
    std::size_t next_address = 0;
    std::optional<IpEndpoint> address;  // the last that was dialled
    std::unique_ptr<NameLookup> lookup;  // while one is under way
    std::unique_ptr<AddressRace> race;   // while one is under way
    std::optional<IpEndpoint> answered;  // which of addresses won it; until the server fails
    std::optional<bool> logged_healthy;  // the log's last word: not what happens while it is on probation
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
  std::unique_ptr<Alarm> look_;
  TimePoint looked_at_{};
  std::optional<std::size_t> announced_;  // the best server that the log knows of
  bool all_failed_logged_ = false;                 // said in the log
  bool shut_down_ = false;
};

}  // namespace kcptun
