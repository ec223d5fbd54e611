// One connection to a target that may have several addresses.
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

/// Begins an attempt at the first address, at the next one kAttemptDelay later or as soon as an attempt fails, and
/// takes the first connection that is made (Happy Eyeballs, RFC 8305 section 5). The other attempts end then.
/// Bounds: kDialTimeout for everything, waiting for addresses included; so at most kDialTimeout / kAttemptDelay attempts
/// are under way.
class Dialer final : private Deadline {
 public:
  /// RFC 8305's Connection Attempt Delay.
  static constexpr Duration kAttemptDelay = milliseconds(250);
  static constexpr Duration kDialTimeout = seconds(10);  // docs/protocol.md section 9

  struct Outcome {
    FileDescriptor fd;                 // invalid: no connection
    std::unique_ptr<PollHandle> poll;  // of fd; its callback is the dialer's
    std::string error;                 // why there is no connection
  };
  using Done = std::function<void(Outcome)>;
  using Reached = std::function<void(const IpEndpoint&)>;

  /// `done` is called once, from the loop; the dialer may be destroyed inside it. `loop` outlives the dialer.
  Dialer(Engine& engine, Done done);
  ~Dialer() override;
  Dialer(const Dialer&) = delete;
  Dialer& operator=(const Dialer&) = delete;

  // Exactly one of these follows, when the target's addresses are known or cannot be had. `reached` is told which
  // address was connected to, before `done`.
  void begin(std::vector<IpEndpoint> addresses, Reached reached);
  void begin(const UnixPath& path);
  void fail(std::string error);

  /// Expires with the dialer.
  std::weak_ptr<bool> alive() const { return alive_; }

 private:
  struct Attempt {
    FileDescriptor fd;
    std::unique_ptr<PollHandle> poll;  // goes before the descriptor
    std::optional<IpEndpoint> address;
  };

  void handle_deadline(TimePoint now) override;
  void begin_next();
  bool add_attempt(FileDescriptor fd, std::optional<IpEndpoint> address);
  void handle_poll(int fd);
  void take(std::vector<Attempt>::iterator made);
  void tell(Outcome outcome);
  void set_deadline();

  Engine& engine_;
  Done done_;
  Reached reached_;
  const TimePoint give_up_at_;
  std::optional<TimePoint> next_attempt_at_;
  std::vector<IpEndpoint> addresses_;
  std::size_t next_ = 0;  // of addresses_
  std::vector<Attempt> attempts_;
  std::string error_;     // of the last attempt that failed
  bool failed_ = false;   // nothing is left to try
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace kcptun
