#include "core/kcp/window_prober.h"

#include <catch2/catch.hpp>

namespace kcptun::window_prober_test {
namespace {

const TimePoint kStart{seconds(100)};

}  // namespace

TEST_CASE("an open window is not probed, and before the first segment KCP's window is assumed") {
  WindowProber prober;
  CHECK(prober.window() == WindowProber::kAssumedWindow);
  prober.handle_send(kStart);
  CHECK_FALSE(prober.next_timeout());
  prober.handle_timeout(kStart + seconds(1000));
  CHECK_FALSE(prober.due());
}

TEST_CASE("a closed window is probed after 500 ms and then at intervals that grow by half, up to 120 s") {
  WindowProber prober;
  prober.handle_window(1, 0);
  TimePoint now = kStart;
  Duration interval = WindowProber::kFirstInterval;
  prober.handle_send(now);
  for (int i = 0; i < 30; ++i) {
    prober.handle_send(now);  // does not restart the interval
    CHECK(prober.next_timeout() == now + interval);
    prober.handle_timeout(now + interval - Duration(1));
    CHECK_FALSE(prober.due());
    now += interval;
    prober.handle_timeout(now);
    CHECK(prober.due());
    prober.handle_sent();
    interval = std::min<Duration>(interval + interval / 2, WindowProber::kMaxInterval);
  }
  CHECK(interval == WindowProber::kMaxInterval);
}

TEST_CASE("an open window ends the probing, and the next one begins with the first interval") {
  WindowProber prober;
  prober.handle_window(1, 0);
  prober.handle_send(kStart);
  prober.handle_timeout(kStart + milliseconds(500));
  CHECK(prober.due());
  prober.handle_window(1, 3);
  CHECK_FALSE(prober.due());
  CHECK_FALSE(prober.next_timeout());
  prober.handle_window(2, 0);
  prober.handle_send(kStart + seconds(9));
  CHECK(prober.next_timeout() == kStart + seconds(9) + WindowProber::kFirstInterval);
}

TEST_CASE("an older segment does not change the window, and a request is due at any window") {
  WindowProber prober;
  prober.handle_window(5, 40);
  prober.request();
  CHECK(prober.due());
  prober.handle_window(4, 50);
  CHECK(prober.window() == 40);
  CHECK(prober.due());  // the segment is older than the request's answer can be
  prober.handle_sent();
  CHECK_FALSE(prober.due());
}

}  // namespace kcptun::window_prober_test
