#include "core/stream/snappy_frames.h"

#include <snappy.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <string_view>

#include "core/base/check.h"
#include "core/stream/crc32c.h"

namespace kcptun {

namespace {

using std::string_view_literals::operator""sv;

constexpr std::uint8_t kCompressed = 0x00;
constexpr std::uint8_t kPlain = 0x01;
constexpr std::uint8_t kFirstSkippable = 0x80;
constexpr std::uint8_t kIdentifier = 0xff;
constexpr std::string_view kIdentifierBody = "sNaPpY"sv;
constexpr std::size_t kChunkHeader = 4;
constexpr std::size_t kCrc = 4;
constexpr std::size_t kMaxCompressed = 32 + kSnappyBlock + kSnappyBlock / 6;

std::uint32_t masked_crc(Bytes bytes) { return std::rotr(crc32c(bytes), 15) + 0xa282ead8u; }

const char* chars(const std::uint8_t* p) { return reinterpret_cast<const char*>(p); }
char* chars(std::uint8_t* p) { return reinterpret_cast<char*>(p); }

// type u8 | length u24
void store_header(std::uint8_t* p, std::uint8_t type, std::size_t length) {
  store_u32(p, static_cast<std::uint32_t>(length << 8 | type));
}

}  // namespace

std::size_t SnappyFramer::encode(Bytes& plain, MutableBytes out) {
  KCPTUN_CHECK(out.size() >= kSnappyMaxEncoded);
  std::uint8_t* p = out.data();
  if (!identifier_seen_) {
    store_header(p, kIdentifier, kIdentifierBody.size());
    std::memcpy(p + kChunkHeader, kIdentifierBody.data(), kIdentifierBody.size());
    p += kChunkHeader + kIdentifierBody.size();
    identifier_seen_ = true;
  }
  const Bytes block = plain.first(std::min(plain.size(), kSnappyBlock));
  plain = plain.subspan(block.size());
  if (block.empty()) return static_cast<std::size_t>(p - out.data());
  std::uint8_t* body = p + kChunkHeader + kCrc;
  std::size_t size = 0;
  snappy::RawCompress(chars(block.data()), block.size(), chars(body), &size);
  std::uint8_t type = kCompressed;
  if (size >= block.size()) {
    type = kPlain;
    size = block.size();
    std::memcpy(body, block.data(), size);
  }
  store_header(p, type, kCrc + size);
  store_u32(p + kChunkHeader, masked_crc(block));
  return static_cast<std::size_t>(body + size - out.data());
}

SnappyDeframer::Step SnappyDeframer::fail() {
  failed_ = true;
  std::vector<std::uint8_t>().swap(partial_);
  return {Status::kFailed, {}};
}

SnappyDeframer::Step SnappyDeframer::feed(Bytes& input, MutableBytes out) {
  KCPTUN_CHECK(out.size() >= kSnappyBlock);
  if (failed_) return fail();
  // The previous block may have been stored there.
  if (header_size_ == 0 && partial_.capacity() > 0) std::vector<std::uint8_t>().swap(partial_);
  for (;;) {
    const std::size_t skipped = std::min(skip_, input.size());
    input = input.subspan(skipped);
    skip_ -= skipped;
    if (skip_ > 0) return {};
    if (header_size_ < kChunkHeader) {
      if (!read_header(input)) return {};
      if (!header_allowed()) return fail();
    }
    if (type() >= kFirstSkippable && type() != kIdentifier) {
      skip_ = length();
      header_size_ = 0;
      continue;
    }
    Bytes body;
    if (!take_body(input, body)) return {};
    header_size_ = 0;
    const Step step = finish_chunk(body, out);
    const bool shown = step.status == Status::kBlock && type() == kPlain;  // the block may be stored there
    if (!shown && partial_.capacity() > 0) std::vector<std::uint8_t>().swap(partial_);
    if (step.status != Status::kMore) return step;
  }
}

// True once the header is complete.
bool SnappyDeframer::read_header(Bytes& input) {
  const std::size_t n = std::min(kChunkHeader - header_size_, input.size());
  std::copy_n(input.begin(), n, header_.begin() + header_size_);
  header_size_ = static_cast<std::uint8_t>(header_size_ + n);
  input = input.subspan(n);
  return header_size_ == kChunkHeader;
}

// True if the chunk with this header may be read to its end.
bool SnappyDeframer::header_allowed() const {
  if (!identifier_seen_ && type() != kIdentifier) return false;
  switch (type()) {
    case kCompressed:
      return length() > kCrc && length() <= kCrc + kMaxCompressed;
    case kPlain:
      return length() >= kCrc && length() <= kCrc + kSnappyBlock;
    case kIdentifier:
      return length() == kIdentifierBody.size();
    default:
      return type() >= kFirstSkippable;
  }
}

// Sets `body` to the chunk's body, which is in the input if it is complete there. False if more input is
// needed.
bool SnappyDeframer::take_body(Bytes& input, Bytes& body) {
  const std::size_t n = std::min(length() - partial_.size(), input.size());
  const Bytes piece = input.first(n);
  input = input.subspan(n);
  if (n == length()) {
    body = piece;
    return true;
  }
  if (n == 0) return false;
  partial_.reserve(length());
  partial_.insert(partial_.end(), piece.begin(), piece.end());
  body = partial_;
  return partial_.size() == length();
}

SnappyDeframer::Step SnappyDeframer::finish_chunk(Bytes body, MutableBytes out) {
  if (type() == kIdentifier) {
    identifier_seen_ = true;
    return std::memcmp(body.data(), kIdentifierBody.data(), body.size()) == 0 ? Step{} : fail();
  }
  const std::uint32_t crc = load_u32(body.data());
  Bytes block = body.subspan(kCrc);
  if (type() == kCompressed) {
    std::size_t size = 0;
    if (!snappy::GetUncompressedLength(chars(block.data()), block.size(), &size) || size > kSnappyBlock)
      return fail();
    if (!snappy::RawUncompress(chars(block.data()), block.size(), chars(out.data()))) return fail();
    block = out.first(size);
  }
  if (masked_crc(block) != crc) return fail();
  if (block.empty()) return {};
  return {Status::kBlock, block};
}

}  // namespace kcptun
