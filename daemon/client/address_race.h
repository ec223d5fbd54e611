// Which of a server's addresses answers first.
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

/// Gives a socket that is set up by the profile.
using OpenSocket = std::function<Result<std::unique_ptr<DatagramSocket>>(const IpEndpoint&, std::uint32_t index)>;

/// Happy Eyeballs (RFC 8305) for UDP, which has no handshake: a session without streams asks the first address for an
/// answer, another one the next address kAttemptDelay later, until one of them answers. No stream's data goes to two
/// addresses: the server may be one, and would take it twice.
/// Bounds: kMaxAttempts sessions, for as long as it takes to begin them all and kAnswerTimeout.
class AddressRace final : private Session::Owner {
 public:
  /// RFC 8305's Connection Attempt Delay.
  static constexpr Duration kAttemptDelay = milliseconds(250);
  /// How long the last address has for its answer.
  static constexpr Duration kAnswerTimeout = seconds(2);
  static constexpr std::size_t kMaxAttempts = 8;

  /// The address that answered, with the server's port range still to choose from; none if no one did.
  using Done = std::function<void(std::optional<IpEndpoint>)>;

  /// Calls `done` once, from the loop; inside, the race may be destroyed. `profile`, `loop` and `random` outlive it.
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
  std::size_t next_ = 0;  // of addresses_
  Done done_;
  std::vector<std::unique_ptr<Attempt>> attempts_;
  TimePoint next_at_{};  // the next attempt, or the end
  Alarm alarm_;
};

}  // namespace kcptun
