#include <set>

#include "core/noise/credentials.h"
#include "tests/crypt/paths.h"

namespace kcptun::test::table_test {

TEST_CASE("the suite table has a row for every cipher name, in order") {
  REQUIRE(kSuiteTable.size() == kCipherNames.size());
  std::set<Cipher> seen;
  for (const CipherName& name : kCipherNames) {
    INFO(name.name);
    const SuiteRow& row = suite_row(name.cipher);
    CHECK(row.cipher == name.cipher);
    CHECK(row.key_size <= 32);
    CHECK((row.format == PacketFormat::kChecksummed) == (row.make != nullptr));
    CHECK(row.protects.size() > 20);
    CHECK((row.derivation == KeyDerivation::kArgon2id) ==
          (row.format == PacketFormat::kSession || row.format == PacketFormat::kNoise));
    CHECK(row.argon_salt.empty() == (row.derivation == KeyDerivation::kPbkdf2));
    seen.insert(row.cipher);
  }
  CHECK(seen.size() == kCipherNames.size());
}

TEST_CASE("the suites of this project derive their keys with salts of their own") {
  CHECK(suite_row(Cipher::kXChaCha20Poly1305).argon_salt == "kcptun-uv aead 1");
  CHECK(suite_row(Cipher::kNoise).argon_salt == "kcptun-uv noise1");
}

TEST_CASE("the suite noise leaves sealing to the sessions, for which it has the keys") {
  for (const CipherName& name : kStandaloneCipherNames)
    CHECK_FALSE(Suite::make(name.cipher, test_key(), kSeed)->credentials());
  const auto suite = Suite::make(Cipher::kNoise, test_key(), kSeed);
  REQUIRE(suite->credentials());
  CHECK(suite->credentials()->pattern == noise::Pattern::kNNpsk0);
  CHECK(suite->header_size() == 16);
  CHECK(suite->trailer_size() == 16);
  CHECK(suite->session_header_size() > 0);
}

TEST_CASE("headers and trailers have the sizes of the protocol") {
  for (const CipherName& name : kStandaloneCipherNames) {
    INFO(name.name);
    const auto suite = Suite::make(name.cipher, test_key(), kSeed);
    const bool null = name.cipher == Cipher::kNull;
    const bool gcm = name.cipher == Cipher::kAes128Gcm;
    const bool ours = name.cipher == Cipher::kXChaCha20Poly1305;
    CHECK(suite->header_size() == (null ? 0u : gcm ? 12u : ours ? 44u : 20u));
    CHECK(suite->trailer_size() == (gcm || ours ? 16u : 0u));
    CHECK(suite->session_header_size() == (ours ? 20u : 0u));
  }
}

}  // namespace kcptun::test::table_test
