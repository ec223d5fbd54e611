// Receivers whose shard counts are not the sender's (docs/develop/protocol.md section 4): they must recover
// nothing wrong, ever, and begin to recover when they have learned.
#include "core/fec/fec_decoder.h"
#include "core/fec/shard_evidence.h"
#include "tests/fec/fec_fixture.h"

namespace kcptun::test::fec_learning_test {

namespace {

struct Network {
  double loss = 0.1;
  double duplication = 0.05;
  double reordering = 0.1;
};

// Sends `groups` groups, each with `most_parity` parity packets or fewer, through a bad network.
void run(Sender& sender, Receiver& receiver, Random& random, const Network& network, int groups,
         std::uint32_t most_parity = 256) {
  std::vector<Buffer> late;
  for (int g = 0; g < groups; ++g) {
    const std::size_t parity = most_parity == 256 ? 256 : random.below(most_parity + 1);
    for (Buffer& packet : sender.group(parity)) {
      if (random.chance(network.loss)) continue;
      if (random.chance(network.duplication)) receiver.handle(packet);
      if (random.chance(network.reordering)) {
        late.push_back(std::move(packet));
      } else {
        receiver.handle(packet);
      }
      while (!late.empty() && random.chance(0.2)) {
        receiver.handle(late.back());
        late.pop_back();
      }
    }
  }
}

void check_all_sent(const Sender& sender, const Receiver& receiver) {
  std::size_t wrong = 0;
  for (const std::string& packet : receiver.recovered) wrong += 1 - sender.sent.count(packet);
  REQUIRE(wrong == 0);
}

}  // namespace

TEST_CASE("a receiver with other shard counts recovers nothing wrong, and learns") {
  const FecSettings senders[] = {{5, 5},  {20, 1}, {1, 1},  {2, 8},   {11, 2},  {9, 4},
                                 {10, 4}, {10, 3}, {3, 10}, {40, 20}, {200, 56}};
  for (FecSettings own : {FecSettings{10, 3}, {0, 0}, {5, 5}, {2, 1}}) {
    for (FecSettings theirs : senders) {
      for (std::uint64_t seed = 1; seed <= 6; ++seed) {
        CAPTURE(own.data_shards, own.parity_shards, theirs.data_shards, theirs.parity_shards, seed);
        Random random(seed);
        Sender sender(theirs, seed, 60);
        Receiver receiver(own, seed);
        run(sender, receiver, random, {.loss = 0.05 * static_cast<double>(seed % 5)}, 60);
        const auto before = receiver.recovered.size();
        run(sender, receiver, random, {.loss = 0.1}, 60);
        check_all_sent(sender, receiver);
        REQUIRE(receiver.recovered.size() > before);
        const auto known = receiver.decoder.shard_set();
        REQUIRE(known);
        REQUIRE(known->data_shards == theirs.data_shards);
        REQUIRE(known->parity_shards == theirs.parity_shards);
        REQUIRE(receiver.decoder.counters().errors == 0);
      }
    }
  }
}

TEST_CASE("short sessions with other counts, at any loss, recover nothing wrong") {
  std::size_t recovered = 0;
  for (std::uint64_t seed = 1; seed <= 3000; ++seed) {
    CAPTURE(seed);
    Random random(seed);
    const auto any = [&](std::uint32_t most) {
      return FecSettings{1 + random.below(most), 1 + random.below(most)};
    };
    const FecSettings own = seed % 3 ? FecSettings{10, 3} : any(12);
    const bool close = seed % 2 && own.data_shards > 1;
    const FecSettings theirs = close ? FecSettings{own.data_shards + (seed % 4 == 1 ? 1u : -1u), 3} : any(14);
    Sender sender(theirs, seed, 40);
    Receiver receiver(own, seed);
    run(sender, receiver, random, {.loss = random.chance(0.5) ? 0.1 : 0.4}, 8,
        seed % 5 ? 256 : theirs.parity_shards);
    check_all_sent(sender, receiver);
    recovered += receiver.recovered.size();
  }
  REQUIRE(recovered > 500);
}

TEST_CASE("parity left out at the sender's will does not hinder learning") {
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    CAPTURE(seed);
    Random random(seed);
    const FecSettings theirs{2 + random.below(20), 1 + random.below(10)};
    Sender sender(theirs, seed, 60);
    Receiver receiver({10, 3}, seed);
    Network clean{.loss = 0.02, .duplication = 0.02, .reordering = 0.02};
    run(sender, receiver, random, clean, 30, 0);  // no parity at all: nothing to recover with
    REQUIRE(receiver.recovered.empty());
    run(sender, receiver, random, clean, 300, 1);
    check_all_sent(sender, receiver);
    REQUIRE(receiver.recovered.size() > 3);
  }
}

