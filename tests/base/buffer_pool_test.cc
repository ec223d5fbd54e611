#include "core/base/buffer_pool.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstring>
#include <set>
#include <vector>

#include "core/base/random.h"

namespace kcptun::buffer_pool_test {

TEST_CASE("buffers are aligned, of the size asked for, and do not overlap") {
  BufferPool pool(1500);
  CHECK(pool.buffer_size() >= 1500);
  std::vector<std::uint8_t*> buffers;
  for (int i = 0; i < 500; ++i) {
    buffers.push_back(pool.take());
    CHECK(reinterpret_cast<std::uintptr_t>(buffers.back()) % 64 == 0);
    std::memset(buffers.back(), i & 0xff, pool.buffer_size());
  }
  for (int i = 0; i < 500; ++i) {
    const std::uint8_t* buffer = buffers[static_cast<std::size_t>(i)];
    REQUIRE(
        std::all_of(buffer, buffer + pool.buffer_size(), [i](std::uint8_t b) { return b == (i & 0xff); }));
  }
  CHECK(pool.in_use() == 500);
  for (std::uint8_t* buffer : buffers) pool.put(buffer);
  CHECK(pool.in_use() == 0);
}

TEST_CASE("a pool gives its memory back when told twice that it is idle") {
  BufferPool pool(1500);
  CHECK(pool.held_bytes() == 0);
  std::vector<std::uint8_t*> buffers;
  for (int i = 0; i < 1000; ++i) buffers.push_back(pool.take());
  CHECK(pool.held_bytes() >= 1000 * 1500);
  Random random(1);
  for (std::size_t i = buffers.size(); i > 1; --i)
    std::swap(buffers[i - 1], buffers[random.below(static_cast<std::uint32_t>(i))]);
  for (std::uint8_t* buffer : buffers) pool.put(buffer);
  pool.trim();  // they were needed since the last time
  CHECK(pool.held_bytes() >= 1000 * 1500);
  pool.trim();
  CHECK(pool.held_bytes() == 0);
  const PoolBuffer again(pool);
  CHECK(again.data() != nullptr);
}

TEST_CASE("taking and giving in any order never hands out a buffer twice") {
  BufferPool pool(GENERATE(64u, 1500u, 65536u));
  Random random(2);
  std::set<std::uint8_t*> out;
  for (int i = 0; i < 20000; ++i) {
    if (out.size() < 300 && random.chance(out.size() < 100 ? 0.7 : 0.45)) {
      REQUIRE(out.insert(pool.take()).second);
    } else if (!out.empty()) {
      auto it = out.lower_bound(*out.begin() + random.next() % 1000000);
      if (it == out.end()) it = out.begin();
      pool.put(*it);
      out.erase(it);
    }
    REQUIRE(pool.in_use() == out.size());
  }
  for (std::uint8_t* buffer : out) pool.put(buffer);
}

TEST_CASE("trimming a pool that is in use frees what is not, and harms nothing that is") {
  BufferPool pool(1500);
  Random random(3);
  std::vector<PoolBuffer> out;
  for (int i = 0; i < 30000; ++i) {
    const std::uint32_t most = i / 3000 % 2 ? 50 : 800;
    if (out.size() < most) {
      out.emplace_back(pool);
      std::memset(out.back().data(), 7, 1500);
    } else {
      std::swap(out[random.below(static_cast<std::uint32_t>(out.size()))], out.back());
      out.pop_back();
      if (out.size() > most) out.resize(most);
    }
    if (i % 100 == 0) pool.trim();
  }
  out.clear();
  pool.trim();
  pool.trim();
  CHECK(pool.held_bytes() == 0);
}

TEST_CASE("one buffer taken and given back many times costs one chunk") {
  BufferPool pool(1500);
  for (int i = 0; i < 1000; ++i) {
    PoolBuffer buffer(pool);
    PoolBuffer other = std::move(buffer);
    CHECK_FALSE(buffer);
    CHECK(other);
  }
  CHECK(pool.held_bytes() == 128 * 1024);
  CHECK(pool.in_use() == 0);
}

}  // namespace kcptun::buffer_pool_test
