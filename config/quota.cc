#include "config/quota.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "config/day.h"
#include "config/json_fields.h"
#include "config/json_list.h"

namespace kcptun {
namespace {

struct Unit {
  std::string_view name;
  std::uint64_t bytes;
};
constexpr std::array kUnits{Unit{"TB", 1'000'000'000'000},
                            Unit{"GB", 1'000'000'000},
                            Unit{"MB", 1'000'000},
                            Unit{"kB", 1000},
                            Unit{"B", 1},
                            Unit{"", 1},
                            Unit{"KB", 1000},
                            Unit{"TiB", 1ull << 40},
                            Unit{"GiB", 1ull << 30},
                            Unit{"MiB", 1ull << 20},
                            Unit{"KiB", 1ull << 10}};
constexpr std::array kPeriods{std::pair{QuotaPeriod::kEver, std::string_view("")},
                              std::pair{QuotaPeriod::kDay, std::string_view("/day")},
                              std::pair{QuotaPeriod::kMonth, std::string_view("/month")}};
constexpr std::uint64_t kMaxQuota = 1'000'000'000'000'000'000;  // bytes
constexpr std::string_view kBytesField = "bytes", kPeriodField = "period";

std::optional<std::uint64_t> bytes_of(std::string_view text) {
  std::uint64_t count = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (error != std::errc()) return std::nullopt;
  const std::string_view name(stop, text.data() + text.size());
  for (const Unit& unit : kUnits)
    if (unit.name == name && count <= kMaxQuota / unit.bytes) return count * unit.bytes;
  return std::nullopt;
}

/// One user's entry in the file. The error is a predicate of the file.
Result<QuotaUse> use_of(const nlohmann::json& entry, const std::string& user) {
  const Error bad{"has no \"period\" and \"bytes\" of the user " + user};
  if (!entry.is_object()) return bad;
  const auto period = entry.find(kPeriodField);
  const auto bytes = entry.find(kBytesField);
  if (period == entry.end() || !period->is_string() || bytes == entry.end() || !bytes->is_number_unsigned())
    return bad;
  return QuotaUse{period->get<std::string>(), bytes->get<std::uint64_t>()};
}

}  // namespace

Result<Quota> parse_quota(std::string_view text) {
  const std::string_view size = text.substr(0, text.find('/'));
  const auto bytes = bytes_of(size);
  for (const auto& [period, name] : kPeriods)
    if (bytes.value_or(0) > 0 && text.substr(size.size()) == name) return Quota{*bytes, period};
  return Error{
      "has the quota " + in_quotes(text) +
      ", expected a number with B, kB, MB, GB, TB, KiB, MiB, GiB or TiB, and behind it nothing, /day or "
      "/month: 100GB/month; at most 1000000 TB"};
}

std::string to_text(const Quota& quota) {
  for (const Unit& unit : kUnits) {
    if (quota.bytes % unit.bytes != 0) continue;
    const auto* const period =
        std::ranges::find(kPeriods, quota.period, &decltype(kPeriods)::value_type::first);
    return std::to_string(quota.bytes / unit.bytes).append(unit.name).append(period->second);
  }
  return {};  // never: each number is a multiple of one byte
}

std::string period_of(QuotaPeriod length, std::chrono::sys_days day) {
  constexpr std::size_t kMonthSize = 7;  // of "2027-01"
  switch (length) {
    case QuotaPeriod::kDay:
      return to_text(day);
    case QuotaPeriod::kMonth:
      return to_text(day).substr(0, kMonthSize);
    case QuotaPeriod::kEver:
      break;
  }
  return {};
}

std::string render_quota_uses(const QuotaUses& uses) {
  std::string text = "{";
  for (const auto& [user, use] : uses) {
    nlohmann::ordered_json entry;
    entry[std::string(kPeriodField)] = use.period;
    entry[std::string(kBytesField)] = use.bytes;
    text.append(text.size() == 1 ? "\n  " : ",\n  ")
        .append(nlohmann::json(user).dump() + ": " + entry.dump());
  }
  return text + "\n}\n";
}

Result<QuotaUses> parse_quota_uses(std::string text) {
  // It omits the objects inside, and explains what is wrong with the text.
  if (const auto read = read_json_object(text, "an object"); !read) return Error{read.error()};
  QuotaUses uses;
  const auto whole = nlohmann::json::parse(text, nullptr, false, true);
  for (const auto& [user, entry] : whole.items()) {
    auto use = use_of(entry, in_quotes(user));
    if (!use) return Error{use.error()};
    uses.emplace(user, std::move(use.value()));
  }
  return uses;
}

}  // namespace kcptun
