#include "tests/lab/link_model.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <vector>

namespace kcptun::lab {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::uint32_t kPacket = 1500;

LinkTime at(LinkDuration since) { return LinkTime(since); }

LinkModel model_of(const LinkSettings& settings, std::uint64_t seed = 7) {
  LinkModel model(seed);
  model.set(settings);
  return model;
}

/// The fates of `count` packets, one each 10 us.
std::vector<Fate> fates(LinkModel& model, int count) {
  std::vector<Fate> all;
  for (int i = 0; i < count; ++i) all.push_back(model.offer(at(microseconds(10) * i), kPacket).fate);
  return all;
}

/// Lengths of the runs of losses.
std::vector<int> bursts(const std::vector<Fate>& all) {
  std::vector<int> lengths;
  bool in_burst = false;
  for (const Fate fate : all) {
    if (fate != Fate::kLost) {
      in_burst = false;
    } else if (in_burst) {
      ++lengths.back();
    } else {
      lengths.push_back(1);
      in_burst = true;
    }
  }
  return lengths;
}

TEST_CASE("a packet comes out after the delay and its own time on the wire") {
  LinkModel model = model_of({.delay = milliseconds(25), .rate = 12'500'000, .queue = 512 * 1024});
  const LinkModel::Verdict verdict = model.offer(at(seconds(1)), kPacket);
  CHECK(verdict.fate == Fate::kPasses);
  CHECK(verdict.out == at(seconds(1) + milliseconds(25) + microseconds(120)));
}

TEST_CASE("a policer lets a bucket through at once, and then its rate; it delays nothing") {
  LinkModel model = model_of({.delay = milliseconds(3), .police = 1'500'000, .bucket = 15'000});
  int passed = 0;
  for (int i = 0; i < 100; ++i) passed += model.offer(at(seconds(1)), kPacket).fate == Fate::kPasses;
  CHECK(passed == 10);
  for (int i = 1; i <= 1000; ++i) {
    const LinkTime now = at(seconds(1) + microseconds(500) * i);  // twice the rate
    const LinkModel::Verdict verdict = model.offer(now, kPacket);
    CHECK(verdict.fate == (i % 2 == 0 ? Fate::kPasses : Fate::kPoliced));
    if (verdict.fate == Fate::kPasses) CHECK(verdict.out == now + milliseconds(3));
  }
  CHECK(model.counters().policed == 90 + 500);
  CHECK(model.counters().lost == 0);
  CHECK(model.offer(at(seconds(9)), 15'000).fate == Fate::kPasses);  // the bucket is full again
  CHECK(model.offer(at(seconds(9)), 1).fate == Fate::kPoliced);
}

TEST_CASE("without a rate there is only the delay") {
  LinkModel model = model_of({.delay = milliseconds(3)});
  for (int i = 0; i < 100; ++i)
    CHECK(model.offer(at(seconds(1)), kPacket).out == at(seconds(1) + milliseconds(3)));
  CHECK(model.queued(at(seconds(1))) == 0);
}

TEST_CASE("an overloaded link carries its rate, to the packet") {
  for (const std::uint64_t rate : {1'250'000u, 12'500'000u, 62'500'000u}) {
    LinkModel model = model_of({.rate = rate, .queue = 512 * 1024});
    LinkTime last{};
    std::uint64_t carried = 0;
    for (LinkDuration now{0}; now < seconds(5);
         now += LinkDuration(1'500'000'000'000 / rate / 2)) {  // twice the rate
      const LinkModel::Verdict verdict = model.offer(at(now), kPacket);
      if (verdict.fate != Fate::kPasses) continue;
      last = verdict.out;
      carried += kPacket;
    }
    const double sent =
        static_cast<double>(carried) / static_cast<double>(last.time_since_epoch().count()) * 1e9;
    CHECK(sent == Approx(rate).epsilon(0.0001));
    CHECK(model.counters().carried_bytes == carried);
    CHECK(model.counters().queue_drops == model.counters().offered - model.counters().carried);
  }
}

TEST_CASE("a paced sender below the rate sees no queue beyond its own packet") {
  LinkModel model = model_of({.delay = milliseconds(1), .rate = 12'500'000, .queue = 3000});
  for (int i = 0; i < 10000; ++i) {
    const LinkTime now = at(microseconds(121) * i);  // 120 us each
    CHECK(model.offer(now, kPacket).out == now + milliseconds(1) + microseconds(120));
  }
  CHECK(model.counters().max_queue == kPacket);
}

TEST_CASE("the queue takes exactly its limit, and room comes back as it drains") {
  LinkModel model = model_of({.rate = 1'500'000, .queue = 10 * kPacket});  // one packet a millisecond
  for (int i = 0; i < 10; ++i) CHECK(model.offer(at(seconds(1)), kPacket).fate == Fate::kPasses);
  CHECK(model.offer(at(seconds(1)), kPacket).fate == Fate::kQueueFull);
  CHECK(model.offer(at(seconds(1)), 1).fate == Fate::kQueueFull);
  CHECK(model.queued(at(seconds(1))) == 10 * kPacket);
  CHECK(model.offer(at(seconds(1) + milliseconds(1) - LinkDuration(1000)), kPacket).fate == Fate::kQueueFull);
  CHECK(model.offer(at(seconds(1) + milliseconds(1)), kPacket).fate == Fate::kPasses);
  CHECK(model.counters().max_queue == 10 * kPacket);
  CHECK(model.counters().queue_drops == 3);
}

TEST_CASE("the last packet of a full queue waits for all of it") {
  LinkModel model = model_of({.rate = 12'500'000, .queue = 525'000});  // 350 packets
  LinkTime out{};
  for (int i = 0; i < 350; ++i) out = model.offer(at(seconds(1)), kPacket).out;
  CHECK(out == at(seconds(1) + microseconds(120) * 350));
}

TEST_CASE("a new rate counts from the next packet on") {
  LinkModel model = model_of({.rate = 1'500'000, .queue = 100 * kPacket});
  CHECK(model.offer(at(seconds(1)), kPacket).out == at(seconds(1) + milliseconds(1)));
  LinkSettings faster = model.settings();
  faster.rate = 15'000'000;
  model.set(faster);
  CHECK(model.offer(at(seconds(1)), kPacket).out == at(seconds(1) + microseconds(1100)));
  faster.rate = 0;
  model.set(faster);
  CHECK(model.offer(at(seconds(1)), kPacket).out == at(seconds(1) + microseconds(1100)));  // order is kept
}

TEST_CASE("independent loss has its share, and no memory") {
  constexpr int kCount = 200'000;
  for (const double loss : {0.005, 0.02, 0.1, 0.3}) {
    LinkModel model = model_of({.loss = loss});
    const std::vector<Fate> all = fates(model, kCount);
    const double deviation = std::sqrt(kCount * loss * (1 - loss));
    CHECK(std::abs(static_cast<double>(model.counters().lost) - kCount * loss) < 5 * deviation);
    const std::vector<int> lengths = bursts(all);  // geometric: mean 1 / (1 - loss)
    const double mean = static_cast<double>(model.counters().lost) / static_cast<double>(lengths.size());
    CHECK(mean == Approx(1 / (1 - loss)).epsilon(0.03));
  }
}

TEST_CASE("burst loss has its share, and bursts their mean length") {
  constexpr int kCount = 1'000'000;
  for (const auto& [share, length] : {std::pair(0.01, 8.0), std::pair(0.05, 3.0), std::pair(0.2, 20.0)}) {
    LinkModel model = model_of({.burst_loss = share, .burst_length = length});
    const std::vector<int> lengths = bursts(fates(model, kCount));
    // Lengths are geometric, so the lost are a sum of about kCount * share / length of them.
    const double count = kCount * share / length;
    const double deviation = std::sqrt(2 * count) * length;
    CHECK(std::abs(static_cast<double>(model.counters().lost) - kCount * share) < 5 * deviation);
    const double mean = static_cast<double>(model.counters().lost) / static_cast<double>(lengths.size());
    CHECK(std::abs(mean - length) < 5 * length / std::sqrt(count));
  }
}

TEST_CASE("loss of all and loss of none are exact") {
  LinkModel all = model_of({.loss = 1}), none = model_of({});
  fates(all, 1000);
  fates(none, 1000);
  CHECK(all.counters().lost == 1000);
  CHECK(none.counters().lost == 0);
}

TEST_CASE("a lost packet has used the bottleneck") {
  LinkModel model = model_of({.rate = 1'500'000, .queue = 10 * kPacket, .loss = 1});
  for (int i = 0; i < 10; ++i) CHECK(model.offer(at(seconds(1)), kPacket).fate == Fate::kLost);
  CHECK(model.offer(at(seconds(1)), kPacket).fate == Fate::kQueueFull);
}

TEST_CASE("the same seed decides the same, whatever the delays are; another seed does not") {
  LinkModel a = model_of({.loss = 0.1}),
            b = model_of({.delay = seconds(1), .jitter = milliseconds(5), .loss = 0.1}),
            c = model_of({.loss = 0.1}, 8);
  const std::vector<Fate> first = fates(a, 10'000);
  CHECK(first == fates(b, 10'000));
  CHECK(first != fates(c, 10'000));
}

TEST_CASE("jitter stays in its range, uses it, and keeps the order") {
  for (const LinkDuration jitter : {LinkDuration(milliseconds(1)), LinkDuration(milliseconds(50))}) {
    LinkModel model = model_of({.delay = milliseconds(20), .jitter = jitter});
    LinkTime last{};
    LinkDuration least = seconds(1), most{0};
    for (int i = 0; i < 400'000; ++i) {
      const LinkTime now = at(microseconds(50) * i);
      const LinkTime out = model.offer(now, kPacket).out;
      REQUIRE(out >= last);
      last = out;
      least = std::min(least, out - now);
      most = std::max(most, out - now);
    }
    CHECK(least >= milliseconds(20));
    CHECK(most <= milliseconds(20) + jitter);
    CHECK(most - least > jitter * 8 / 10);
  }
}

TEST_CASE("packets held back come out later by just that") {
  constexpr int kCount = 100'000;
  LinkModel model = model_of({.delay = milliseconds(10), .reorder = 0.05, .reorder_delay = milliseconds(2)});
  int late = 0;
  for (int i = 0; i < kCount; ++i) {
    const LinkTime now = at(microseconds(10) * i);
    const LinkDuration took = model.offer(now, kPacket).out - now;
    if (took == milliseconds(12)) {
      ++late;
    } else {
      REQUIRE(took == milliseconds(10));
    }
  }
  CHECK(std::abs(late - kCount * 0.05) < 5 * std::sqrt(kCount * 0.05 * 0.95));
  CHECK(model.counters().reordered == static_cast<std::uint64_t>(late));
}

TEST_CASE("the MTU drops what is above it, and only that") {
  LinkModel model = model_of({.mtu = 1400});
  CHECK(model.offer(at(seconds(1)), 1400).fate == Fate::kPasses);
  CHECK(model.offer(at(seconds(1)), 1401).fate == Fate::kTooBig);
  CHECK(model.counters().too_big == 1);
}

TEST_CASE("a black hole takes everything until it is off again") {
  LinkModel model = model_of({.black_hole = true});
  CHECK(model.offer(at(seconds(1)), 40).fate == Fate::kBlackHole);
  LinkSettings open = model.settings();
  open.black_hole = false;
  model.set(open);
  CHECK(model.offer(at(seconds(2)), 40).fate == Fate::kPasses);
  CHECK(model.counters().black_holed == 1);
}

TEST_CASE("counters add up and go back to zero") {
  LinkModel model = model_of({.rate = 1'500'000, .queue = 6000, .loss = 0.2, .mtu = 1499});
  for (int i = 0; i < 1000; ++i) model.offer(at(microseconds(300) * i), i % 10 == 0 ? 1500 : 1000);
  const LinkModel::Counters& c = model.counters();
  CHECK(c.offered == 1000);
  CHECK(c.too_big == 100);
  CHECK(c.queue_drops > 0);
  CHECK(c.lost > 0);
  CHECK(c.offered == c.carried + c.lost + c.queue_drops + c.too_big + c.black_holed);
  model.reset_counters();
  CHECK(model.counters().offered == 0);
}

}  // namespace
}  // namespace kcptun::lab
