// Handshakes with the keys of the published vectors.
#pragma once

#include <catch2/catch.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/noise/handshake.h"
#include "tests/support/vectors.h"

namespace kcptun::test {

using Buffer = std::vector<std::uint8_t>;

inline noise::SecretKey secret_from(const std::string& hex) {
  const Buffer bytes = from_hex(hex);
  return noise::SecretKey(Bytes(bytes).first<noise::kKeySize>());
}

inline Buffer to_buffer(Bytes bytes) { return Buffer(bytes.begin(), bytes.end()); }

struct Ends {
  noise::Handshake client;
  noise::Handshake server;
};

inline noise::Pattern pattern_of(const nlohmann::json& vector) {
  const std::string name = vector["protocol_name"];
  return name.find("IKpsk2") != std::string::npos ? noise::Pattern::kIKpsk2 : noise::Pattern::kNNpsk0;
}

inline noise::HandshakeKeys keys_of(const nlohmann::json& vector, const std::string& end) {
  noise::HandshakeKeys keys{secret_from(vector[end + "_psks"][0]),
                            noise::KeyPair::of(secret_from(vector[end + "_ephemeral"])),
                            {},
                            {}};
  if (vector.contains(end + "_static"))
    keys.local_static = noise::KeyPair::of(secret_from(vector[end + "_static"]));
  if (vector.contains(end + "_remote_static")) {
    const noise::SecretKey key = secret_from(vector[end + "_remote_static"]);
    keys.remote_static.emplace();
    std::ranges::copy(key.bytes(), keys.remote_static->begin());
  }
  return keys;
}

inline Ends ends_of(const nlohmann::json& vector) {
  const noise::Pattern pattern = pattern_of(vector);
  return {{Role::kClient, pattern, from_hex(vector["init_prologue"]), keys_of(vector, "init")},
          {Role::kServer, pattern, from_hex(vector["resp_prologue"]), keys_of(vector, "resp")}};
}

inline Buffer written(noise::Handshake& from, Bytes payload = {}) {
  Buffer message(from.message_size(payload.size()));
  REQUIRE(from.write(payload, message));
  return message;
}

inline std::optional<Buffer> read(noise::Handshake& to, Buffer message) {
  const auto payload = to.read(message);
  if (!payload) return std::nullopt;
  return to_buffer(*payload);
}

inline const nlohmann::json& published_handshakes() {
  static const nlohmann::json json = load_vectors("noise-cacophony.json")["vectors"];
  return json;
}

}  // namespace kcptun::test
