#include "core/proxy/datagram_frame.h"

#include <catch2/catch.hpp>
#include <vector>

namespace kcptun::datagram_frame_test {
namespace {

using Buffer = std::vector<std::uint8_t>;

Buffer address(const Socks5Address& of) {
  Buffer out(socks5_address_size(of));
  write_socks5_address(of, out);
  return out;
}

Buffer ipv4_address() {
  IpEndpoint endpoint;
  endpoint.ip = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 1};
  endpoint.port = 53;
  return address(socks5_endpoint(endpoint));
}

Buffer frame(const Buffer& to, const Buffer& payload) {
  Buffer out(kFrameHead);
  write_frame_head(out.data(), to.size(), payload.size());
  out.insert(out.end(), to.begin(), to.end());
  out.insert(out.end(), payload.begin(), payload.end());
  return out;
}

std::vector<Buffer> read(const Buffer& stream, std::size_t piece, bool& failed) {
  DatagramFrameReader reader;
  std::vector<Buffer> out;
  for (std::size_t at = 0; at < stream.size(); at += piece) {
    Buffer exact(stream.begin() + static_cast<std::ptrdiff_t>(at),
                 stream.begin() + static_cast<std::ptrdiff_t>(std::min(stream.size(), at + piece)));
    MutableBytes input(exact);
    while (const auto datagram = reader.next(input)) out.emplace_back(datagram->begin(), datagram->end());
  }
  failed = reader.failed();
  return out;
}

}  // namespace

TEST_CASE("a frame has the bytes that hev-socks5-core gives it") {
  CHECK(frame(ipv4_address(), {0xaa, 0xbb}) == Buffer{0, 2, 10, 1, 192, 0, 2, 1, 0, 53, 0xaa, 0xbb});
}

TEST_CASE("frames are read however their stream is cut") {
  std::vector<Buffer> addresses{ipv4_address(), address(*socks5_name("example.net", 443)),
                                address(*socks5_name(std::string(248, 'a'), 1))};
  Buffer stream;
  std::vector<Buffer> expected;
  for (const std::size_t size : {0u, 1u, 300u})
    for (const Buffer& to : addresses) {
      const Buffer one = frame(to, Buffer(size, 7));
      stream.insert(stream.end(), one.begin(), one.end());
      expected.emplace_back(one.begin() + kFrameHead, one.end());
    }
  const Buffer largest = frame(addresses[2], Buffer(65535, 9));
  CHECK(largest.size() == kMaxFrame);
  stream.insert(stream.end(), largest.begin(), largest.end());
  expected.emplace_back(largest.begin() + kFrameHead, largest.end());
  for (const std::size_t piece : {1ul, 2ul, 3ul, 7ul, 100ul, 1298ul, stream.size()}) {
    bool failed = true;
    CHECK(read(stream, piece, failed) == expected);
    CHECK_FALSE(failed);
  }
}

TEST_CASE("what is no frame ends the reading") {
  Buffer bad = frame(ipv4_address(), {1, 2, 3});
  SECTION("a header that ends in the address") { bad[2] = 9; }
  SECTION("a header longer than the address") { bad[2] = 11; }
  SECTION("no address") { bad[2] = 3; }
  SECTION("a header of impossible size") { bad[2] = 0; }
  SECTION("an unknown type of address") { bad[3] = 2; }
  for (const std::size_t piece : {1u, 4u, 100u}) {
    Buffer stream = frame(ipv4_address(), {5});
    stream.insert(stream.end(), bad.begin(), bad.end());
    stream.resize(stream.size() + 300);
    bool failed = false;
    CHECK(read(stream, piece, failed).size() == 1);
    CHECK(failed);
  }
}

TEST_CASE("a datagram is its address and its payload") {
  Buffer datagram = ipv4_address();
  datagram.push_back(0xcc);
  const auto split = split_datagram(datagram);
  REQUIRE(split);
  CHECK(split->address.endpoint.port == 53);
  CHECK(split->payload.size() == 1);
  CHECK_FALSE(split_datagram(MutableBytes(datagram).first(6)));
  CHECK_FALSE(split_datagram({}));
}

}  // namespace kcptun::datagram_frame_test
