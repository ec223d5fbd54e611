#include "core/probe/reply_count.h"

#include <array>
#include <catch2/catch.hpp>

#include "core/fec/fec_header.h"

namespace kcptun::test::reply_count_test {
namespace {

void see(ReplyCount& count, std::uint32_t seqid, FecType type) {
  std::array<std::uint8_t, 40> body{};
  store_u32(body.data(), seqid);
  store_u16(body.data() + 4, static_cast<std::uint16_t>(type));
  count.handle(body);
}

FecType type_of(std::uint32_t seqid) { return seqid % 13 < 10 ? FecType::kData : FecType::kParity; }

TEST_CASE("What is missing between the numbers was lost") {
  ReplyCount count;
  for (std::uint32_t i = 0; i < 260; ++i) {
    if (i % 50 != 7) see(count, i, type_of(i));
  }
  REQUIRE(count.loss());
  CHECK(count.shards()->data_shards == 10);
  CHECK(count.shards()->parity_shards == 3);
  CHECK(count.loss()->lost == 6);
  CHECK(count.loss()->total() == 260);
}

TEST_CASE("A server that leaves parity out does not look lossy") {
  ReplyCount count;
  for (std::uint32_t i = 0; i < 260; ++i) {
    if (i % 13 < 11 && i % 26 != 3) see(count, i, type_of(i));
  }
  if (!count.loss()) return;  // such a server's counts may be ambiguous, and then there is no result
  CHECK(count.loss()->lost == 10);
  CHECK(count.loss()->total() == 200);
}

TEST_CASE("Packets without numbers tell nothing, and far numbers cost nothing") {
  ReplyCount count;
  std::array<std::uint8_t, 24> plain{};
  plain[4] = 82;
  count.handle(plain);
  see(count, 0xfffffff0, FecType::kData);
  CHECK_FALSE(count.loss());
  CHECK_FALSE(count.shards());
}

}  // namespace
}  // namespace kcptun::test::reply_count_test
