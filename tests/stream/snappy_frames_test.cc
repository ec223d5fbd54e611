#include "core/stream/snappy_frames.h"

#include <catch2/catch.hpp>

#include "core/base/random.h"
#include "core/stream/crc32c.h"
#include "tests/support/vectors.h"

namespace kcptun::test::snappy_frames_test {

namespace {

using Buffer = std::vector<std::uint8_t>;
using Status = SnappyDeframer::Status;

struct Decoded {
  Buffer bytes;
  bool failed = false;
};

// Decodes `stream` in pieces of `piece` bytes, each in a buffer that is freed afterwards.
Decoded decode(Bytes stream, std::size_t piece, SnappyDeframer& deframer) {
  static Buffer block(kSnappyBlock);
  Decoded out;
  for (std::size_t at = 0; at < stream.size(); at += piece) {
    Buffer copy(stream.begin() + static_cast<std::ptrdiff_t>(at),
                stream.begin() + static_cast<std::ptrdiff_t>(std::min(at + piece, stream.size())));
    Bytes input = copy;
    for (;;) {
      const auto step = deframer.feed(input, block);
      if (step.status == Status::kFailed) out.failed = true;
      if (step.status != Status::kBlock) break;
      REQUIRE(!step.block.empty());
      REQUIRE(step.block.size() <= kSnappyBlock);
      out.bytes.insert(out.bytes.end(), step.block.begin(), step.block.end());
    }
    if (out.failed) break;
    REQUIRE(input.empty());
  }
  return out;
}

Decoded decode(Bytes stream, std::size_t piece) {
  SnappyDeframer deframer;
  Decoded out = decode(stream, piece, deframer);
  REQUIRE(out.failed == deframer.failed());
  return out;
}

Buffer encode(Bytes plain) {
  SnappyFramer framer;
  Buffer out, chunk(kSnappyMaxEncoded);
  do {
    const std::size_t n = framer.encode(plain, chunk);
    out.insert(out.end(), chunk.begin(), chunk.begin() + static_cast<std::ptrdiff_t>(n));
  } while (!plain.empty());
  return out;
}

Buffer random_bytes(std::size_t size, Random& random, std::uint32_t values) {
  Buffer out(size);
  for (std::uint8_t& b : out) b = static_cast<std::uint8_t>(random.below(values));
  return out;
}

const Buffer kIdentifier{0xff, 6, 0, 0, 's', 'N', 'a', 'P', 'p', 'Y'};

Buffer with_chunk(std::uint8_t type, const Buffer& body) {
  Buffer out = kIdentifier;
  for (std::size_t b : {std::size_t{type}, body.size() & 255, body.size() >> 8 & 255, body.size() >> 16})
    out.push_back(static_cast<std::uint8_t>(b));
  out.insert(out.end(), body.begin(), body.end());
  return out;
}

}  // namespace

TEST_CASE("CRC-32C gives the value of RFC 3720's example") {
  REQUIRE(crc32c(Buffer{'1', '2', '3', '4', '5', '6', '7', '8', '9'}) == 0xe3069283u);
  REQUIRE(crc32c(Buffer(32, 0)) == 0x8a9136aau);
}

TEST_CASE("recorded streams are decoded in pieces of any size, and what we encode decodes to the same") {
  const auto vectors = load_vectors("snappy.json");
  for (const auto& vector : vectors.at("streams")) {
    const Buffer stream = from_hex(vector.at("stream"));
    Buffer plain;
    for (const auto& hex : vector.at("writes")) {
      const Buffer write = from_hex(hex);
      plain.insert(plain.end(), write.begin(), write.end());
    }
    const std::size_t step = std::max<std::size_t>(1, stream.size() / 3000);
    for (std::size_t piece = 1; piece <= stream.size(); piece += piece < 50 ? 1 : step) {
      const Decoded out = decode(stream, piece);
      REQUIRE(!out.failed);
      REQUIRE(out.bytes == plain);
      if (stream.size() > 20000 && piece > 200) piece += stream.size() / 60;
    }
    REQUIRE(decode(encode(plain), 1298).bytes == plain);
  }
}

TEST_CASE("what is encoded is decoded, at every size around the block's") {
  Random random(4);
  for (std::uint32_t values : {2u, 256u}) {
    for (std::size_t size : {0u, 1u, 2u, 100u, 8200u, 65535u, 65536u, 65537u, 200000u}) {
      const Buffer plain = random_bytes(size, random, values);
      const Buffer stream = encode(plain);
      REQUIRE(Buffer(stream.begin(), stream.begin() + 10) == kIdentifier);
      REQUIRE(stream.size() <= 10 + plain.size() + 8 * (plain.size() / 65536 + 1));
      for (std::size_t piece : {std::size_t{13}, std::size_t{1298}, std::size_t{70000}, stream.size()}) {
        const Decoded out = decode(stream, piece);
        REQUIRE(!out.failed);
        REQUIRE(out.bytes == plain);
      }
    }
  }
}

TEST_CASE("every flipped bit is rejected or changes nothing, and every truncation just waits") {
  Random random(6);
  const Buffer text = random_bytes(60, random, 3), noise = random_bytes(40, random, 256);
  for (const Buffer& plain : {text, noise}) {
    const Buffer stream = encode(plain);
    for (std::size_t bit = 0; bit < stream.size() * 8; ++bit) {
      Buffer damaged = stream;
      damaged[bit / 8] = static_cast<std::uint8_t>(damaged[bit / 8] ^ 1u << bit % 8);
      const Decoded out = decode(damaged, 1 + bit % 17);
      REQUIRE((out.failed || out.bytes.empty() || out.bytes == plain));
    }
    for (std::size_t size = 0; size < stream.size(); ++size) {
      SnappyDeframer deframer;
      Decoded out = decode(Bytes(stream).first(size), 7, deframer);
      REQUIRE(!out.failed);
      REQUIRE(out.bytes.empty());
      REQUIRE(decode(Bytes(stream).subspan(size), 5, deframer).bytes == plain);
      REQUIRE(deframer.held_bytes() == 0);
    }
  }
}

TEST_CASE("chunks that the format forbids fail, and stay so") {
  const Buffer good = encode(Buffer{1, 2, 3});
  REQUIRE(decode(Bytes(good).subspan(10), 100).failed);    // no identifier
  REQUIRE(decode(with_chunk(0x02, Buffer(9)), 3).failed);  // reserved
  REQUIRE(decode(with_chunk(0x7f, Buffer(9)), 3).failed);
  REQUIRE(decode(with_chunk(0x00, Buffer(3)), 3).failed);  // no room for the CRC
  REQUIRE(decode(with_chunk(0x01, Buffer(3)), 3).failed);
  REQUIRE(decode(with_chunk(0x01, Buffer(65541)), 999).failed);  // oversized
  REQUIRE(decode(with_chunk(0x00, Buffer(76500)), 999).failed);
  REQUIRE(decode(with_chunk(0xff, Buffer(6, 's')), 3).failed);                     // another identifier
  REQUIRE(decode(with_chunk(0x00, {0, 0, 0, 0, 0x81, 0x80, 0x04, 0}), 3).failed);  // claims 65537 bytes
  SnappyDeframer deframer;
  REQUIRE(decode(with_chunk(0x02, Buffer(9)), 3, deframer).failed);
  Bytes input = good;
  Buffer block(kSnappyBlock);
  REQUIRE(deframer.feed(input, block).status == Status::kFailed);
}

TEST_CASE("skippable chunks, padding and repeated identifiers are passed over") {
  const Buffer plain{1, 2, 3, 4, 5};
  for (std::uint8_t type : std::initializer_list<std::uint8_t>{0x80, 0xaa, 0xfd, 0xfe}) {
    for (std::size_t size : {0u, 1u, 5u, 100000u}) {
      Buffer stream = with_chunk(type, Buffer(size, 7));
      const Buffer rest = encode(plain);
      stream.insert(stream.end(), rest.begin(), rest.end());
      for (std::size_t piece : {1u, 3u, 1298u, 200000u}) {
        SnappyDeframer deframer;
        REQUIRE(decode(stream, piece, deframer).bytes == plain);
        REQUIRE(deframer.held_bytes() == 0);
      }
    }
  }
}

TEST_CASE("a whole plain chunk is handed out where it lies in the input") {
  Random random(8);
  const Buffer plain = random_bytes(5000, random, 256), stream = encode(plain);
  SnappyDeframer deframer;
  Buffer block(kSnappyBlock);
  Bytes input = stream;
  const auto step = deframer.feed(input, block);
  REQUIRE(step.status == Status::kBlock);
  REQUIRE(step.block.data() == stream.data() + 18);
  REQUIRE(deframer.held_bytes() == 0);
}

TEST_CASE("random bytes behind a good beginning never do harm") {
  const std::uint64_t seed = 77;
  CAPTURE(seed);
  Random random(seed);
  for (int round = 0; round < 3000; ++round) {
    Buffer stream = kIdentifier;
    const Buffer noise = random_bytes(random.below(300), random, 256);
    stream.insert(stream.end(), noise.begin(), noise.end());
    if (stream.size() > 13 && random.chance(0.7))
      stream[10] = static_cast<std::uint8_t>(random.below(2)), stream[12] = stream[13] = 0;
    decode(stream, 1 + random.below(100));
  }
}

}  // namespace kcptun::test::snappy_frames_test
