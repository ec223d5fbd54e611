#include "core/smux/receive_budget.h"

#include <catch2/catch.hpp>
#include <memory>
#include <utility>
#include <vector>

#include "tests/support/test_quota.h"

namespace kcptun::receive_budget_test {
namespace {

using test::TestQuota;

constexpr std::uint64_t kKiB = 1024;
constexpr std::uint64_t kMiB = 1024 * kKiB;
constexpr bool kHard = true;
constexpr bool kSoft = false;

}  // namespace

TEST_CASE("without a quota a soft limit stops nothing, and a hard one does") {
  ReceiveBudget soft(1000, kSoft, nullptr);
  ReceiveBudget hard(1000, kHard, nullptr);
  soft.add(999);
  hard.add(999);
  CHECK_FALSE(soft.over_budget(2 * kMiB));
  CHECK(hard.can_receive());
  soft.add(1);
  hard.add(1);
  CHECK(soft.over_budget(2 * kMiB));
  CHECK(soft.can_receive());
  CHECK_FALSE(hard.can_receive());
  CHECK_FALSE(hard.out_of_memory());
  CHECK(soft.window(2 * kMiB) == 2 * kMiB);
  hard.remove(1);
  CHECK(hard.can_receive());
}

TEST_CASE("what a session holds is charged beyond its reserve, in steps, and given back") {
  TestQuota quota(100 * kMiB);
  {
    ReceiveBudget budget(4 * kMiB, kSoft, &quota);
    budget.add(ReceiveBudget::kReserve);
    CHECK(quota.charged() == 0);
    budget.add(1);
    CHECK(quota.charged() == ReceiveBudget::kChargeUnit);
    budget.add(10 * kMiB);
    CHECK(quota.charged() >= budget.held() - ReceiveBudget::kReserve);
    CHECK(quota.charged() < budget.held() - ReceiveBudget::kReserve + ReceiveBudget::kChargeUnit);
    for (int i = 0; i < 100; ++i) {
      budget.remove(100 * kKiB);
      CHECK(quota.charged() + ReceiveBudget::kReserve >= budget.held());
      CHECK(quota.charged() <= budget.held() + ReceiveBudget::kChargeUnit);
    }
    budget.remove(budget.held());
    CHECK(quota.charged() == 0);
    budget.add(kMiB);
    ReceiveBudget moved = std::move(budget);
    CHECK(moved.held() == kMiB);
  }
  CHECK(quota.charged() == 0);
}

TEST_CASE("one session alone has four fifths of the quota, and the last byte of that is the last") {
  TestQuota quota(100 * kMiB);
  ReceiveBudget budget(4 * kMiB, kSoft, &quota);
  while (budget.can_receive()) budget.add(1000);
  CHECK(budget.out_of_memory());
  CHECK(budget.held() <= 80 * kMiB + ReceiveBudget::kReserve + 1000);
  CHECK(budget.held() >= 80 * kMiB - ReceiveBudget::kChargeUnit);
  budget.remove(2 * ReceiveBudget::kChargeUnit);
  CHECK(budget.can_receive());
}

TEST_CASE("however many sessions hold all they can, the next has something, and its reserve in any case") {
  TestQuota quota(64 * kMiB);
  std::vector<std::unique_ptr<ReceiveBudget>> sessions;
  for (int i = 0; i < 200; ++i) {
    auto& one = *sessions.emplace_back(std::make_unique<ReceiveBudget>(4 * kMiB, kSoft, &quota));
    while (one.can_receive()) one.add(1000);
    CHECK(one.held() >= ReceiveBudget::kReserve);
  }
  // All together charge no more than the quota plus one charging unit each: each may be the last to see
  // memory left.
  CHECK(quota.charged() <= quota.limit() + 200 * ReceiveBudget::kChargeUnit);
  ReceiveBudget late(4 * kMiB, kSoft, &quota);
  late.add(ReceiveBudget::kReserve - 1);
  CHECK(late.can_receive());
}

TEST_CASE(
    "a window is smaller the less is left, so that streams that fill theirs never fill the session's share") {
  for (const int streams : {1, 3, 10, 100, 200}) {
    TestQuota quota(64 * kMiB);
    ReceiveBudget budget(4 * kMiB, kSoft, &quota);
    for (int i = 0; i < streams; ++i) {
      CHECK(budget.can_receive());
      budget.add(budget.window(16 * kMiB));
    }
    CHECK(budget.can_receive());
    CHECK(budget.window(16 * kMiB) >= ReceiveBudget::kMinWindow);
    CHECK(budget.window(1000) == 1000);
  }
}

TEST_CASE("streams are short of memory where a window cannot be what it could") {
  TestQuota quota(64 * kMiB);
  ReceiveBudget budget(1024 * kMiB, kSoft, &quota);
  CHECK_FALSE(budget.is_short(2 * kMiB));
  CHECK_FALSE(budget.over_budget(2 * kMiB));
  quota.charge(40 * kMiB);  // by others: 8 MiB of the three quarters are left, which gives windows of 2 MiB
  CHECK_FALSE(budget.is_short(2 * kMiB));
  quota.charge(1);
  CHECK(budget.is_short(2 * kMiB));
  CHECK_FALSE(budget.over_budget(2 * kMiB));  // it holds no bytes
  budget.add(ReceiveBudget::kReserve);
  CHECK(budget.over_budget(2 * kMiB));
}

}  // namespace kcptun::receive_budget_test
