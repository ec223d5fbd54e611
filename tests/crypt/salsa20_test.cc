#include <algorithm>

#include "tests/crypt/paths.h"

namespace kcptun::test::salsa20_test {

namespace {

using Buffer = std::vector<std::uint8_t>;
constexpr std::uint8_t kCanary = 0xc5;
constexpr std::size_t kMargin = 128;

/// Consecutive packets at any alignment, with canaries between them.
struct Batch {
  Batch(Random& random, const std::vector<std::size_t>& sizes) {
    for (std::size_t size : sizes) {
      bytes.insert(bytes.end(), kMargin + random.below(64), kCanary);
      offsets.push_back(bytes.size());
      const Buffer packet = random_bytes(random, size);
      bytes.insert(bytes.end(), packet.begin(), packet.end());
    }
    bytes.insert(bytes.end(), kMargin, kCanary);
    lengths = sizes;
  }
  std::vector<Packet> packets() {
    std::vector<Packet> out;
    for (std::size_t i = 0; i < offsets.size(); ++i)
      out.push_back({bytes.data() + offsets[i], static_cast<std::uint32_t>(lengths[i])});
    return out;
  }
  Buffer bytes;  // compared as a whole, including the canaries
  std::vector<std::size_t> offsets, lengths;
};

/// Encrypts with libsodium and with each implementation, compares the results, and decrypts.
void require_agreement(Random& random, const std::vector<std::size_t>& sizes) {
  const Bytes key = test_key().bytes();
  const Batch plain(random, sizes);
  Batch expected = plain;
  make_salsa20(key, Salsa20Path::kPortable)->encrypt(expected.packets());
  for (Salsa20Path path : {Salsa20Path::kAvx2, Salsa20Path::kAvx512}) {
    if (!cpu_can(path)) continue;
    INFO("path " << static_cast<int>(path) << ", " << sizes.size() << " packets, the first of "
                 << sizes.front());
    const auto cipher = make_salsa20(key, path);
    Batch batch = plain;
    cipher->encrypt(batch.packets());
    REQUIRE(batch.bytes == expected.bytes);
    cipher->decrypt(batch.packets());
    REQUIRE(batch.bytes == plain.bytes);
  }
}

std::uint64_t seed() { return Catch::rngSeed() ? Catch::rngSeed() : 20260206; }

}  // namespace

TEST_CASE("Salsa20 of a packet of every size is libsodium's by every path") {
  Random random(21);
  for (std::size_t size = 0; size <= kMaxDatagram; ++size) require_agreement(random, {size});
}

TEST_CASE("Salsa20 of 1 to 128 packets of every size and of mixed sizes is libsodium's by every path") {
  INFO("seed " << seed());
  Random random(seed());
  for (std::size_t count = 1; count <= 128; ++count) {
    std::vector<std::size_t> mixed;
    for (std::size_t i = 0; i < count; ++i)
      mixed.push_back(random.below(random.chance(0.5) ? 150 : kMaxDatagram + 1));
    require_agreement(random, mixed);
    require_agreement(random, std::vector<std::size_t>(count, random.below(kMaxDatagram + 1)));
  }
  for (std::size_t size = 0; size <= kMaxDatagram; size += 1 + random.below(4))
    require_agreement(random, std::vector<std::size_t>(1 + random.below(20), size));
}

TEST_CASE("Salsa20 fills lanes at every boundary: blocks less, as many as and more than a kernel has") {
  Random random(22);
  for (std::size_t blocks : {1u, 2u, 7u, 8u, 9u, 15u, 16u, 17u, 24u, 25u, 31u, 32u, 33u}) {
    for (std::size_t size : {blocks * 64 - 1, blocks * 64, blocks * 64 + 1}) {
      require_agreement(random, {8 + size});
      require_agreement(random, {8 + size, 0, 8, 9, 8 + 64, 8 + size});
      require_agreement(random, {7, 8 + size, 8, 8});
    }
  }
}

TEST_CASE("Salsa20 passes over packets without a body, and batches of none") {
  Random random(23);
  require_agreement(random, {0, 1, 7, 8});
  require_agreement(random, {8, 8, 8, 8, 1500, 8, 8});
  for (Salsa20Path path : {Salsa20Path::kPortable, Salsa20Path::kAvx2, Salsa20Path::kAvx512})
    if (cpu_can(path)) make_salsa20(test_key().bytes(), path)->encrypt({});
}

}  // namespace kcptun::test::salsa20_test
