#include "core/proxy/datagram_frame.h"

#include <algorithm>

#include "core/base/check.h"

namespace kcptun {

void write_frame_head(std::uint8_t* out, std::size_t address, std::size_t payload) {
  KCPTUN_CHECK(address <= kMaxFrameAddress && payload <= 65535);
  out[0] = static_cast<std::uint8_t>(payload >> 8);
  out[1] = static_cast<std::uint8_t>(payload);
  out[2] = static_cast<std::uint8_t>(kFrameHead + address);
}

std::optional<AddressedDatagram> split_datagram(MutableBytes datagram) {
  const Socks5AddressInput input = read_socks5_address(datagram);
  if (input.status != Socks5AddressStatus::kComplete) return std::nullopt;
  return AddressedDatagram{input.address, datagram.subspan(input.size)};
}

std::size_t DatagramFrameReader::frame_size(Bytes bytes) {
  if (bytes.size() < kFrameHead) return 0;
  return (std::size_t{bytes[0]} << 8 | bytes[1]) + bytes[2];
}

// The address fills what the head leaves for it.
bool DatagramFrameReader::is_valid(MutableBytes frame) {
  const std::size_t header = frame[2];
  if (header <= kFrameHead || header > frame.size()) return false;
  const Socks5AddressInput input = read_socks5_address(frame.subspan(kFrameHead, header - kFrameHead));
  return input.status == Socks5AddressStatus::kComplete && input.size == header - kFrameHead;
}

// Moves bytes of the input behind what is stored until that is a whole frame.
std::optional<MutableBytes> DatagramFrameReader::next_stored(MutableBytes& input) {
  for (;;) {
    const std::size_t size = frame_size(stored_);
    const std::size_t wanted = size > 0 ? std::max(size, kFrameHead) : kFrameHead;
    if (stored_.size() >= wanted) break;
    if (input.empty()) return std::nullopt;
    const std::size_t take = std::min(wanted - stored_.size(), input.size());
    stored_.insert(stored_.end(), input.begin(), input.begin() + static_cast<std::ptrdiff_t>(take));
    input = input.subspan(take);
  }
  given_out_ = true;
  return MutableBytes(stored_);
}

std::optional<MutableBytes> DatagramFrameReader::next(MutableBytes& input) {
  if (given_out_) stored_.clear();
  given_out_ = false;
  if (failed_) return std::nullopt;
  std::optional<MutableBytes> frame;
  const std::size_t size = frame_size(input);
  if (stored_.empty() && size >= kFrameHead && size <= input.size()) {
    frame = input.first(size);
    input = input.subspan(size);
  } else {
    frame = next_stored(input);
  }
  if (!frame) return std::nullopt;
  failed_ = !is_valid(*frame);
  return failed_ ? std::nullopt : std::optional(frame->subspan(kFrameHead));
}

}  // namespace kcptun
