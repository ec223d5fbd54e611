// The packets of the datagram channel (docs/develop/protocol.md section 13).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "core/base/bytes.h"

namespace kcptun {

/// At offset 4 of a body, where KCP's cmd and the type of FEC stand. Its low byte is neither a command of
/// KCP (81 to 84) nor the low byte of a type of FEC (0xf1 to 0xf3).
inline constexpr std::uint16_t kDatagramType = 0x00d5;
/// conv u32, type u16, sequence u32. Records follow.
inline constexpr std::size_t kDatagramHeader = 10;
/// length u16, sid u32.
inline constexpr std::size_t kRecordHeader = 6;
/// Of a record whose length has kFragmentFlag: id u16, index u8, count u8, size u32.
inline constexpr std::size_t kFragmentHeader = 8;
inline constexpr std::uint16_t kFragmentFlag = 0x8000;
/// Bytes of a flow's datagram with its address: a UDP payload (65535), and the longest SOCKS5 address with a
/// name of 255 bytes (259).
inline constexpr std::size_t kMaxFlowDatagram = 65535 + 259;
/// Fragments of a datagram: its index and its count are bytes.
inline constexpr std::size_t kMaxFragments = 255;

/// One part of a datagram of `size` bytes that was split into `count` equal parts; the last may be shorter.
struct Fragment {
  std::uint16_t id = 0;
  std::uint8_t index = 0;
  std::uint8_t count = 0;
  std::uint32_t size = 0;

  std::size_t chunk() const { return (std::size_t{size} + count - 1) / count; }
  std::size_t offset() const { return index * chunk(); }
  /// 0 unless every part has bytes.
  std::size_t length() const {
    if ((count - std::size_t{1}) * chunk() >= size) return 0;
    return index + 1u < count ? chunk() : size - offset();
  }
};

/// A datagram of a flow, or a part of one.
struct DatagramRecord {
  std::uint32_t sid = 0;
  std::optional<Fragment> fragment;
  MutableBytes payload;
};

inline bool is_datagram_packet(Bytes body) {
  return body.size() >= kDatagramHeader && load_u16(body.data() + 4) == kDatagramType;
}
/// REQUIRES of both: is_datagram_packet(body).
inline std::uint32_t datagram_conv(Bytes body) { return load_u32(body.data()); }
inline std::uint32_t datagram_sequence(Bytes body) { return load_u32(body.data() + 6); }

/// REQUIRES: kDatagramHeader bytes at `out`.
inline void write_datagram_header(std::uint8_t* out, std::uint32_t conv, std::uint32_t sequence) {
  store_u32(out, conv);
  store_u16(out + 4, kDatagramType);
  store_u32(out + 6, sequence);
}

/// REQUIRES: room for the headers at `out`; length < kFragmentFlag. Returns the size of what was written.
inline std::size_t write_record_header(std::uint8_t* out, std::uint32_t sid, std::size_t length,
                                       const std::optional<Fragment>& fragment) {
  const std::uint16_t flag = fragment ? kFragmentFlag : 0;
  store_u16(out, static_cast<std::uint16_t>(length | flag));
  store_u32(out + 2, sid);
  if (!fragment) return kRecordHeader;
  store_u16(out + 6, fragment->id);
  out[8] = fragment->index;
  out[9] = fragment->count;
  store_u32(out + 10, fragment->size);
  return kRecordHeader + kFragmentHeader;
}

/// Takes the next record off the front of `records`. Nothing if it is cut short or impossible: the rest of
/// the packet is then to be dropped.
inline std::optional<DatagramRecord> take_record(MutableBytes& records) {
  if (records.size() < kRecordHeader) return std::nullopt;
  const std::uint8_t* p = records.data();
  const std::uint16_t head = load_u16(p);
  const std::size_t length = head & (kFragmentFlag - 1u);
  std::size_t header = kRecordHeader;
  DatagramRecord record;
  record.sid = load_u32(p + 2);
  if (head & kFragmentFlag) {
    header += kFragmentHeader;
    if (records.size() < header) return std::nullopt;
    const Fragment fragment{load_u16(p + 6), p[8], p[9], load_u32(p + 10)};
    if (fragment.count < 2 || fragment.index >= fragment.count || fragment.size > kMaxFlowDatagram ||
        length == 0 || length != fragment.length())
      return std::nullopt;
    record.fragment = fragment;
  }
  if (length > records.size() - header) return std::nullopt;
  record.payload = records.subspan(header, length);
  records = records.subspan(header + length);
  return record;
}

}  // namespace kcptun
