#include "core/crypt/nonce.h"

#include <set>

#include "tests/crypt/paths.h"

namespace kcptun::test::nonce_test {

namespace {

std::string next_of(NonceStream& stream, std::size_t size) {
  const auto nonce = stream.next();
  return {nonce.begin(), nonce.begin() + static_cast<std::ptrdiff_t>(size)};
}

}  // namespace

TEST_CASE("nonces differ over many refills, even cut to the 12 bytes of GCM") {
  NonceStream stream(kSeed);
  std::set<std::string> seen;
  for (int i = 0; i < 20000; ++i) REQUIRE(seen.insert(next_of(stream, 12)).second);
}

TEST_CASE("the same seed gives the same nonces and another seed gives others") {
  std::array<std::uint8_t, 32> other_seed = kSeed;
  other_seed[31] ^= 1;
  NonceStream a(kSeed), b(kSeed), c(other_seed);
  for (int i = 0; i < 1000; ++i) {
    const auto nonce = next_of(a, 16);
    REQUIRE(nonce == next_of(b, 16));
    REQUIRE(nonce != next_of(c, 16));
  }
}

TEST_CASE("nonce bits are balanced") {
  NonceStream stream(kSeed);
  int ones = 0;
  for (int i = 0; i < 16000; ++i)
    for (std::uint8_t b : stream.next()) ones += __builtin_popcount(b);
  // 2048000 bits: six standard deviations are 4300.
  CHECK(std::abs(ones - 1024000) < 4300);
}

TEST_CASE("every sealed packet carries another nonce") {
  for (const CipherName& name : kStandaloneCipherNames) {
    if (name.cipher == Cipher::kNull) continue;
    INFO(name.name);
    const auto suite = Suite::make(name.cipher, test_key(), kSeed);
    std::set<std::string> seen;
    for (int i = 0; i < 300; ++i) {
      std::vector<std::uint8_t> bytes(suite->header_size() + suite->trailer_size());
      Packet packet{bytes.data(), static_cast<std::uint32_t>(bytes.size())};
      suite->seal({&packet, 1});
      REQUIRE(seen.emplace(bytes.begin(), bytes.end()).second);
    }
  }
}

}  // namespace kcptun::test::nonce_test
