// Keeps the reverse forwards of a client open.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "config/profile.h"
#include "daemon/engine/alarm.h"
#include "daemon/engine/reverse_requests.h"
#include "daemon/engine/session.h"
#include "daemon/engine/target.h"
#include "daemon/log/log.h"

namespace kcptun {

class ReverseControl;

/// The listeners that a session's server has: the sid of the stream that asked, and the number of the reverse
/// forward. Listeners that were closed stay, because connections that they accepted may be on their way.
using SessionListeners = std::vector<std::pair<std::uint32_t, std::size_t>>;

/// Asks the server for each listener once there is a session, and again when the listener or the session has
/// ended. All listeners belong to one session; when the worker prefers another one, they move there. Dials
/// without a connection that needs it.
/// Bounds: kMaxReverses.
class ReverseKeeper {
 public:
  /// How long a server that answers may take to show that it can listen.
  static constexpr Duration kAnswerTime = seconds(5);
  /// Between two requests for one listener: doubled each time, and reset once the server listens.
  static constexpr Duration kFirstRetry = seconds(1);
  static constexpr Duration kMaxRetry = seconds(30);

  struct Host {
    Session& session;
    SessionListeners& listeners;
  };
  class Sessions {
   public:
    virtual ~Sessions() = default;
    /// The session that takes new streams; none: there is no such session now.
    virtual std::optional<Host> host_for_reverses() = 0;
    virtual void dial_for_reverses() = 0;
  };

  /// All references outlive the keeper, which outlives the sessions. `counters`: one for each reverse
  /// forward.
  ReverseKeeper(const Profile& profile, Engine& engine, Sessions& sessions,
                std::span<ForwardCounters> counters);
  ~ReverseKeeper();

  void start();
  void stop() { stopped_ = true; }
  /// The session that takes new streams may be another one.
  void handle_session_changed();
  /// Where connections of reverse forward `number` lead.
  ReverseTargets::Found target(std::size_t number);

  // --- called by the streams that ask ---
  void handle_listening(const ReverseControl& control);
  void handle_refused(ReverseControl& control, ReplyCode code, const std::string& reason);
  void handle_gone(ReverseControl& control);

  /// True while the server listens for reverse forward `number`.
  bool listens(std::size_t number) const { return entries_.at(number).listening; }

 private:
  struct Entry {
    std::string listen;  // as in the profile
    std::string target_name;
    std::unique_ptr<Target> target;
    ForwardCounters* counters = nullptr;
    ReverseControl* control = nullptr;  // its session owns it
    bool listening = false;
    TimePoint retry_at{};
    Duration retry_after = kFirstRetry;
    std::string logged_reason;  // of the last refusal
  };

  void check(TimePoint now);
  void check_later(TimePoint now);
  void wait_for_server(TimePoint now, const Host& host);
  void ask(std::size_t number, const Host& host);
  EventLog log() const { return EventLog(profile_.name); }

  const Profile& profile_;
  Engine& engine_;
  Sessions& sessions_;
  std::vector<Entry> entries_;
  Alarm alarm_;
  std::optional<TimePoint> unable_since_;  // the server answers, and has not shown that it can listen
  bool unable_logged_ = false;
  TimePoint dial_at_{};
  Duration dial_after_ = kFirstRetry;
  bool stopped_ = false;
};

}  // namespace kcptun
