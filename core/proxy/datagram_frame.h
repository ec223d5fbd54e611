// Datagrams framed over a stream: the payload of a CMD 5 request, "UDP in TCP", as hev-socks5-core defines
// it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "core/base/bytes.h"
#include "core/proxy/socks5_address.h"

namespace kcptun {

/// length u16 of the payload in network byte order, size u8 of all that precedes it. The address follows.
inline constexpr std::size_t kFrameHead = 3;
/// The largest address that the size has room for: names of at most 248 bytes.
inline constexpr std::size_t kMaxFrameAddress = 255 - kFrameHead;
/// In bytes: the head, the longest address, the longest payload.
inline constexpr std::size_t kMaxFrame = 255 + 65535;

/// Writes what precedes the address and the payload. REQUIRES: kFrameHead bytes at `out`;
/// address <= kMaxFrameAddress, payload <= 65535.
void write_frame_head(std::uint8_t* out, std::size_t address, std::size_t payload);

/// A datagram as it stands in frames and in datagram packets: the address, then the payload.
struct AddressedDatagram {
  Socks5Address address;
  MutableBytes payload;
};
/// Nothing if the bytes do not begin with an address.
std::optional<AddressedDatagram> split_datagram(MutableBytes datagram);

/// Reads frames from a stream that arrives in pieces of any size. Bounds: stores one frame.
class DatagramFrameReader {
 public:
  /// The next datagram (address, then payload), taken from the front of `input`. Nothing once `input` is used
  /// up. The view lives until the next call, or as long as `input`.
  std::optional<MutableBytes> next(MutableBytes& input);
  /// The peer has sent what is no frame. The stream is then of no use.
  bool failed() const { return failed_; }

 private:
  /// Size of the frame that begins with `bytes`; 0 if they are too few to tell.
  static std::size_t frame_size(Bytes bytes);
  bool is_valid(MutableBytes frame);
  std::optional<MutableBytes> next_stored(MutableBytes& input);

  std::vector<std::uint8_t> stored_;  // the beginning of a frame
  bool given_out_ = false;            // stored_ was returned
  bool failed_ = false;
};

}  // namespace kcptun
