// Finds the address of a server that answers first.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "config/profile.h"
#include "core/base/random.h"
#include "daemon/engine/alarm.h"
#include "daemon/engine/engine.h"
#include "daemon/engine/session.h"

namespace kcptun {

/// Opens a socket with the profile's settings.
using OpenSocket =
    std::function<Result<std::unique_ptr<DatagramSocket>>(const IpEndpoint&, std::uint32_t index)>;

/// Happy Eyeballs (RFC 8305) for UDP, which has no handshake. A session without streams probes the first
/// address, another one the next address kAttemptDelay later, until one of them answers. No stream data is
/// sent to two addresses: they may belong to one server, which would deliver it twice.
/// Bounds: kMaxAttempts sessions, for the time to start them all plus kAnswerTimeout.
class AddressRace final : private Session::Owner {
 public:
  /// RFC 8305's Connection Attempt Delay.
  static constexpr Duration kAttemptDelay = milliseconds(250);
  /// Time for the last address to answer.
  static constexpr Duration kAnswerTimeout = seconds(2);
  static constexpr std::size_t kMaxAttempts = 8;

  /// The address that answered, without the port, which the caller chooses from the server's range; none if
  /// no address answered.
  using Done = std::function<void(std::optional<IpEndpoint>)>;

  /// Calls `done` once, from the loop; `done` may destroy the race. `profile`, `engine` and `random` outlive
  /// it.
  AddressRace(const Profile& profile, Engine& engine, Random& random, const OpenSocket& open, HostPort server,
              std::vector<IpEndpoint> addresses, Done done);
  ~AddressRace() override;
  AddressRace(const AddressRace&) = delete;
  AddressRace& operator=(const AddressRace&) = delete;

 private:
  struct Attempt;

  void handle_stream(Session& session, std::uint32_t sid) override;
  void handle_closed(Session& session, std::string_view reason) override;
  void handle_alarm(TimePoint now);
  void begin_next(TimePoint now);
  bool begin(const IpEndpoint& address);
  const Attempt* answered() const;

  const Profile& profile_;
  Engine& engine_;
  Random& random_;
  const OpenSocket& open_;
  const HostPort server_;
  std::vector<IpEndpoint> addresses_;
  std::size_t next_ = 0;  // index in addresses_
  Done done_;
  std::vector<std::unique_ptr<Attempt>> attempts_;
  TimePoint next_at_{};  // the next attempt, or the end of the race
  Alarm alarm_;
};

}  // namespace kcptun
