// The bytes of one fuzzer input, taken from the front as numbers and commands. Behind the end everything is
// 0.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "core/base/bytes.h"

namespace kcptun::test {

class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size) : rest_(data, size) {}

  bool empty() const { return rest_.empty(); }
  std::size_t size() const { return rest_.size(); }

  std::uint8_t u8() {
    if (rest_.empty()) return 0;
    const std::uint8_t byte = rest_.front();
    rest_ = rest_.subspan(1);
    return byte;
  }
  std::uint16_t u16() {
    const std::uint16_t low = u8();
    return static_cast<std::uint16_t>(low | u8() << 8);
  }
  std::uint32_t u32() {
    const std::uint32_t low = u16();
    return low | std::uint32_t{u16()} << 16;
  }
  /// Of [0, bound). REQUIRES: 0 < bound <= 65536.
  std::uint32_t below(std::uint32_t bound) { return (bound > 256 ? u16() : u8()) % bound; }
  /// Near 0 in both directions, seldom far: for sequence numbers around an edge.
  std::uint32_t near() {
    const std::uint8_t byte = u8();
    return byte == 0x80 ? u32() : static_cast<std::uint32_t>(static_cast<std::int8_t>(byte));
  }
  /// Exactly sized, so that the sanitizer sees a read behind the end. Shorter when the input ends.
  std::vector<std::uint8_t> bytes(std::size_t count) {
    count = std::min(count, rest_.size());
    std::vector<std::uint8_t> out(rest_.begin(), rest_.begin() + static_cast<std::ptrdiff_t>(count));
    rest_ = rest_.subspan(count);
    return out;
  }
  std::vector<std::uint8_t> rest() { return bytes(rest_.size()); }
  /// Up to the next byte 0, which is taken too.
  std::string text() {
    std::string out;
    while (!rest_.empty()) {
      const std::uint8_t byte = u8();
      if (byte == 0) break;
      out.push_back(static_cast<char>(byte));
    }
    return out;
  }

 private:
  Bytes rest_;
};

}  // namespace kcptun::test
