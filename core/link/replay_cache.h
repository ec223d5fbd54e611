// Which sessions a server may open under a suite that knows sessions: those that were made just now and have
// never been there. What was recorded opens nothing, neither at once nor after a restart (docs/develop/protocol.md
// section 11).
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string_view>
#include <unordered_map>

#include "core/base/time.h"

namespace kcptun {

/// What speaks against opening a session; kNone: it is open from now on.
enum class SessionRefusal : std::uint8_t {
  kNone,
  kKnown,    // it was open before: a late packet, or a recording
  kLate,     // made longer ago than kMaxAge: a recording, or the clocks differ
  kEarly,    // made further in the future than kMaxClockSkew: the clocks differ
  kServerJustStarted,  // made before this server can tell recordings from new sessions: it has just started
  kFull,     // kMaxSessions are open
};
std::string_view to_text(SessionRefusal refusal);

/// A packet of a session that is not open here came to loop number `loop`, made at `made` (seconds since 1970) by the
/// client's clock.
struct SessionClaim {
  std::uint64_t session = 0;
  std::uint32_t made = 0;
  std::uint32_t loop = 0;
};

/// What Demux asks. An interface, because several loops share one memory: a recording may come to any of
/// them.
class SessionAdmission {
 public:
  virtual ~SessionAdmission() = default;
  virtual SessionRefusal open(TimePoint now, UnixTime wall, const SessionClaim& claim) = 0;
  /// The loop that has the session open, if any.
  virtual std::optional<std::uint32_t> owner(std::uint64_t session) const = 0;
  /// The session is over; `newest` is the latest date of its packets.
  virtual void end(TimePoint now, std::uint64_t session, std::uint32_t newest) = 0;
};

/// The memory. Packets of a session that is over are refused as long as their date is good, then for their
/// date: so an id is kept for kKeep after the session's end. Those that must go earlier, for room or because
/// the clock was set back, leave their date behind, and nothing up to it opens a session any more. A new
/// server remembers nothing; it refuses what may have been made before its start: dates up to kMaxClockSkew and
/// a second of rounding after it, by the clock as it is now (the clock may have been wrong at the start). Not
/// thread-safe.
class ReplayCache final : public SessionAdmission {
 public:
  static constexpr seconds kMaxAge{120};
  static constexpr seconds kMaxClockSkew{5};
  static constexpr Duration kKeep = kMaxAge + kMaxClockSkew + seconds(2);
  static constexpr Duration kStartupQuarantine = kMaxClockSkew + seconds(1);
  /// Ids remembered, about 100 bytes each; of those the open ones can't be forgotten.
  static constexpr std::size_t kMaxSessions = 262144;

  explicit ReplayCache(TimePoint started, std::size_t most = kMaxSessions)
      : started_(started), most_(most) {}

  SessionRefusal open(TimePoint now, UnixTime wall, const SessionClaim& claim) override;
  std::optional<std::uint32_t> owner(std::uint64_t session) const override;
  void end(TimePoint now, std::uint64_t session, std::uint32_t newest) override;

  std::size_t size() const { return known_.size(); }

 private:
  struct Ended {
    std::uint64_t session;
    std::uint32_t newest;
    TimePoint at;
  };
  SessionRefusal judge(TimePoint now, UnixTime wall, std::uint32_t made) const;
  void forget_old(TimePoint now);
  void forget_first();

  const TimePoint started_;
  const std::size_t most_;
  // By session: the loop that has it open; none when it is over.
  std::unordered_map<std::uint64_t, std::optional<std::uint32_t>> known_;
  std::deque<Ended> ended_;                        // in the order of their ends
  std::uint32_t forgotten_ = 0;                    // the latest date of all that were forgotten
};

}  // namespace kcptun
