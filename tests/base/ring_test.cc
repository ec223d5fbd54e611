#include "core/base/ring.h"

#include <catch2/catch.hpp>

namespace kcptun::ring_test {

TEST_CASE("a ring finds each number's slot and keeps the used ones when it grows") {
  SequenceRing<int> ring;
  std::uint32_t base = GENERATE(0u, 13u, 0xfffffff8u);
  CHECK(ring.capacity() == 0);
  ring.reserve(base, 0, 5);
  CHECK(ring.capacity() >= 5);
  for (std::uint32_t i = 0; i < 5; ++i) ring[base + i] = static_cast<int>(100 + i);
  ring.reserve(base, 5, 100);
  CHECK(ring.capacity() >= 100);
  for (std::uint32_t i = 0; i < 5; ++i) CHECK(ring[base + i] == static_cast<int>(100 + i));
}

TEST_CASE("a ring does not shrink by itself and gives everything back when told") {
  SequenceRing<int> ring;
  ring.reserve(0, 0, 64);
  const std::size_t before = ring.capacity();
  ring.reserve(0, 0, 3);
  CHECK(ring.capacity() == before);
  ring.release();
  CHECK(ring.capacity() == 0);
}

}  // namespace kcptun::ring_test
