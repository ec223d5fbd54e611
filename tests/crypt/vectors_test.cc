#include <map>

#include "tests/crypt/paths.h"
#include "tests/support/vectors.h"

namespace kcptun::test::vectors_test {

namespace {

using Buffer = std::vector<std::uint8_t>;

const nlohmann::json& vectors() {
  static const nlohmann::json json = load_vectors("crypt.json");
  return json;
}

const MasterKey& key_of(const std::string& text) {
  static std::map<std::string, MasterKey> keys;
  return keys.try_emplace(text, text).first->second;
}

std::vector<Packet> packets_in(std::vector<Buffer>& buffers) {
  std::vector<Packet> packets;
  for (Buffer& b : buffers) packets.push_back({b.data(), static_cast<std::uint32_t>(b.size())});
  return packets;
}

struct Recorded {
  std::vector<Buffer> plain, sealed;
};

/// The vectors of one cipher, by key. One suite handles a whole batch of mixed sizes.
std::map<std::string, Recorded> recorded(const char* list, const std::string& method, const char* sealed) {
  std::map<std::string, Recorded> by_key;
  for (const auto& v : vectors()[list]) {
    if (v["method"] != method) continue;
    Recorded& r = by_key[v["key"]];
    r.plain.push_back(from_hex(v["plain"]));
    r.sealed.push_back(from_hex(v[sealed]));
  }
  return by_key;
}

std::vector<std::string> checksummed_methods() {
  std::vector<std::string> names;
  for (const CipherName& name : kStandaloneCipherNames)
    if (suite_row(name.cipher).format == PacketFormat::kChecksummed) names.emplace_back(name.name);
  return names;
}

}  // namespace

TEST_CASE("the master key is derived as kcptun derives it") {
  REQUIRE_FALSE(vectors()["key_derivation"].empty());
  for (const auto& v : vectors()["key_derivation"]) {
    const MasterKey key(v["key"].get<std::string>());
    CHECK(Buffer(key.bytes().begin(), key.bytes().end()) == from_hex(v["derived"]));
  }
}

TEST_CASE("every path encrypts the recorded packets to the recorded bytes, alone and in a batch") {
  for (const std::string& method : checksummed_methods()) {
    const auto cases = recorded("packets", method, "cipher");
    REQUIRE_FALSE(cases.empty());
    const Cipher cipher = cipher_named(method);
    for (const auto& [key, r] : cases) {
      for (const CipherPath& path : paths_of(cipher)) {
        INFO(method << " by " << path.name);
        const auto code = path.make(key_of(key).bytes().first(suite_row(cipher).key_size));
        auto batch = r.plain;
        code->encrypt(packets_in(batch));
        CHECK(batch == r.sealed);
        auto single = r.plain;
        for (const Packet& packet : packets_in(single)) code->encrypt({&packet, 1});
        CHECK(single == r.sealed);
      }
    }
  }
}

TEST_CASE("every path decrypts the recorded packets to the recorded bytes") {
  for (const std::string& method : checksummed_methods()) {
    const Cipher cipher = cipher_named(method);
    for (const auto& [key, r] : recorded("packets", method, "cipher")) {
      for (const CipherPath& path : paths_of(cipher)) {
        INFO(method << " by " << path.name);
        const auto code = path.make(key_of(key).bytes().first(suite_row(cipher).key_size));
        auto batch = r.sealed;
        code->decrypt(packets_in(batch));
        CHECK(batch == r.plain);
      }
    }
  }
}

TEST_CASE("suites open the recorded packets and narrow them to their bodies") {
  for (const std::string& method : checksummed_methods()) {
    for (const auto& [key, r] : recorded("packets", method, "cipher")) {
      for (const SuitePath& path : suites_of(cipher_named(method), key_of(key))) {
        INFO(method << " by " << path.name);
        auto buffers = r.sealed;
        auto packets = packets_in(buffers);
        REQUIRE(path.suite->open(packets) == 0);
        for (std::size_t i = 0; i < packets.size(); ++i)
          CHECK(Buffer(packets[i].data, packets[i].data + packets[i].size) ==
                Buffer(r.plain[i].begin() + 20, r.plain[i].end()));
      }
    }
  }
}

TEST_CASE("every path opens the recorded GCM packets") {
  const auto cases = recorded("gcm_packets", "aes-128-gcm", "packet");
  REQUIRE_FALSE(cases.empty());
  for (const auto& [key, r] : cases) {
    for (const SuitePath& path : suites_of(Cipher::kAes128Gcm, key_of(key))) {
      INFO(path.name);
      auto buffers = r.sealed;
      auto packets = packets_in(buffers);
      REQUIRE(path.suite->open(packets) == 0);
      for (std::size_t i = 0; i < packets.size(); ++i)
        CHECK(Buffer(packets[i].data, packets[i].data + packets[i].size) == r.plain[i]);
    }
  }
}

TEST_CASE("every path seals the recorded GCM packets to the recorded bytes when it is given their nonces") {
  for (const auto& [key, r] : recorded("gcm_packets", "aes-128-gcm", "packet")) {
    for (const auto& [path, name] : kGcmPaths) {
      if (!cpu_can(path)) continue;
      INFO(name);
      const auto cipher = make_gcm(key_of(key).bytes().first(16), path);
      auto buffers = r.sealed;
      for (std::size_t i = 0; i < buffers.size(); ++i) {
        std::copy(r.plain[i].begin(), r.plain[i].end(), buffers[i].begin() + 12);
        std::fill(buffers[i].end() - 16, buffers[i].end(), std::uint8_t{0});
        cipher->seal(buffers[i].data(), {}, MutableBytes(buffers[i]).subspan(kGcmNonce));
      }
      CHECK(buffers == r.sealed);
    }
  }
}

}  // namespace kcptun::test::vectors_test
