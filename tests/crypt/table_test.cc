#include <set>

#include "tests/crypt/paths.h"

using namespace kcptun;
using namespace kcptun::test;

TEST_CASE("the suite table has a row for every cipher name, in order") {
  REQUIRE(kSuiteTable.size() == kCipherNames.size());
  std::set<Cipher> seen;
  for (const CipherName& name : kCipherNames) {
    INFO(name.name);
    const SuiteRow& row = suite_row(name.cipher);
    CHECK(row.cipher == name.cipher);
    CHECK(row.key_size <= 32);
    CHECK((row.format == PacketFormat::kChecksummed) == (row.make != nullptr));
    seen.insert(row.cipher);
  }
  CHECK(seen.size() == kCipherNames.size());
}

TEST_CASE("headers and trailers have the sizes of the protocol") {
  for (const CipherName& name : kCipherNames) {
    INFO(name.name);
    const auto suite = Suite::make(name.cipher, test_key(), kSeed);
    const bool null = name.cipher == Cipher::kNull;
    const bool gcm = name.cipher == Cipher::kAes128Gcm;
    CHECK(suite->header_size() == (null ? 0u : gcm ? 12u : 20u));
    CHECK(suite->trailer_size() == (gcm ? 16u : 0u));
  }
}
