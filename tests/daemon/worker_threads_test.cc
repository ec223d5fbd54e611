// Loops on threads, and work that runs while all of them are stopped. Also the service manager's status line.
#include "daemon/io/worker_threads.h"

#include <pthread.h>

#include <array>
#include <catch2/catch.hpp>
#include <string>

#include "daemon/process/service_status.h"

namespace kcptun::worker_threads_test {

TEST_CASE("while all threads stand still nobody else runs, and afterwards everybody goes on") {
  auto threads = std::move(WorkerThreads::open(4).value());
  std::array<std::uint64_t, 4> turns{};  // not atomic: the thread sanitizer detects concurrent access
  std::array<std::function<void()>, 4> go_on;
  for (std::size_t i = 0; i < 4; ++i) {
    go_on[i] = [&, i] {
      ++turns[i];
      threads->post(i, go_on[i]);
    };
    threads->post(i, go_on[i]);
  }
  int rounds = 0;
  std::function<void()> round = [&] {
    threads->run_exclusive([&] {
      const auto before = turns;
      for (std::size_t i = 1; i < 4; ++i) turns[i] += 1000;
      for (std::size_t i = 1; i < 4; ++i) CHECK(turns[i] == before[i] + 1000);
    });
    if (++rounds == 50) return threads->stop();
    threads->post(0, round);
  };
  threads->post(0, round);
  REQUIRE(threads->start().ok());
  threads->run();
  CHECK(rounds == 50);
  for (const std::uint64_t count : turns) CHECK(count > 0);
}

TEST_CASE("threads that the system does not give are one error, and those that it gave have ended") {
  auto threads = std::move(WorkerThreads::open(4).value());
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, std::size_t{1} << 46);  // more than the address space
  pthread_setattr_default_np(&attributes);
  const Result<bool> started = threads->start();
  pthread_attr_setstacksize(&attributes, std::size_t{8} << 20);
  pthread_setattr_default_np(&attributes);
  pthread_attr_destroy(&attributes);
  REQUIRE_FALSE(started.ok());
  CHECK(started.error().starts_with("cannot start the thread \"loop 1\": "));
}

TEST_CASE("before the threads run, and with one alone, work is done at once") {
  auto threads = std::move(WorkerThreads::open(1).value());
  int done = 0;
  threads->run_exclusive([&done] { ++done; });
  CHECK(done == 1);
  threads->post(0, [&] {
    threads->run_exclusive([&done] { ++done; });
    threads->stop();
  });
  REQUIRE(threads->start().ok());
  threads->run();
  CHECK(done == 2);
}

TEST_CASE("the status is sessions, streams and rates with two or three digits") {
  CHECK(status_text(2, 14, 3.1e6, 1e7) == "2 sessions, 14 streams, 3.1 MB/s up, 10 MB/s down");
  CHECK(status_text(1, 1, 0, 999) == "1 session, 1 stream, 0 B/s up, 999 B/s down");
  CHECK(status_text(0, 0, 1000, 999.6e3) == "0 sessions, 0 streams, 1.0 kB/s up, 1.0 MB/s down");
  CHECK(status_text(0, 0, 9.96e6, 1.234e12) == "0 sessions, 0 streams, 10 MB/s up, 1234 GB/s down");
}

}  // namespace kcptun::worker_threads_test
