#include "tests/crypt/paths.h"

namespace kcptun::test::open_test {

namespace {

using Buffer = std::vector<std::uint8_t>;

Buffer sealed(Suite& suite, Random& random, std::size_t body_size) {
  Buffer bytes = random_bytes(random, suite.header_size() + body_size + suite.trailer_size());
  Packet packet{bytes.data(), static_cast<std::uint32_t>(bytes.size())};
  suite.seal({&packet, 1});
  return bytes;
}

bool opens(Suite& suite, Buffer bytes) {
  Packet packet{bytes.data(), static_cast<std::uint32_t>(bytes.size())};
  const std::size_t rejected = suite.open({&packet, 1});
  REQUIRE((rejected == 0 || packet.size == 0));
  return rejected == 0;
}

/// False if the packet's layout does not detect a flip of this bit: the checksum covers the body only, so
/// flips of nonce bytes that the cipher does not use pass (stream ciphers, xor and none).
bool flip_is_noticed(Cipher cipher, std::size_t bit) {
  const std::size_t byte = bit / 8;
  if (cipher == Cipher::kAes128Gcm || cipher == Cipher::kXChaCha20Poly1305) return true;
  if (cipher == Cipher::kXor || cipher == Cipher::kNone) return byte >= 16;
  if (cipher == Cipher::kSalsa20) return byte < 8 || byte >= 16;
  // CFB also garbles the block after the flipped one, so a flip in the block before the checksum's is
  // detected.
  const std::size_t block = suite_row(cipher).block_size;
  return byte >= 16 - block;
}

}  // namespace

TEST_CASE("a packet with any one bit flipped is rejected") {
  Random random(11);
  for (const CipherName& name : kStandaloneCipherNames) {
    if (name.cipher == Cipher::kNull) continue;
    for (const SuitePath& path : suites_of(name.cipher, test_key())) {
      for (std::size_t body : {13u, 64u, 300u}) {
        const Buffer good = sealed(*path.suite, random, body);
        for (std::size_t bit = 0; bit < good.size() * 8; bit += 1 + random.below(4)) {
          Buffer bad = good;
          bad[bit / 8] ^= static_cast<std::uint8_t>(1 << bit % 8);
          INFO(name.name << " by " << path.name << ", bit " << bit << " of " << good.size() * 8);
          REQUIRE(opens(*path.suite, bad) == !flip_is_noticed(name.cipher, bit));
        }
      }
    }
  }
}

TEST_CASE("a packet cut short at any length is rejected") {
  Random random(12);
  for (const CipherName& name : kStandaloneCipherNames) {
    if (name.cipher == Cipher::kNull) continue;
    for (const SuitePath& path : suites_of(name.cipher, test_key())) {
      const Buffer good = sealed(*path.suite, random, 333);
      REQUIRE(opens(*path.suite, good));
      for (std::size_t size = 0; size < good.size(); ++size) {
        INFO(name.name << " by " << path.name << ", " << size << " of " << good.size() << " bytes");
        // Exact size, so that the sanitizer detects reads past the end.
        REQUIRE_FALSE(
            opens(*path.suite, Buffer(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(size))));
      }
    }
  }
}

TEST_CASE("garbage of any size is rejected and nothing outside it is touched") {
  Random random(13);
  for (const CipherName& name : kStandaloneCipherNames) {
    if (name.cipher == Cipher::kNull) continue;
    for (const SuitePath& path : suites_of(name.cipher, test_key())) {
      INFO(name.name << " by " << path.name);
      std::vector<Buffer> buffers;
      std::vector<Packet> packets;
      for (std::size_t size = 0; size <= 1500; size += 1 + random.below(7)) {
        buffers.push_back(random_bytes(random, size + 128));
        std::fill_n(buffers.back().begin(), 64, std::uint8_t{0xc5});
        std::fill_n(buffers.back().end() - 64, 64, std::uint8_t{0xc5});
      }
      for (Buffer& b : buffers)
        packets.push_back({b.data() + 64, static_cast<std::uint32_t>(b.size() - 128)});
      REQUIRE(path.suite->open(packets) == packets.size());
      for (std::size_t i = 0; i < packets.size(); ++i) {
        REQUIRE(packets[i].size == 0);
        const auto is_canary = [](std::uint8_t c) { return c == 0xc5; };
        REQUIRE(std::all_of(buffers[i].begin(), buffers[i].begin() + 64, is_canary));
        REQUIRE(std::all_of(buffers[i].end() - 64, buffers[i].end(), is_canary));
      }
    }
  }
}

TEST_CASE("bad packets in a batch are counted and do not disturb the good ones") {
  Random random(14);
  for (const CipherName& name : kStandaloneCipherNames) {
    if (name.cipher == Cipher::kNull) continue;
    for (const SuitePath& path : suites_of(name.cipher, test_key())) {
      INFO(name.name << " by " << path.name);
      std::vector<Buffer> buffers;
      std::vector<Packet> packets;
      for (std::size_t i = 0; i < 60; ++i) buffers.push_back(sealed(*path.suite, random, 20 + 20 * i));
      for (std::size_t i = 0; i < 60; i += 3) buffers[i].back() ^= 1;
      for (std::size_t i = 1; i < 60; i += 3) buffers[i].resize(i % 2 ? 19 : 0);
      for (Buffer& b : buffers) packets.push_back({b.data(), static_cast<std::uint32_t>(b.size())});
      REQUIRE(path.suite->open(packets) == 40);
      for (std::size_t i = 0; i < 60; ++i)
        REQUIRE(packets[i].size == (i % 3 == 2 ? path.suite->session_header_size() + 20 + 20 * i : 0));
    }
  }
}

TEST_CASE("packets sealed with one key do not open with another") {
  Random random(15);
  const MasterKey other("another key");
  for (const CipherName& name : kStandaloneCipherNames) {
    if (name.cipher == Cipher::kNull || name.cipher == Cipher::kNone) continue;
    INFO(name.name);
    const auto a = Suite::make(name.cipher, test_key(), kSeed);
    const auto b = Suite::make(name.cipher, other, kSeed);
    REQUIRE_FALSE(opens(*b, sealed(*a, random, 100)));
  }
}

}  // namespace kcptun::test::open_test
