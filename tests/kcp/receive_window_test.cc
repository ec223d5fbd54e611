#include "core/kcp/receive_window.h"

#include <catch2/catch.hpp>
#include <cstring>
#include <string>

namespace kcptun::receive_window_test {
namespace {

using Verdict = ReceiveWindow::Verdict;

struct Fixture {
  explicit Fixture(std::uint32_t size, std::uint32_t first = 0) : window(pool, size, first) {}

  static Bytes bytes(const std::string& text) {
    return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
  }
  std::string read() {
    const auto piece = window.read();
    return piece ? std::string(piece->data.begin(), piece->data.end()) : "-";
  }

  std::string read_all() {
    std::string all;
    while (window.readable()) all += read();
    return all;
  }

  BufferPool pool{64};
  ReceiveWindow window;
};

}  // namespace

TEST_CASE("segments come out in order, whatever order they came in") {
  Fixture f(8);
  const std::string text[] = {"a", "b", "c", "d"};
  for (const std::uint32_t sn : {2u, 0u, 3u})
    CHECK(f.window.handle_push(sn, Fixture::bytes(text[sn])) == Verdict::kNew);
  CHECK(f.read() == "a");
  CHECK_FALSE(f.window.readable());
  CHECK(f.window.next() == 1);
  f.window.handle_push(1, Fixture::bytes(text[1]));
  CHECK(f.window.next() == 4);
  CHECK(f.read_all() == "bcd");
}

TEST_CASE("the last segment inside the window is taken, the first one beyond is not") {
  Fixture f(8);
  const std::string text = "x";
  CHECK(f.window.handle_push(8, Fixture::bytes(text)) == Verdict::kOutOfWindow);
  CHECK(f.window.handle_push(7, Fixture::bytes(text)) == Verdict::kNew);
  CHECK(f.window.handle_push(0x80000001, Fixture::bytes(text)) == Verdict::kDuplicate);
  CHECK(f.window.handle_push(0xffffffff, Fixture::bytes(text)) == Verdict::kDuplicate);
  f.window.handle_push(0, Fixture::bytes(text));
  CHECK(f.window.handle_push(8, Fixture::bytes(text)) == Verdict::kNew);
  CHECK(f.window.handle_push(9, Fixture::bytes(text)) == Verdict::kOutOfWindow);
}

TEST_CASE("a segment that came before is a duplicate, and its bytes change nothing") {
  Fixture f(8);
  const std::string first = "first", second = "other";
  f.window.handle_push(1, Fixture::bytes(first));
  CHECK(f.window.handle_push(1, Fixture::bytes(second)) == Verdict::kDuplicate);
  f.window.handle_push(0, Fixture::bytes(first));
  CHECK(f.window.handle_push(0, Fixture::bytes(second)) == Verdict::kDuplicate);
  CHECK(f.read() == "first");
  CHECK(f.window.handle_push(0, Fixture::bytes(second)) == Verdict::kDuplicate);
  CHECK(f.read() == "first");
}

TEST_CASE("a reader that stands still closes the window, and opens it again") {
  Fixture f(4);
  const std::string text = "x";
  for (std::uint32_t sn = 0; sn < 4; ++sn) {
    CHECK(f.window.free() == 4 - sn);
    f.window.handle_push(sn, Fixture::bytes(text));
  }
  CHECK(f.window.free() == 0);
  CHECK(f.window.next() == 4);
  // The peer may still have segments under way: they wait behind a rcv_nxt that stands still.
  CHECK(f.window.handle_push(4, Fixture::bytes(text)) == Verdict::kNew);
  CHECK(f.window.next() == 4);
  CHECK(f.read() == "x");
  CHECK(f.window.next() == 5);
  CHECK(f.window.free() == 0);
  for (int i = 0; i < 4; ++i) CHECK(f.read() == "x");
  CHECK(f.window.free() == 4);
}

TEST_CASE("what is read at once is a view of the packet, what is kept is a copy") {
  Fixture f(8);
  std::string packet = "abcd";
  f.window.handle_push(0, Fixture::bytes(packet).first(2));
  f.window.handle_push(1, Fixture::bytes(packet).subspan(2));
  const auto piece = f.window.read();
  CHECK(static_cast<const void*>(piece->data.data()) == packet.data());
  CHECK_FALSE(piece->buffer);
  CHECK(f.pool.in_use() == 0);
  f.window.end_batch();
  CHECK(f.pool.in_use() == 1);
  packet = "....";
  CHECK(f.read() == "cd");
  CHECK(f.pool.in_use() == 0);
}

TEST_CASE("a segment kept early is copied once") {
  Fixture f(8);
  const std::string text = "later";
  f.window.handle_push(3, Fixture::bytes(text));
  f.window.end_batch();
  f.window.end_batch();
  CHECK(f.pool.in_use() == 1);
}

TEST_CASE("a segment without data is a segment") {
  Fixture f(8);
  CHECK(f.window.handle_push(0, {}) == Verdict::kNew);
  CHECK(f.window.handle_push(0, {}) == Verdict::kDuplicate);
  f.window.end_batch();
  CHECK(f.window.readable());
  CHECK(f.read().empty());
  CHECK(f.window.next() == 1);
}

TEST_CASE("sequence numbers wrap at the receiver") {
  Fixture f(8, 0xfffffffd);
  const std::string text[] = {"a", "b", "c", "d", "e"};
  for (const std::uint32_t i : {4u, 3u, 1u, 2u, 0u})
    CHECK(f.window.handle_push(0xfffffffd + i, Fixture::bytes(text[i])) == Verdict::kNew);
  CHECK(f.window.next() == 2);
  CHECK(f.window.handle_push(0xfffffffd, Fixture::bytes(text[0])) == Verdict::kDuplicate);
  f.window.end_batch();
  CHECK(f.read_all() == "abcde");
  CHECK(f.window.handle_push(10, Fixture::bytes(text[0])) == Verdict::kOutOfWindow);
}

TEST_CASE("a window that grows lets the reader go on with what is there") {
  Fixture f(2);
  const std::string text[] = {"a", "b", "c", "d"};
  for (const std::uint32_t sn : {0u, 1u}) f.window.handle_push(sn, Fixture::bytes(text[sn]));
  f.window.set_window(4);
  f.window.handle_push(3, Fixture::bytes(text[3]));
  f.window.set_window(1);  // no less than what waits
  CHECK(f.window.window() == 2);
  f.window.handle_push(2, Fixture::bytes(text[2]));
  f.window.set_window(4);
  f.window.handle_push(2, Fixture::bytes(text[2]));
  CHECK(f.window.next() == 4);
  f.window.set_window(2);
  CHECK(f.read_all() == "abcd");
}

TEST_CASE("a window that shrinks below what has come early takes nothing old for news") {
  Fixture f(64);
  ReceiveWindow& window = f.window;
  const Bytes data = Fixture::bytes("data");
  window.handle_push(40, data);
  window.set_window(8);
  for (std::uint32_t sn = 0xffffffc0; sn != 200; ++sn) {
    CAPTURE(sn);
    CHECK_FALSE(window.is_ahead(sn));
  }
  for (std::uint32_t sn = 0; sn < 8; ++sn) CHECK(window.handle_push(sn, data) == Verdict::kNew);
  for (std::uint32_t sn = 16; sn < 40; ++sn) CHECK(window.handle_push(sn, data) == Verdict::kOutOfWindow);
  CHECK_FALSE(window.is_ahead(39));
}

TEST_CASE("an idle window holds no memory") {
  Fixture f(4096);
  const std::string text = "x";
  for (std::uint32_t sn = 0; sn < 3000; ++sn) f.window.handle_push(sn, Fixture::bytes(text));
  f.window.end_batch();
  CHECK(f.pool.in_use() == 3000);
  while (f.window.readable()) f.read();
  CHECK(f.pool.in_use() == 0);
  f.window.trim();
  f.window.handle_push(3001, Fixture::bytes(text));
  f.window.handle_push(3000, Fixture::bytes(text));
  CHECK(f.read_all() == "xx");
}

}  // namespace kcptun::receive_window_test
