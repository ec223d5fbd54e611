#include "daemon/engine/backlog.h"

#include <array>
#include <catch2/catch.hpp>
#include <string>

#include "core/base/random.h"

namespace kcptun::backlog_test {
namespace {

constexpr std::size_t kBuffer = 256;

Bytes bytes_of(const std::string& text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

std::string front_of(const Backlog& backlog, std::size_t limit) {
  std::array<iovec, 64> vectors;
  const std::size_t count = backlog.fill(vectors.data(), std::min(limit, vectors.size()));
  std::string text;
  for (std::size_t i = 0; i < count; ++i)
    text.append(static_cast<const char*>(vectors[i].iov_base), vectors[i].iov_len);
  return text;
}

}  // namespace

TEST_CASE("a backlog is empty at first and takes no memory") {
  BufferPool pool(kBuffer);
  Backlog backlog(pool);
  CHECK(backlog.empty());
  CHECK(front_of(backlog, 64).empty());
  backlog.append({});
  backlog.drop_front(0);
  CHECK(backlog.empty());
  CHECK(pool.in_use() == 0);
}

TEST_CASE("buffers are given back as their bytes go, at each boundary") {
  BufferPool pool(kBuffer);
  Backlog backlog(pool);
  backlog.append(bytes_of(std::string(3 * kBuffer, 'x')));
  CHECK(pool.in_use() == 3);
  backlog.append(bytes_of("y"));
  CHECK(pool.in_use() == 4);
  backlog.drop_front(kBuffer - 1);
  CHECK(pool.in_use() == 4);
  backlog.drop_front(1);
  CHECK(pool.in_use() == 3);
  backlog.drop_front(kBuffer + 1);
  CHECK(pool.in_use() == 2);
  backlog.drop_front(backlog.size());
  CHECK(pool.in_use() == 0);
}

TEST_CASE("fill describes no more than its limit of vectors") {
  BufferPool pool(kBuffer);
  Backlog backlog(pool);
  backlog.append(bytes_of(std::string(10 * kBuffer, 'x')));
  backlog.drop_front(1);
  CHECK(front_of(backlog, 1).size() == kBuffer - 1);
  CHECK(front_of(backlog, 3).size() == 3 * kBuffer - 1);
  CHECK(front_of(backlog, 64).size() == 10 * kBuffer - 1);
  CHECK(front_of(backlog, 0).empty());
}

TEST_CASE("20,000 random operations on a backlog agree with a string, and its memory goes back") {
  constexpr std::uint64_t kSeed = 7002;
  INFO("seed " << kSeed);
  Random random(kSeed);
  BufferPool pool(kBuffer);
  {
    Backlog backlog(pool);
    std::string model;
    for (int step = 0; step < 20'000; ++step) {
      if (random.chance(0.5) && model.size() < 20 * kBuffer) {
        std::string more(random.below(3 * kBuffer), '\0');
        for (char& byte : more) byte = static_cast<char>(random.next32());
        backlog.append(bytes_of(more));
        model += more;
      } else {
        const std::size_t drop =
            random.chance(0.1) ? model.size() : random.below(static_cast<std::uint32_t>(model.size()) + 1);
        backlog.drop_front(drop);
        model.erase(0, drop);
      }
      const std::string seen = front_of(backlog, 1 + random.below(64));
      if (backlog.size() != model.size() || backlog.empty() != model.empty())
        FAIL("size differs at step " << step);
      if (seen.empty() != model.empty() || model.compare(0, seen.size(), seen) != 0)
        FAIL("bytes differ at step " << step);
      if (front_of(backlog, 64) != model) FAIL("the whole differs at step " << step);
      if (pool.in_use() > model.size() / kBuffer + 2) FAIL("holds too many buffers at step " << step);
    }
  }
  CHECK(pool.in_use() == 0);
}

}  // namespace kcptun::backlog_test
