#include "core/kcp/send_buffer.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <string>
#include <vector>

namespace kcptun::send_buffer_test {
namespace {

constexpr std::size_t kMss = 10;

struct Fixture {
  explicit Fixture(std::uint32_t first_sn = 0) : buffer(pool, kMss, first_sn) {}

  void append(const std::string& text, std::size_t prepared = 0) {
    std::vector<MutableBytes> pieces;
    buffer.prepare(std::max(prepared, text.size()), pieces);
    std::size_t at = 0;
    for (const MutableBytes piece : pieces)
      for (std::uint8_t& byte : piece)
        if (at < text.size()) byte = static_cast<std::uint8_t>(text[at++]);
    REQUIRE(at == text.size());
    buffer.commit(text.size());
  }
  std::string data(std::uint32_t sn) const {
    const Bytes bytes = buffer.data(sn);
    return {bytes.begin(), bytes.end()};
  }
  std::string cut() { return data(buffer.cut()); }

  BufferPool pool{64};
  SendBuffer buffer;
};

}  // namespace

TEST_CASE("a send buffer cuts the stream into segments and fills the last one up until it is cut") {
  Fixture f;
  f.append("0123456");
  CHECK(f.buffer.next_byte_sn() == 0);
  f.append("789abcdefghijklm");
  CHECK(f.buffer.end() == 3);
  CHECK(f.cut() == "0123456789");
  CHECK(f.cut() == "abcdefghij");
  CHECK(f.buffer.next_byte_sn() == 2);
  CHECK(f.cut() == "klm");
  CHECK_FALSE(f.buffer.has_queued());
  CHECK(f.buffer.next_byte_sn() == 3);
  f.append("no");
  CHECK(f.cut() == "no");
}

TEST_CASE("a send buffer frees what was prepared and not committed") {
  Fixture f;
  f.append("", 100);
  CHECK_FALSE(f.buffer.has_queued());
  CHECK(f.pool.in_use() == 0);
  f.append("0123", 100);
  CHECK(f.buffer.end() == 1);
  CHECK(f.pool.in_use() == 1);
  f.append("456789", 50);
  f.append("x", 50);
  CHECK(f.pool.in_use() == 2);
  CHECK(f.cut() == "0123456789");
  CHECK(f.cut() == "x");
}

TEST_CASE("every division of the stream into writes gives the same bytes") {
  const std::string text = "the quick brown fox jumps over the lazy dog";
  for (std::size_t a = 0; a <= text.size(); ++a) {
    for (std::size_t b = a; b <= text.size(); b += 3) {
      Fixture f;
      f.append(text.substr(0, a), a + 7);
      f.append(text.substr(a, b - a), b - a + 13);
      f.append(text.substr(b));
      std::string sent;
      while (f.buffer.has_queued()) sent += f.cut();
      REQUIRE(sent == text);
    }
  }
}

TEST_CASE(
    "a smaller segment size leaves queued segments as they are, and a larger one fills the last one up") {
  Fixture f;
  f.append("0123456789abcd");
  f.buffer.set_segment_size(4);
  f.append("efghi");
  CHECK(f.cut() == "0123456789");
  CHECK(f.cut() == "abcd");
  CHECK(f.cut() == "efgh");
  f.buffer.set_segment_size(6);
  f.append("jklmnopq");
  CHECK(f.cut() == "ijklmn");
  CHECK(f.cut() == "opq");
}

TEST_CASE("segments are released in any order, across the wrap of sequence numbers, while the buffer grows") {
  const std::uint32_t first = 0xfffffff8;
  Fixture f(first);
  for (std::uint32_t i = 0; i < 40; ++i) f.append(std::string(kMss, static_cast<char>('a' + i % 26)));
  for (std::uint32_t i = 0; i < 30; ++i) f.buffer.cut();
  for (std::uint32_t i = 1; i < 30; i += 2) f.buffer.release(first + i);
  CHECK(f.pool.in_use() == 25);
  for (std::uint32_t i = 40; i < 200; ++i) f.append(std::string(kMss, static_cast<char>('a' + i % 26)));
  for (std::uint32_t i = 0; i < 30; i += 2)
    CHECK(f.data(first + i) == std::string(kMss, static_cast<char>('a' + i % 26)));
  for (std::uint32_t i = 0; i < 30; i += 2) f.buffer.release(first + i);
  for (std::uint32_t i = 30; i < 200; ++i) {
    CHECK(f.cut() == std::string(kMss, static_cast<char>('a' + i % 26)));
    f.buffer.release(first + i);
  }
  CHECK(f.pool.in_use() == 0);
  f.buffer.trim();
  f.append("more");
  CHECK(f.cut() == "more");
}

TEST_CASE("a send buffer that is destroyed returns its buffers to the pool") {
  BufferPool pool(64);
  {
    SendBuffer buffer(pool, kMss, 0);
    std::vector<MutableBytes> pieces;
    buffer.prepare(95, pieces);
    buffer.commit(95);
    buffer.cut();
    buffer.cut();
    buffer.release(1);
    buffer.prepare(30, pieces);
    CHECK(pool.in_use() == 12);
  }
  CHECK(pool.in_use() == 0);
}

}  // namespace kcptun::send_buffer_test
