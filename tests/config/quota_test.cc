// Quotas of users, and the file that keeps what they have transferred.
#include "config/quota.h"

#include "config/day.h"
#include "tests/config/support.h"

namespace kcptun::test::quota_test {
namespace {

constexpr const char* kExpected =
    ", expected a number with B, kB, MB, GB, TB, KiB, MiB, GiB or TiB, and behind it nothing, /day or "
    "/month: "
    "100GB/month; at most 1000000 TB";

std::string read_back(const std::string& text) {
  const auto quota = parse_quota(text);
  return quota ? to_text(quota.value()) : quota.error();
}
std::string file_error(const std::string& text) {
  const auto uses = parse_quota_uses(text);
  return uses ? "no error" : uses.error();
}

}  // namespace

TEST_CASE("A quota is a size with a unit, for ever or per day or month") {
  CHECK(parse_quota("100GB/month").value() == Quota{100'000'000'000, QuotaPeriod::kMonth});
  CHECK(parse_quota("2GiB/day").value() == Quota{2ull << 30, QuotaPeriod::kDay});
  CHECK(parse_quota("7").value() == Quota{7, QuotaPeriod::kEver});
  for (const char* text :
       {"100GB/month", "1TB", "1500MB/day", "3kB", "1B", "1000000TB", "999999999999999999B"})
    CHECK(read_back(text) == text);
  CHECK(read_back("1000MB") == "1GB");
  CHECK(read_back("1KiB") == "1024B");
  CHECK(read_back("5KB/day") == "5kB/day");
}

TEST_CASE("Each bad quota has an error") {
  for (const char* text : {"", "0", "0GB", "GB", "-1GB", "1.5GB", "1 GB", "1gb", "1XB", "1GB/", "1GB/week",
                           "1GB/month/day", "1000001TB", "1000000000000000001B", "99999999999999999999B"})
    CHECK(read_back(text) == "has the quota \"" + std::string(text) + '"' + kExpected);
}

TEST_CASE("A period is a day or a month in UTC") {
  const auto day = parse_day("2027-01-31").value();
  CHECK(period_of(QuotaPeriod::kDay, day) == "2027-01-31");
  CHECK(period_of(QuotaPeriod::kMonth, day) == "2027-01");
  CHECK(period_of(QuotaPeriod::kMonth, day + std::chrono::days(1)) == "2027-02");
  CHECK(period_of(QuotaPeriod::kEver, day).empty());
}

TEST_CASE("A quota-file is read as it is written") {
  CHECK(render_quota_uses({}) == "{\n}\n");
  const QuotaUses uses{{"anna", {"2027-01", 123}}, {"bob", {"", 18'446'744'073'709'551'615u}}};
  const std::string text = render_quota_uses(uses);
  CHECK(text ==
        "{\n  \"anna\": {\"period\":\"2027-01\",\"bytes\":123},\n"
        "  \"bob\": {\"period\":\"\",\"bytes\":18446744073709551615}\n}\n");
  CHECK(parse_quota_uses(text).value() == uses);
  CHECK(parse_quota_uses("{\n}\n").value().empty());
}

TEST_CASE("Each fault of a quota-file has an error") {
  CHECK(file_error("[]") == "is an array, expected an object");
  CHECK(file_error("{\"anna\"").starts_with("has an error at 1:"));
  const std::string anna = "has no \"period\" and \"bytes\" of the user \"anna\"";
  for (const char* entry :
       {"1", "[]", "{}", R"({"period": ""})", R"({"bytes": 1})", R"({"period": 1, "bytes": 1})",
        R"({"period": "", "bytes": -1})", R"({"period": "", "bytes": 1.5})"})
    CHECK(file_error("{\"anna\": " + std::string(entry) + "}") == anna);
  CHECK(file_error("{\"a\": " + std::string(100'000, '[') + std::string(100'000, ']') + "}")
            .starts_with("has no"));
}

}  // namespace kcptun::test::quota_test
