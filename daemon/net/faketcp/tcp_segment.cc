#include "daemon/net/faketcp/tcp_segment.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <bit>
#include <cstring>

#include "daemon/net/address.h"

namespace kcptun {
namespace {

constexpr std::size_t kIpv4Header = 20;

std::uint16_t load16(const std::uint8_t* at) { return static_cast<std::uint16_t>(at[0] << 8 | at[1]); }
std::uint32_t load32(const std::uint8_t* at) { return std::uint32_t{load16(at)} << 16 | load16(at + 2); }
void store16(std::uint8_t* at, std::uint16_t value) {
  at[0] = static_cast<std::uint8_t>(value >> 8);
  at[1] = static_cast<std::uint8_t>(value);
}
void store32(std::uint8_t* at, std::uint32_t value) {
  store16(at, static_cast<std::uint16_t>(value >> 16));
  store16(at + 2, static_cast<std::uint16_t>(value));
}

// The sum of RFC 1071 over words in host order: only the position of its bytes depends on the byte order. A
// zero follows an odd last byte. It cannot overflow: 64 KiB are 2^15 words below 2^16.
std::uint32_t sum_words(Bytes bytes) {
  std::uint32_t sum = 0;
  std::size_t at = 0;
  for (; at + 2 <= bytes.size(); at += 2) {
    std::uint16_t word;
    std::memcpy(&word, bytes.data() + at, 2);
    sum += word;
  }
  if (at < bytes.size()) {
    std::uint16_t word = 0;
    std::memcpy(&word, bytes.data() + at, 1);
    sum += word;
  }
  return sum;
}

std::uint16_t fold(std::uint32_t sum) {
  sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>((sum & 0xffff) + (sum >> 16));
}

// The pseudo-header: addresses, protocol and length (RFC 9293 section 3.1, RFC 8200 section 8.1). A mapped
// IPv4 address adds the same value as the plain one: its prefix, ffff, is zero in ones' complement.
std::uint32_t sum_pseudo_header(const IpEndpoint& from, const IpEndpoint& to, std::size_t size) {
  std::uint8_t rest[6] = {};
  store32(rest, static_cast<std::uint32_t>(size));
  store16(rest + 4, IPPROTO_TCP);
  return fold(sum_words(from.ip)) + fold(sum_words(to.ip)) + sum_words(rest);
}

}  // namespace

std::optional<TcpSegment> parse_tcp_segment(MutableBytes bytes) {
  if (bytes.size() < kTcpHeader) return std::nullopt;
  const std::size_t header = std::size_t{bytes[12]} >> 4 << 2;
  if (header < kTcpHeader || header > bytes.size()) return std::nullopt;
  TcpSegment segment;
  segment.source_port = load16(&bytes[0]);
  segment.destination_port = load16(&bytes[2]);
  segment.sequence = load32(&bytes[4]);
  segment.acknowledgment = load32(&bytes[8]);
  segment.flags = bytes[13];
  segment.window = load16(&bytes[14]);
  segment.payload = bytes.subspan(header);
  return segment;
}

void write_tcp_header(std::span<std::uint8_t, kTcpHeader> header, const TcpSegment& segment,
                      const IpEndpoint& from, const IpEndpoint& to) {
  store16(&header[0], from.port);
  store16(&header[2], to.port);
  store32(&header[4], segment.sequence);
  store32(&header[8], segment.acknowledgment);
  header[12] = kTcpHeader / 4 << 4;
  header[13] = segment.flags;
  store16(&header[14], segment.window);
  store32(&header[16], 0);
  const std::uint32_t sum = sum_pseudo_header(from, to, kTcpHeader + segment.payload.size()) +
                            sum_words(header) + fold(sum_words(segment.payload));
  const auto checksum = static_cast<std::uint16_t>(~fold(sum));
  std::memcpy(&header[16], &checksum, 2);
}

bool tcp_checksum_holds(Bytes bytes, const IpEndpoint& from, const IpEndpoint& to) {
  return fold(sum_pseudo_header(from, to, bytes.size()) + fold(sum_words(bytes))) == 0xffff;
}

std::optional<Ipv4Packet> parse_ipv4_packet(MutableBytes bytes) {
  if (bytes.size() < kIpv4Header || bytes[0] >> 4 != 4) return std::nullopt;
  const std::size_t header = std::size_t{bytes[0]} % 16 * 4;
  const std::size_t total = load16(&bytes[2]);
  if (header < kIpv4Header || total < header || total > bytes.size()) return std::nullopt;
  constexpr std::uint16_t kMoreFragmentsOrOffset = 0x3fff;
  if ((load16(&bytes[6]) & kMoreFragmentsOrOffset) != 0 || bytes[9] != IPPROTO_TCP) return std::nullopt;
  Ipv4Packet packet;
  in_addr address;
  std::memcpy(&address, &bytes[12], 4);
  packet.from.ip = mapped_ipv4(address);
  std::memcpy(&address, &bytes[16], 4);
  packet.to.ip = mapped_ipv4(address);
  packet.payload = bytes.subspan(header, total - header);
  return packet;
}

}  // namespace kcptun
