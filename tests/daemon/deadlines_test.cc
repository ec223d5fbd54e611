#include "daemon/engine/deadlines.h"

#include <catch2/catch.hpp>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "core/base/random.h"

namespace kcptun::deadlines_test {
namespace {

TimePoint at(int ms) { return TimePoint(milliseconds(ms)); }

struct Entry final : Deadline {
  explicit Entry(std::function<void(TimePoint)> on_due) : due(std::move(on_due)) {}
  void handle_deadline(TimePoint now) override { due(now); }
  std::function<void(TimePoint)> due;
};

}  // namespace

TEST_CASE("deadlines wake in order of their time, and only those that are due") {
  DeadlineHeap heap;
  std::vector<int> woken;
  std::vector<std::unique_ptr<Entry>> entries;
  for (const int ms : {5, 1, 4, 2, 3}) {
    entries.push_back(std::make_unique<Entry>([&woken, ms](TimePoint) { woken.push_back(ms); }));
    heap.set(*entries.back(), at(ms));
  }
  CHECK(heap.next() == at(1));
  heap.run(at(0));
  CHECK(woken.empty());
  heap.run(at(3));
  CHECK(woken == std::vector<int>{1, 2, 3});
  CHECK(heap.next() == at(4));
  heap.run(at(9));
  CHECK(woken == std::vector<int>{1, 2, 3, 4, 5});
  CHECK(heap.size() == 0);
  CHECK_FALSE(heap.next());
}

TEST_CASE("a deadline can be moved and taken back") {
  DeadlineHeap heap;
  int woken = 0;
  Entry one([&woken](TimePoint) { ++woken; });
  Entry other([](TimePoint) {});
  heap.set(one, std::nullopt);  // not in the heap: no effect
  heap.set(other, at(5));
  heap.set(one, at(9));
  CHECK(heap.next() == at(5));
  heap.set(one, at(1));
  CHECK(heap.next() == at(1));
  CHECK(heap.size() == 2);
  heap.set(one, at(7));
  CHECK(heap.next() == at(5));
  heap.set(one, std::nullopt);
  heap.set(one, std::nullopt);
  heap.run(at(100));
  CHECK(woken == 0);
}

TEST_CASE("a woken deadline may set itself again, and take back others that are due") {
  DeadlineHeap heap;
  int second = 0;
  Entry victim([&second](TimePoint) { ++second; });
  int first = 0;
  Entry self([](TimePoint) {});
  self.due = [&](TimePoint now) {
    ++first;
    heap.set(victim, std::nullopt);
    heap.set(self, now + milliseconds(1));
  };
  heap.set(self, at(1));
  heap.set(victim, at(2));
  heap.run(at(2));
  CHECK(first == 1);
  CHECK(second == 0);
  CHECK(heap.next() == at(3));
  heap.run(at(3));
  CHECK(first == 2);
}

TEST_CASE("100,000 random operations agree with a sorted map") {
  constexpr std::uint64_t kSeed = 7001;
  INFO("seed " << kSeed);
  Random random(kSeed);
  DeadlineHeap heap;
  std::vector<TimePoint> woken;
  TimePoint expected_now{};
  struct Known {
    std::unique_ptr<Entry> entry;
    std::optional<TimePoint> at;
  };
  std::vector<Known> known(200);
  std::multimap<TimePoint, std::size_t> model;
  const auto forget = [&model, &known](std::size_t i) {
    if (!known[i].at) return;
    for (auto [it, end] = model.equal_range(*known[i].at); it != end; ++it)
      if (it->second == i) {
        model.erase(it);
        break;
      }
    known[i].at.reset();
  };
  for (std::size_t i = 0; i < known.size(); ++i)
    known[i].entry = std::make_unique<Entry>([&, i](TimePoint now) {
      if (!known[i].at || *known[i].at > now || now != expected_now) FAIL("woken without being due");
      if (!model.empty() && model.begin()->first < *known[i].at) FAIL("woken before an earlier one");
      woken.push_back(*known[i].at);
      forget(i);
    });
  int clock = 0;
  for (int step = 0; step < 100'000; ++step) {
    const std::size_t i = random.below(static_cast<std::uint32_t>(known.size()));
    switch (random.below(8)) {
      case 0:
        forget(i);
        heap.set(*known[i].entry, std::nullopt);
        break;
      case 1: {
        clock += static_cast<int>(random.below(20));
        expected_now = at(clock);
        heap.run(expected_now);
        if (!model.empty() && model.begin()->first <= expected_now) FAIL("one that was due was not woken");
        break;
      }
      default: {
        forget(i);
        known[i].at = at(clock - 5 + static_cast<int>(random.below(300)));
        model.emplace(*known[i].at, i);
        heap.set(*known[i].entry, known[i].at);
      }
    }
    if (heap.size() != model.size()) FAIL("size differs at step " << step);
    if (!model.empty() && heap.next() != model.begin()->first) FAIL("soonest differs at step " << step);
  }
  CHECK(woken.size() > 1000);
}

}  // namespace kcptun::deadlines_test
