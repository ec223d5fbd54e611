// Which sessions a server may open under a suite with a session header: those that are new, by their time
// stamp, and that were never open. A recording opens none, neither at once nor after a restart
// (docs/develop/protocol.md section 11).
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string_view>
#include <unordered_map>

#include "core/base/time.h"

namespace kcptun {

/// Why a session may not be opened; kNone: it is open from now on.
enum class SessionRefusal : std::uint8_t {
  kNone,
  kKnown,              // it was open before: a reordered packet, or a recording
  kLate,               // older than kMaxAge: a recording, or the clocks differ
  kEarly,              // further in the future than kMaxClockSkew: the clocks differ
  kServerJustStarted,  // from before the time since which this server knows all sessions
  kFull,               // kMaxSessions are open
};
std::string_view to_text(SessionRefusal refusal);

/// A packet of a session that is not open came to `worker`. `timestamp` is the client's clock, in seconds
/// since 1970.
struct SessionClaim {
  std::uint64_t session = 0;
  std::uint32_t timestamp = 0;
  std::uint32_t worker = 0;
};

/// What Demux needs of ReplayCache. An interface, because several workers share one cache with a lock: a
/// recording may come to any of them.
class SessionAdmission {
 public:
  virtual ~SessionAdmission() = default;
  virtual SessionRefusal open(TimePoint now, UnixTime wall, const SessionClaim& claim) = 0;
  /// What open() would return, as far as the claim's time and session decide it. Keeps nothing of the claim,
  /// which need not be authentic.
  virtual SessionRefusal check(TimePoint now, UnixTime wall, const SessionClaim& claim) = 0;
  /// The worker that has the session open, if any.
  virtual std::optional<std::uint32_t> owner(std::uint64_t session) const = 0;
  /// The session is over; `newest` is the latest time stamp of its packets.
  virtual void end(TimePoint now, std::uint64_t session, std::uint32_t newest) = 0;
};

/// An id is kept for kKeep after its session's end; after that the session's time stamps are too old anyway.
/// An id that is evicted earlier for room leaves its newest time stamp behind, and no session up to it is
/// opened any more; so a clock that is set back admits no recording. A new server refuses time stamps from
/// before its start, plus kStartupQuarantine, by the clock as it is now, which may have been wrong at the
/// start. Not thread-safe.
class ReplayCache final : public SessionAdmission {
 public:
  /// How old a new session's time stamp may be (docs/develop/protocol.md section 11). A smaller value refuses
  /// clients whose clock is late; a larger one keeps more ids.
  static constexpr seconds kMaxAge{120};
  /// How far a time stamp may be in the future (section 11). A server that has just started refuses sessions
  /// for so long.
  static constexpr seconds kMaxClockSkew{5};
  static constexpr Duration kKeep = kMaxAge + kMaxClockSkew + seconds(2);
  static constexpr Duration kStartupQuarantine = kMaxClockSkew + seconds(1);
  /// Ids kept, about 100 bytes each. Those of open sessions are not evicted.
  static constexpr std::size_t kMaxSessions = 262144;

  explicit ReplayCache(TimePoint started, std::size_t max_sessions = kMaxSessions)
      : started_(started), max_sessions_(max_sessions) {}

  SessionRefusal open(TimePoint now, UnixTime wall, const SessionClaim& claim) override;
  SessionRefusal check(TimePoint now, UnixTime wall, const SessionClaim& claim) override;
  std::optional<std::uint32_t> owner(std::uint64_t session) const override;
  void end(TimePoint now, std::uint64_t session, std::uint32_t newest) override;

  std::size_t size() const { return known_.size(); }

 private:
  struct Ended {
    std::uint64_t session;
    std::uint32_t newest;
    TimePoint at;
  };
  SessionRefusal check_timestamp(TimePoint now, UnixTime wall, std::uint32_t timestamp) const;
  void expire(TimePoint now);
  void erase_oldest();

  const TimePoint started_;
  const std::size_t max_sessions_;
  // By session: the worker that has it open; none when it is over.
  std::unordered_map<std::uint64_t, std::optional<std::uint32_t>> known_;
  std::deque<Ended> ended_;         // in the order of their ends
  std::uint32_t erased_until_ = 0;  // the latest time stamp of all ids that were erased
};

}  // namespace kcptun
