// TCP segments as bytes (RFC 9293 section 3.1): written, read and checked, with the IPv4 header that raw
// sockets deliver before them. Pure: no sockets. What arrives is the enemy's; every length is checked before
// it is used.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "core/base/bytes.h"
#include "core/base/path.h"

namespace kcptun {

/// A TCP header without options: all that this program sends.
inline constexpr std::size_t kTcpHeader = 20;

inline constexpr std::uint8_t kTcpFin = 0x01;
inline constexpr std::uint8_t kTcpSyn = 0x02;
inline constexpr std::uint8_t kTcpRst = 0x04;
inline constexpr std::uint8_t kTcpPsh = 0x08;
inline constexpr std::uint8_t kTcpAck = 0x10;

struct TcpSegment {
  std::uint16_t source_port = 0;
  std::uint16_t destination_port = 0;
  std::uint32_t sequence = 0;
  std::uint32_t acknowledgment = 0;  // counts with kTcpAck only
  std::uint8_t flags = 0;
  std::uint16_t window = 0;
  MutableBytes payload;  // options, if any, are skipped
};

/// The segment in `bytes`, which must outlive it; nothing when it is shorter than its header says.
std::optional<TcpSegment> parse_tcp_segment(MutableBytes bytes);

/// Writes the header of a segment whose payload lies elsewhere, its checksum included. The ports are those of
/// `from` and `to`, whatever `segment` says.
void write_tcp_header(std::span<std::uint8_t, kTcpHeader> header, const TcpSegment& segment,
                      const IpEndpoint& from, const IpEndpoint& to);

/// True if the checksum in `bytes`, a whole segment, is that of its contents and addresses.
bool tcp_checksum_holds(Bytes bytes, const IpEndpoint& from, const IpEndpoint& to);

/// What an IPv4 packet carries, and between which addresses; ports are 0.
struct Ipv4Packet {
  IpEndpoint from;
  IpEndpoint to;
  MutableBytes payload;
};
/// Nothing when lengths lie, or when it is a fragment or no TCP. Bytes behind the packet's own end are left
/// out.
std::optional<Ipv4Packet> parse_ipv4_packet(MutableBytes bytes);

}  // namespace kcptun
