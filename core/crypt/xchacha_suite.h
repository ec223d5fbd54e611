// The suite xchacha20-poly1305, for programs of this project only: nonce 24 | encrypted session header 20 and
// body | tag 16 (docs/develop/protocol.md section 11).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "core/crypt/nonce.h"
#include "core/crypt/session_header.h"
#include "core/crypt/suite.h"

namespace kcptun {

/// Nonces are random: with 192 bits they do not repeat in practice, and every byte of a packet looks random.
/// The suite serves many sessions and does not distinguish them. The link checks the session header for
/// replayed and reflected packets.
class XChaChaSuite final : public Suite {
 public:
  static constexpr std::size_t kNonce = 24;
  static constexpr std::size_t kTag = 16;

  XChaChaSuite(std::span<const std::uint8_t, 32> key, std::span<const std::uint8_t, 32> nonce_seed);
  ~XChaChaSuite() override;
  XChaChaSuite(const XChaChaSuite&) = delete;
  XChaChaSuite& operator=(const XChaChaSuite&) = delete;

  std::size_t header_size() const override { return kNonce + kSessionHeader; }
  std::size_t trailer_size() const override { return kTag; }
  std::size_t session_header_size() const override { return kSessionHeader; }
  void seal(std::span<const Packet> packets) override;
  std::size_t open(std::span<Packet> packets) override;

 private:
  bool open_one(Packet& packet) const;

  std::array<std::uint8_t, 32> key_;
  NonceStream nonces_;
};

}  // namespace kcptun
