#include "tests/crypt/paths.h"
#include "tests/support/vectors.h"

namespace kcptun::test::round_trip_test {

namespace {

using Buffer = std::vector<std::uint8_t>;
constexpr std::uint8_t kCanary = 0xc5;
constexpr std::size_t kMargin = 64;

/// Packets with random bodies, each between canaries, at any alignment.
struct Batch {
  Batch(Random& random, std::size_t count, std::size_t largest, const Suite& suite) {
    for (std::size_t i = 0; i < count; ++i) {
      bodies.push_back(random_bytes(random, random.below(static_cast<std::uint32_t>(largest) + 1)));
      const std::size_t size = suite.header_size() + bodies[i].size() + suite.trailer_size();
      offset.push_back(kMargin + random.below(64));
      buffers.emplace_back(offset[i] + size + kMargin, kCanary);
      std::copy(bodies[i].begin(), bodies[i].end(), buffers[i].data() + offset[i] + suite.header_size());
      sizes.push_back(size);
    }
  }
  std::vector<Packet> packets() {
    std::vector<Packet> out;
    for (std::size_t i = 0; i < buffers.size(); ++i)
      out.push_back({buffers[i].data() + offset[i], static_cast<std::uint32_t>(sizes[i])});
    return out;
  }
  bool canaries_live() const {
    for (std::size_t i = 0; i < buffers.size(); ++i) {
      const auto begin = buffers[i].begin();
      const auto packet_end = begin + static_cast<std::ptrdiff_t>(offset[i] + sizes[i]);
      const auto is_canary = [](std::uint8_t b) { return b == kCanary; };
      if (!std::all_of(begin, begin + static_cast<std::ptrdiff_t>(offset[i]), is_canary)) return false;
      if (!std::all_of(packet_end, buffers[i].end(), is_canary)) return false;
    }
    return true;
  }
  std::vector<Buffer> bodies, buffers;
  std::vector<std::size_t> offset, sizes;
};

/// The body of a decrypted packet, without the session header that some suites leave before it.
Buffer body_of(const Suite& suite, const Packet& packet) {
  REQUIRE(packet.size >= suite.session_header_size());
  return Buffer(packet.data + suite.session_header_size(), packet.data + packet.size);
}

std::uint64_t seed() {
  const std::uint64_t s = Catch::rngSeed() ? Catch::rngSeed() : 20260205;
  return s;
}

}  // namespace

TEST_CASE("sealed batches of 1 to 128 packets of mixed sizes open to their bodies by every path") {
  INFO("seed " << seed());
  Random random(seed());
  for (const CipherName& name : kStandaloneCipherNames) {
    auto sealers = suites_of(name.cipher, test_key());
    auto openers = suites_of(name.cipher, test_key());
    for (const SuitePath& sealer : sealers) {
      for (const SuitePath& opener : openers) {
        INFO(name.name << ": sealed by " << sealer.name << ", opened by " << opener.name);
        for (std::size_t count : {1u, 2u, 3u, 7u, 17u, 128u, 1 + random.below(128)}) {
          Batch batch(random, count, random.chance(0.2) ? 40 : 1480, *sealer.suite);
          sealer.suite->seal(batch.packets());
          REQUIRE(batch.canaries_live());
          auto packets = batch.packets();
          REQUIRE(opener.suite->open(packets) == 0);
          REQUIRE(batch.canaries_live());
          for (std::size_t i = 0; i < count; ++i)
            REQUIRE(body_of(*opener.suite, packets[i]) == batch.bodies[i]);
        }
      }
    }
  }
}

TEST_CASE("all paths of a cipher give the same bytes from the same nonces") {
  INFO("seed " << seed());
  Random random(seed());
  for (const CipherName& name : kStandaloneCipherNames) {
    auto suites = suites_of(name.cipher, test_key());
    for (std::size_t count : {1u, 5u, 16u, 33u, 128u}) {
      const Batch original(random, count, 1480, *suites[0].suite);
      Batch first = original;
      suites[0].suite->seal(first.packets());
      for (std::size_t s = 1; s < suites.size(); ++s) {
        INFO(name.name << " by " << suites[s].name);
        Batch other = original;
        suites[s].suite->seal(other.packets());
        REQUIRE(other.buffers == first.buffers);
      }
    }
  }
}

TEST_CASE("ciphers take packets of every size from 0 on and leave their surroundings alone") {
  Random random(3);
  for (const CipherName& name : kStandaloneCipherNames) {
    const SuiteRow& row = suite_row(name.cipher);
    if (row.format != PacketFormat::kChecksummed) continue;
    std::vector<Buffer> reference;
    for (const CipherPath& path : paths_of(name.cipher)) {
      INFO(name.name << " by " << path.name);
      const auto cipher = path.make(test_key().bytes().first(row.key_size));
      std::vector<Buffer> buffers;
      std::vector<Packet> packets;
      for (std::size_t size = 0; size < 300; ++size) buffers.emplace_back(size + 2 * kMargin, kCanary);
      for (std::size_t size = 0; size < 300; ++size)
        packets.push_back({buffers[size].data() + kMargin, static_cast<std::uint32_t>(size)});
      const auto original = buffers;
      cipher->encrypt(packets);
      if (reference.empty()) reference = buffers;
      REQUIRE(buffers == reference);
      cipher->decrypt(packets);
      REQUIRE(buffers == original);
    }
  }
}

TEST_CASE("packets longer than any datagram still seal and open alike by every path") {
  Random random(4);
  for (const CipherName& name : kStandaloneCipherNames) {
    auto suites = suites_of(name.cipher, test_key());
    const Batch original(random, 9, 9000, *suites[0].suite);
    Batch first = original;
    suites[0].suite->seal(first.packets());
    for (const SuitePath& path : suites) {
      INFO(name.name << " by " << path.name);
      Batch batch = first;
      auto packets = batch.packets();
      REQUIRE(path.suite->open(packets) == 0);
      for (std::size_t i = 0; i < packets.size(); ++i)
        REQUIRE(body_of(*path.suite, packets[i]) == original.bodies[i]);
    }
    for (std::size_t s = 1; s < suites.size(); ++s) {
      Batch other = original;
      suites[s].suite->seal(other.packets());
      REQUIRE(other.buffers == first.buffers);
    }
  }
}

TEST_CASE("GCM of every size of text and associated data is the same by every path") {
  Random random(5);
  const std::size_t key_size = GENERATE(std::size_t{16}, std::size_t{32});
  const auto portable = make_gcm(test_key().bytes().first(key_size), GcmPath::kPortable);
  for (const auto& [path, name] : kGcmPaths) {
    if (!cpu_can(path)) continue;
    const auto cipher = make_gcm(test_key().bytes().first(key_size), path);
    for (std::size_t size = kGcmTag; size < 2200; size += size < 700 ? 1 : 13) {
      const Buffer plain = random_bytes(random, size);
      const Buffer nonce = random_bytes(random, 16);
      const std::size_t associated_size =
          size == 20 ? GcmCipher::kMaxAssociated : size % 2 * random.below(200);
      const Buffer associated = random_bytes(random, associated_size);
      INFO(name << ", " << size << " bytes, " << associated.size() << " associated");
      Buffer expected = plain;
      portable->seal(nonce.data(), associated, expected);
      Buffer sealed = plain;
      cipher->seal(nonce.data(), associated, sealed);
      REQUIRE(sealed == expected);
      if (!associated.empty()) {
        Buffer other = associated;
        other[random.below(static_cast<std::uint32_t>(other.size()))] ^= 1;
        Buffer forged = sealed;
        REQUIRE_FALSE(cipher->open(nonce.data(), other, forged));
      }
      REQUIRE(cipher->open(nonce.data(), associated, sealed));
      REQUIRE(std::equal(plain.begin(), plain.end() - kGcmTag, sealed.begin()));
    }
  }
}

TEST_CASE("AES-256-GCM seals test case 16 of its specification's authors to its bytes") {
  const Buffer key = from_hex("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308");
  Buffer nonce = from_hex("cafebabefacedbaddecaf888");
  nonce.resize(16);
  const Buffer associated = from_hex("feedfacedeadbeeffeedfacedeadbeefabaddad2");
  Buffer message = from_hex(
      "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aed"
      "f5aa0de657"
      "ba637b39");
  message.resize(message.size() + kGcmTag);
  const Buffer sealed = from_hex(
      "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e"
      "6393ba7a0a"
      "bcc9f662"
      "76fc6ece0f4e1768cddf8853bb2d551b");
  for (const auto& [path, name] : kGcmPaths) {
    if (!cpu_can(path)) continue;
    INFO(name);
    Buffer copy = message;
    make_gcm(key, path)->seal(nonce.data(), associated, copy);
    CHECK(copy == sealed);
  }
}

}  // namespace kcptun::test::round_trip_test
