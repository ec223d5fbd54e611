// A part of a link that has packets to send.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "core/base/bytes.h"
#include "core/base/packet.h"
#include "core/base/time.h"

namespace kcptun {

/// Writes packet bodies into room that it is given. PacketSender polls it and adds what all packets have in
/// common: FEC, session header, rate limit, path validation. Link asks its sources in a fixed order, the last
/// one when the others have nothing due.
class PacketSource {
 public:
  /// How PacketSender treats the packets of a source.
  enum class Kind : std::uint8_t {
    kData,      // FEC-protected if the session sends FEC; wait for the rate limiter
    kDatagram,  // unprotected; wait for the rate limiter
    kProbe,  // about the path: unprotected, which every receiver accepts; never wait, but are charged to the
             // limiter
  };
  struct Polled {
    std::size_t size = 0;  // 0: nothing is due
    TransmitBatch::Fragments fragments = TransmitBatch::Fragments::kAllowed;
  };

  virtual ~PacketSource() = default;
  PacketSource(const PacketSource&) = delete;
  PacketSource& operator=(const PacketSource&) = delete;

  Kind kind() const { return kind_; }
  /// Writes the next packet due at `now` to the front of `room`; it has room.size() bytes at most.
  virtual Polled poll_packet(TimePoint now, MutableBytes room) = 0;
  /// When a packet is due next, as far as is known now; none: not before something else happens.
  virtual std::optional<TimePoint> next_timeout() const = 0;

 protected:
  explicit PacketSource(Kind kind) : kind_(kind) {}

 private:
  const Kind kind_;
};

}  // namespace kcptun
