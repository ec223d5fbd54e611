// Connects to a target that may have several addresses.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "config/profile.h"
#include "core/base/path.h"
#include "core/base/time.h"
#include "daemon/engine/deadlines.h"
#include "daemon/engine/engine.h"
#include "daemon/system/file_descriptor.h"

namespace kcptun {

/// Starts an attempt at the first address, and one at the next address after kAttemptDelay or when an attempt
/// fails. The first established connection wins and the other attempts are cancelled (Happy Eyeballs, RFC
/// 8305 section 5).
/// Bounds: kDialTimeout in total, including the wait for addresses; so at most kDialTimeout / kAttemptDelay
/// concurrent attempts.
class Dialer final : private Deadline {
 public:
  /// RFC 8305's Connection Attempt Delay.
  static constexpr Duration kAttemptDelay = milliseconds(250);
  static constexpr Duration kDialTimeout = seconds(10);  // docs/develop/protocol.md section 9

  struct Outcome {
    FileDescriptor fd;                 // invalid: no connection
    std::unique_ptr<PollHandle> poll;  // for fd; its callback still belongs to the dialer
    std::string error;                 // the reason if there is no connection
    int error_number = 0;              // its errno; 0 if it has none
  };
  using Done = std::function<void(Outcome)>;
  using Reached = std::function<void(const IpEndpoint&)>;

  /// `done` is called once, from the loop, and may destroy the dialer. `engine` outlives the dialer.
  Dialer(Engine& engine, Done done);
  ~Dialer() override;
  Dialer(const Dialer&) = delete;
  Dialer& operator=(const Dialer&) = delete;

  // Exactly one of these two is called, when the target's addresses are known or cannot be resolved.
  // `reached` receives the address that was connected to, before `done` is called.
  void start(std::vector<IpEndpoint> addresses, Reached reached);
  void start(const UnixPath& path);
  void fail(std::string error);

  /// Expires when the dialer is destroyed.
  std::weak_ptr<bool> alive() const { return alive_; }

 private:
  struct Attempt {
    FileDescriptor fd;
    std::unique_ptr<PollHandle> poll;  // destroyed before the descriptor
    std::optional<IpEndpoint> address;
  };

  void handle_deadline(TimePoint now) override;
  void start_next_attempt();
  bool add_attempt(FileDescriptor fd, std::optional<IpEndpoint> address);
  void handle_poll(int fd);
  void take(std::vector<Attempt>::iterator made);
  void deliver(Outcome outcome);
  void note_error(int number);
  void set_deadline();

  Engine& engine_;
  Done done_;
  Reached reached_;
  const TimePoint dial_deadline_;
  std::optional<TimePoint> next_attempt_at_;
  std::vector<IpEndpoint> addresses_;
  std::size_t next_ = 0;  // index in addresses_
  std::vector<Attempt> attempts_;
  int error_number_;        // of the failed attempt that says most
  std::string error_;       // what it means
  bool has_error_ = false;  // an attempt has failed
  bool failed_ = false;     // no address is left to try
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace kcptun