TEST_CASE("a sender that changes its counts within a session is learned anew") {
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    CAPTURE(seed);
    Random random(seed);
    Sender first({10, 3}, seed, 60),
        second({5, 5}, seed + 1000, 60, 13 * 10 * 40);  // the next multiple of 10
    Receiver receiver({10, 3}, seed);
    run(first, receiver, random, {}, 400);
    check_all_sent(first, receiver);
    receiver.recovered.clear();
    run(second, receiver, random, {}, 60);
    const auto learned = receiver.recovered.size();
    REQUIRE(learned > 10);
    REQUIRE(receiver.decoder.counters().relearned >= 1);
    REQUIRE(receiver.decoder.shard_set()->data_shards == 5);
    check_all_sent(second, receiver);
  }
}

TEST_CASE("one foreign packet stops recovery for a while, and does not corrupt") {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    CAPTURE(seed);
    Random random(seed);
    Sender sender({10, 3}, seed, 60);
    Receiver receiver(seed % 2 ? FecSettings{10, 3} : FecSettings{0, 0}, seed);
    const int at = static_cast<int>(random.below(10));
    run(sender, receiver, random, {.loss = 0.05}, at);
    Buffer foreign = sender.group()[3];
    store_u32(foreign.data(), load_u32(foreign.data()) - random.below(200));
    store_u16(foreign.data() + 4, random.chance(0.5) ? 0xf1 : 0xf2);
    receiver.handle(foreign);
    // A foreign packet that fits its position is in the group like any other: only packets of its own group
    // may be wrong.
    const std::uint64_t doubtful = load_u16(foreign.data() + 4) == 0xf1 ? 3 : 10;
    run(sender, receiver, random, {.loss = 0.1}, 40);
    std::size_t wrong = 0;
    for (const std::string& packet : receiver.recovered) wrong += 1 - sender.sent.count(packet);
    REQUIRE(wrong <= doubtful);
    REQUIRE(receiver.recovered.size() > 5);
    REQUIRE(receiver.decoder.shard_set()->data_shards == 10);
  }
}

TEST_CASE("evidence never rules out the truth, and settles on nothing else") {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    CAPTURE(seed);
    Random random(seed);
    const std::uint32_t shards = 2 + random.below(255), data = 1 + random.below(shards - 1);
    const FecSettings truth{data, shards - data};
    ShardEvidence evidence;
    std::uint32_t seqid = random.below(0xffffffffu / shards) * shards;
    const double loss = random.chance(0.5) ? 0.0 : 0.3;
    for (std::uint32_t i = 0; i < 6 * shards; ++i, ++seqid) {
      if (!random.chance(loss)) evidence.observe(seqid, seqid % shards < data);
      REQUIRE(evidence.allows(truth));
      if (const auto settled = evidence.settled()) {
        REQUIRE(settled->data_shards == data);
        REQUIRE(settled->parity_shards == truth.parity_shards);
      }
    }
    if (loss == 0.0) REQUIRE(evidence.settled());
  }
}

}  // namespace kcptun::test::fec_learning_test
