// How much a user may transfer, and the file in which a server keeps what they have transferred.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "config/profile.h"
#include "core/base/result.h"

namespace kcptun {

/// Reads "100GB/month", "2GiB/day" or "500MB". The error is a predicate.
Result<Quota> parse_quota(std::string_view text);
/// The shortest text with a decimal unit.
std::string to_text(const Quota& quota);

/// The period that contains this day in UTC: "2027-01-31", "2027-01"; "" for ever. Later periods of one
/// length compare greater.
std::string period_of(QuotaPeriod length, std::chrono::sys_days day);

/// What a user has transferred in one period.
struct QuotaUse {
  std::string period;       // of period_of()
  std::uint64_t bytes = 0;  // of payload, both directions together
  bool operator==(const QuotaUse&) const = default;
};
using QuotaUses = std::map<std::string, QuotaUse>;  // by user's name

/// The text of a quota-file.
std::string render_quota_uses(const QuotaUses& uses);
/// The error is a predicate of the file.
Result<QuotaUses> parse_quota_uses(std::string text);

}  // namespace kcptun
