// The suite xchacha20-poly1305 against vectors of an independent implementation (tests/vectors/xchacha.py).
#include <set>
#include <utility>

#include "core/crypt/session_header.h"
#include "core/crypt/xchacha_suite.h"
#include "tests/crypt/paths.h"
#include "tests/support/vectors.h"

namespace kcptun::test::xchacha_test {

namespace {

using Buffer = std::vector<std::uint8_t>;

const nlohmann::json& vectors() {
  static const nlohmann::json json = load_vectors("xchacha.json");
  return json;
}

Buffer opened(Suite& suite, Buffer& bytes) {
  Packet packet{bytes.data(), static_cast<std::uint32_t>(bytes.size())};
  if (suite.open({&packet, 1}) != 0) return {};
  return Buffer(packet.data, packet.data + packet.size);
}

std::unique_ptr<Suite> suite_of(Bytes key, std::uint8_t seed = 1) {
  const std::array<std::uint8_t, 32> nonce_seed{seed};
  return std::make_unique<XChaChaSuite>(key.first<32>(), nonce_seed);
}

}  // namespace

TEST_CASE("the key is derived by Argon2id as the reference implementation derives it") {
  std::string last;
  for (const auto& v : vectors()["packets"]) {
    const std::string text = v["key"];
    if (std::exchange(last, text) == text) continue;
    const Result<MasterKey> key = MasterKey::derive(text, Cipher::kXChaCha20Poly1305);
    REQUIRE(key.ok());
    CHECK(Buffer(key.value().bytes().begin(), key.value().bytes().end()) == from_hex(v["derived"]));
  }
}

TEST_CASE("a key of 256 random bits is hashed and not stretched") {
  // Python: hashlib.blake2b(b"kcptun-uv aead 1", key=bytes(range(32)), digest_size=32)
  const std::string text = "raw256:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
  const Result<MasterKey> key = MasterKey::derive(text, Cipher::kXChaCha20Poly1305);
  REQUIRE(key.ok());
  CHECK(Buffer(key.value().bytes().begin(), key.value().bytes().end()) ==
        from_hex("4a8cc9d4e49241271ed29f146f003191f65833f10c644361c1ef94697e884798"));
  const Result<MasterKey> other = MasterKey::derive(text, Cipher::kNoise);
  REQUIRE(other.ok());
  CHECK_FALSE(std::ranges::equal(key.value().bytes(), other.value().bytes()));  // no two suites share a key
  CHECK(MasterKey::working_memory(text, Cipher::kXChaCha20Poly1305) == 0);
  CHECK(MasterKey::working_memory("a password", Cipher::kXChaCha20Poly1305) == 64 * 1024 * 1024);
  CHECK(MasterKey::working_memory("a password", Cipher::kAes) == 0);
}

TEST_CASE("a key of 256 random bits that is too short, too long or no base64url is refused") {
  const std::string digits = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
  for (const std::string& wrong : {std::string(), digits.substr(1), digits + "A", digits.substr(1) + "+",
                                   digits.substr(1) + "9", digits + "="}) {
    INFO(wrong);
    CHECK_FALSE(MasterKey::derive("raw256:" + wrong, Cipher::kXChaCha20Poly1305).ok());
  }
}

TEST_CASE("kcptun's suites take a key of 256 random bits for text like any other") {
  const std::string text = "raw256:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
  const Result<MasterKey> key = MasterKey::derive(text, Cipher::kAes);
  REQUIRE(key.ok());
  CHECK(std::ranges::equal(key.value().bytes(), MasterKey(text).bytes()));
}

TEST_CASE("every other suite keeps kcptun's derivation") {
  for (const CipherName& name : kStandaloneCipherNames) {
    if (name.cipher == Cipher::kXChaCha20Poly1305) continue;
    const Result<MasterKey> key = MasterKey::derive("it's a secrect", name.cipher);
    REQUIRE(key.ok());
    CHECK(std::ranges::equal(key.value().bytes(), test_key().bytes()));
  }
}

TEST_CASE("packets that another implementation sealed open to their header and body") {
  std::size_t count = 0;
  for (const auto& v : vectors()["packets"]) {
    const auto suite = suite_of(from_hex(v["derived"]));
    Buffer bytes = from_hex(v["packet"]);
    const Buffer plain = opened(*suite, bytes);
    REQUIRE(plain.size() >= kSessionHeader);
    const SessionHeader header = read_session_header(plain.data());
    CHECK(header.session == v["session"].get<std::uint64_t>());
    CHECK(header.counter == v["counter"].get<std::uint64_t>());
    CHECK(header.from == (v["from_server"] == 1 ? Role::kServer : Role::kClient));
    CHECK(header.time == v["time"].get<std::uint32_t>());
    CHECK(Buffer(plain.begin() + kSessionHeader, plain.end()) == from_hex(v["body"]));
    Buffer rewritten(kSessionHeader);
    write_session_header(rewritten.data(), header);
    CHECK(std::equal(rewritten.begin(), rewritten.end(), plain.begin()));
    ++count;
  }
  CHECK(count == 36);
}

TEST_CASE("no byte of a packet may be changed, in any bit, and none may be missing or added") {
  const auto& v = vectors()["packets"][6];
  const auto suite = suite_of(from_hex(v["derived"]));
  const Buffer good = from_hex(v["packet"]);
  for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
    Buffer bad = good;
    bad[bit / 8] ^= static_cast<std::uint8_t>(1 << bit % 8);
    REQUIRE(opened(*suite, bad).empty());
  }
  for (std::size_t size = 0; size < good.size(); ++size) {
    Buffer bad(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(size));
    REQUIRE(opened(*suite, bad).empty());
  }
  Buffer longer = good;
  longer.push_back(0);
  CHECK(opened(*suite, longer).empty());
  Buffer same = good;
  CHECK_FALSE(opened(*suite, same).empty());
}

TEST_CASE("a header alone, without a body, is sealed and opened; a byte less is no packet") {
  const auto suite = suite_of(test_key().bytes());
  Buffer bytes(suite->header_size() + suite->trailer_size(), 7);
  const Packet packet{bytes.data(), static_cast<std::uint32_t>(bytes.size())};
  suite->seal({&packet, 1});
  CHECK(opened(*suite, bytes) == Buffer(kSessionHeader, 7));
  bytes.pop_back();
  CHECK(opened(*suite, bytes).empty());
}

TEST_CASE("the same packet is sealed with another nonce each time, and nothing of it shows") {
  const auto suite = suite_of(test_key().bytes());
  std::vector<Buffer> sealed(1000, Buffer(100, 0));
  std::set<Buffer> nonces;
  for (Buffer& bytes : sealed) {
    const Packet packet{bytes.data(), static_cast<std::uint32_t>(bytes.size())};
    suite->seal({&packet, 1});
    nonces.emplace(bytes.begin(), bytes.begin() + XChaChaSuite::kNonce);
  }
  CHECK(nonces.size() == sealed.size());
  for (std::size_t at = 0; at < 100; ++at) {
    std::set<std::uint8_t> values;
    for (const Buffer& bytes : sealed) values.insert(bytes[at]);
    CHECK(values.size() > 200);  // of 256, at each position; 251 are expected
  }
}

}  // namespace kcptun::test::xchacha_test
