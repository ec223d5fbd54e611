#include "core/smux/stream_scheduler.h"

#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <deque>
#include <random>
#include <vector>

namespace kcptun::stream_scheduler_test {
namespace {

constexpr auto kQuantum = static_cast<std::size_t>(StreamScheduler::kQuantum);

struct TestStream : StreamTurn {
  std::size_t waiting = 0;  // bytes to send
  std::size_t sent = 0;
};

/// Streams with bytes to send, which the scheduler lets send one after the other.
struct Sender {
  TestStream& add(std::size_t bytes) {
    streams.emplace_back();
    write(streams.back(), bytes);
    return streams.back();
  }
  void write(TestStream& stream, std::size_t bytes) {
    stream.waiting += bytes;
    scheduler.activate(stream);
  }
  /// The next stream sends what it may, at most `limit` bytes.
  TestStream& send(std::size_t limit = SIZE_MAX) {
    auto& stream = static_cast<TestStream&>(scheduler.next());
    const std::size_t bytes = std::min({limit, stream.waiting, scheduler.allowance(stream)});
    stream.waiting -= bytes;
    stream.sent += bytes;
    scheduler.record_sent(stream, bytes);
    if (stream.waiting == 0) scheduler.deactivate(stream);
    return stream;
  }

  StreamScheduler scheduler;
  std::deque<TestStream> streams;
};

}  // namespace

TEST_CASE("a stream that becomes active is served before streams that send all the time") {
  Sender sender;
  for (int i = 0; i < 64; ++i) sender.add(1 << 30);
  for (int i = 0; i < 200; ++i) sender.send();
  TestStream& thin = sender.add(100);
  CHECK(&sender.send() == &thin);
  CHECK(thin.sent == 100);
}

TEST_CASE("a thin stream is served first each time, also several times in one round") {
  Sender sender;
  for (int i = 0; i < 64; ++i) sender.add(1 << 30);
  for (int i = 0; i < 100; ++i) sender.send();
  TestStream& thin = sender.add(1000);
  sender.send();
  for (int i = 0; i < 10; ++i) {
    sender.send();  // one bulk stream
    sender.write(thin, 1000);
    REQUIRE(&sender.send() == &thin);
  }
}

TEST_CASE("thin streams are served in the order in which they became active") {
  Sender sender;
  sender.add(1 << 30);
  sender.send();
  sender.send();
  TestStream& first = sender.add(10);
  TestStream& second = sender.add(10);
  CHECK(&sender.send() == &first);
  CHECK(&sender.send() == &second);
}

TEST_CASE("streams that send all the time share equally in bytes, whatever they send at once") {
  Sender sender;
  for (int i = 0; i < 5; ++i) sender.add(1 << 30);
  std::mt19937 random(7);
  for (int i = 0; i < 20'000; ++i) {
    const auto& next = static_cast<TestStream&>(sender.scheduler.next());
    const bool large = &next == &sender.streams.front();
    sender.send(large ? SIZE_MAX : 1 + random() % 9000);
  }
  const auto [least, most] = std::ranges::minmax_element(sender.streams, {}, &TestStream::sent);
  CHECK(most->sent - least->sent <= 2 * kQuantum + StreamScheduler::kMinTurn);
}

TEST_CASE("a stream that always empties and fills again gets no more than its share") {
  Sender sender;
  TestStream& bulk = sender.add(1 << 30);
  TestStream& gamer = sender.add(1000);
  for (int i = 0; i < 10'000; ++i)
    if (&sender.send() == &gamer) sender.write(gamer, 1000);
  CHECK(gamer.sent <= bulk.sent + 2 * kQuantum);
  CHECK(bulk.sent <= gamer.sent + 2 * kQuantum);
}

TEST_CASE("many thin streams do not starve a bulk stream") {
  Sender sender;
  TestStream& bulk = sender.add(1 << 30);
  for (int i = 0; i < 20; ++i) sender.add(3000);
  for (int i = 0; i < 10'000; ++i)
    if (TestStream& sent = sender.send(); &sent != &bulk) sender.write(sent, 3000);
  CHECK(bulk.sent + kQuantum * 2 >= sender.streams.back().sent);
}

TEST_CASE("one stream alone sends in large pieces, and owes nothing for it later") {
  Sender sender;
  TestStream& bulk = sender.add(1 << 30);
  for (int i = 0; i < 100; ++i) {
    CHECK(sender.scheduler.allowance(bulk) == StreamScheduler::kAlone);
    sender.send();
  }
  TestStream& other = sender.add(1 << 30);
  const std::size_t before = bulk.sent;
  for (int i = 0; i < 100; ++i) sender.send();
  const std::size_t bulk_bytes = bulk.sent - before;
  CHECK(std::max(bulk_bytes, other.sent) - std::min(bulk_bytes, other.sent) <= 2 * kQuantum);
}

TEST_CASE("a turn is never too small to be worth a system call, and its debt is paid back") {
  Sender sender;
  TestStream& one = sender.add(1 << 30);
  sender.add(1 << 30);
  for (int i = 0; i < 1000; ++i) {
    CHECK(sender.scheduler.allowance(static_cast<TestStream&>(sender.scheduler.next())) >=
          static_cast<std::size_t>(StreamScheduler::kMinTurn));
    sender.send(kQuantum - 1);
  }
  CHECK(one.sent + 3 * kQuantum >= sender.streams.back().sent);
}

TEST_CASE("streams leave from any place") {
  Sender sender;
  for (int i = 0; i < 6; ++i) sender.add(1 << 20);
  sender.send();
  for (const std::size_t leaving : std::array{5u, 0u, 3u}) {
    sender.scheduler.deactivate(sender.streams[leaving]);
    CHECK_FALSE(sender.streams[leaving].active());
  }
  sender.scheduler.deactivate(sender.streams[3]);  // no effect
  CHECK(sender.scheduler.active() == 3);
  std::vector<const TestStream*> served;
  while (!sender.scheduler.empty()) {
    TestStream& stream = sender.send();
    if (std::ranges::find(served, &stream) == served.end()) served.push_back(&stream);
  }
  CHECK(served.size() == 3);
  for (const std::size_t stayed : std::array{1u, 2u, 4u}) CHECK(sender.streams[stayed].waiting == 0);
}

}  // namespace kcptun::stream_scheduler_test
