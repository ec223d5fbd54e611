#include "core/kcp/bbr/policed_rate.h"

#include <catch2/catch.hpp>

#include "tests/kcp/bbr/policed_path.h"

namespace kcptun::bbr::test::policed_rate_test {
namespace {

constexpr std::uint64_t kRate = 1'250'000;  // bytes per second: 10 Mbit/s

struct Limited {
  explicit Limited(std::uint64_t begin_at, double path_loss = 0) : first(begin_at), loss(path_loss) {
    path.loss = path_loss;
  }

  void run(Duration time) {
    for (const TimePoint end = path.now() + time; path.now() < end;) {
      path.step(static_cast<double>(begun ? rate.value() : first), [&](const Batch& batch) {
        if (!begun) rate.begin(batch.acked, first, loss);
        begun = true;
        rate.handle_batch(path.model(), batch);
        sent += batch.acked.packets + batch.lost;
        lost += batch.lost;
      });
    }
  }

  PolicedPath path;
  PolicedRate rate;
  std::uint64_t first;
  double loss;
  bool begun = false;
  std::uint64_t sent = 0, lost = 0;
};

}  // namespace

TEST_CASE("the rate becomes the policer's, whatever was measured first, and little is dropped") {
  const double measured = GENERATE(0.7, 1.0, 1.3);
  const double loss = GENERATE(0.0, 0.02);
  CAPTURE(measured, loss);
  Limited limited(static_cast<std::uint64_t>(measured * kRate), loss);
  limited.path.limit = kRate;
  limited.run(seconds(2));
  limited.sent = limited.lost = 0;
  limited.run(seconds(20));
  CHECK(static_cast<double>(limited.rate.value()) == Approx(kRate).epsilon(0.08));
  CHECK(static_cast<double>(limited.lost) < (loss + 0.03) * static_cast<double>(limited.sent));
  CHECK_FALSE(limited.rate.gone());
  CHECK_FALSE(limited.rate.misjudged());
}

TEST_CASE("a rate that meets no policer grows until the policer counts as gone") {
  Limited limited(kRate);
  limited.run(milliseconds(300));
  CHECK_FALSE(limited.rate.gone());
  limited.run(seconds(2));
  CHECK(limited.rate.gone());
}

TEST_CASE("a rate at which the application sends less does not grow") {
  Limited limited(kRate);
  limited.path.app_limited = true;
  limited.run(seconds(5));
  CHECK(limited.rate.value() == kRate);
}

TEST_CASE("losses that remain although the rate falls are not a policer's") {
  Limited limited(kRate);
  limited.path.loss = 0.2;  // of which nothing was known
  for (int i = 0; i < 400 && !limited.rate.misjudged(); ++i) limited.run(milliseconds(5));
  CHECK(limited.rate.misjudged());
  CHECK(limited.rate.value() > kRate / 3);
}

}  // namespace kcptun::bbr::test::policed_rate_test
