// Reads, writes and checks TCP segments (RFC 9293 section 3.1), and reads the IPv4 header that raw sockets
// deliver before them. Pure functions without sockets. Input is untrusted: every length is checked before
// use.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "core/base/bytes.h"
#include "core/base/path.h"

namespace kcptun {

/// A TCP header without options, the only kind that this program sends.
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
  std::uint32_t acknowledgment = 0;  // valid with kTcpAck only
  std::uint8_t flags = 0;
  std::uint16_t window = 0;
  MutableBytes payload;  // after the options, which are ignored
};

/// Parses the segment in `bytes`, which must outlive the result. Nothing if it is shorter than its header
/// says.
std::optional<TcpSegment> parse_tcp_segment(MutableBytes bytes);

/// Writes the header, with its checksum, of a segment whose payload is stored elsewhere. The ports are those
/// of `from` and `to`; those in `segment` are ignored.
void write_tcp_header(std::span<std::uint8_t, kTcpHeader> header, const TcpSegment& segment,
                      const IpEndpoint& from, const IpEndpoint& to);

/// True if the checksum in `bytes`, a whole segment, is valid for its contents and addresses.
bool tcp_checksum_holds(Bytes bytes, const IpEndpoint& from, const IpEndpoint& to);

/// The payload of an IPv4 packet and its addresses; the ports are 0.
struct Ipv4Packet {
  IpEndpoint from;
  IpEndpoint to;
  MutableBytes payload;
};
/// Nothing if a length is invalid, or if the packet is a fragment or not TCP. Bytes after the packet's own
/// end are ignored.
std::optional<Ipv4Packet> parse_ipv4_packet(MutableBytes bytes);

}  // namespace kcptun
