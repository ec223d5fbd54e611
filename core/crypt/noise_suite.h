// The suite noise, for programs of this project only: mask( head 16 | handshake part ) | body | tag 16
// (docs/develop/protocol.md section 15).
#pragma once

#include <cstddef>

#include "core/crypt/header_mask.h"
#include "core/crypt/suite.h"
#include "core/noise/credentials.h"

namespace kcptun {

/// Only masks and unmasks, with the key that all sessions share. Bodies are sealed and opened by each session
/// with its own keys (core/link/noise_session.h): before seal(), and after open().
class NoiseSuite final : public Suite {
 public:
  explicit NoiseSuite(const noise::Credentials& credentials)
      : credentials_(credentials), mask_(credentials.shared.mask) {}

  /// Of a data packet. Other kinds have their handshake part too.
  std::size_t header_size() const override { return noise::kHeadSize; }
  std::size_t trailer_size() const override { return noise::kTagSize; }
  std::size_t session_header_size() const override { return noise::kHeadSize; }
  const noise::Credentials* credentials() const override { return &credentials_; }
  /// REQUIRES: complete packets with the head in the clear.
  void seal(std::span<const Packet> packets) override;
  /// Leaves packets whole. Those without a known kind or without room for its handshake part get size 0.
  std::size_t open(std::span<Packet> packets) override;

 private:
  bool unmask_handshake(const Packet& packet);

  const noise::Credentials credentials_;
  HeaderMask mask_;
};

}  // namespace kcptun
