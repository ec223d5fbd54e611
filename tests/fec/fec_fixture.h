// A sender of FEC packets whose every packet the tests remember, and what they compare with.
#pragma once

#include <catch2/catch.hpp>

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "core/base/packet.h"
#include "core/base/random.h"
#include "core/fec/fec_decoder.h"
#include "core/fec/fec_encoder.h"
#include "core/fec/reed_solomon.h"

namespace kcptun::test {

using Buffer = std::vector<std::uint8_t>;

inline std::string text(Bytes bytes) { return {bytes.begin(), bytes.end()}; }

/// Bytes that look like a KCP packet, of 24..`longest` bytes.
inline Buffer random_packet(Random& random, std::size_t longest) {
  Buffer packet(24 + random.below(static_cast<std::uint32_t>(longest - 23)));
  for (std::uint8_t& b : packet) b = static_cast<std::uint8_t>(random.next32());
  packet[4] = 81;
  return packet;
}

/// Makes the FEC packets of a stream, in batches of one group or less.
class Sender {
 public:
  Sender(FecSettings settings, std::uint64_t seed, std::size_t longest = 200, std::uint32_t first_seqid = 0)
      : code_(settings), encoder_(code_, first_seqid), random_(seed), longest_(longest) {}

  /// The next data packet, followed by at most `parity` parity packets if it ends a group.
  std::vector<Buffer> next(std::size_t parity = 256) {
    const Buffer kcp = random_packet(random_, longest_);
    sent.insert(text(kcp));
    Buffer body(kMaxDatagram);
    std::copy(kcp.begin(), kcp.end(), body.begin() + kFecHeader);
    std::vector<Buffer> out;
    const bool full = encoder_.add(now, {body.data(), kFecHeader + kcp.size()});
    now += milliseconds(1);
    out.emplace_back(body.begin(), body.begin() + static_cast<std::ptrdiff_t>(kFecHeader + kcp.size()));
    if (full) {
      const std::size_t size = encoder_.parity_size();
      std::vector<Buffer> slots(std::min<std::size_t>(parity, code_.parity_shards()), Buffer(kMaxDatagram));
      std::vector<std::uint8_t*> outs;
      for (Buffer& slot : slots) outs.push_back(slot.data());
      slots.resize(encoder_.finish_group(outs));
      for (Buffer& slot : slots) {
        slot.resize(size);
        out.push_back(slot);
      }
    }
    encoder_.end_batch();
    return out;
  }

  /// Data packets until the group is full, and its parity.
  std::vector<Buffer> group(std::size_t parity = 256) {
    std::vector<Buffer> out;
    for (std::uint32_t i = 0; i < code_.data_shards(); ++i) {
      for (Buffer& packet : next(parity)) out.push_back(std::move(packet));
    }
    return out;
  }

  std::set<std::string> sent;
  TimePoint now{seconds(1)};

 private:
  ReedSolomonCode code_;
  FecEncoder encoder_;
  Random random_;
  std::size_t longest_;
};

/// Feeds a packet at an odd address, takes what it recovers, and destroys the packet when the batch ends.
class Receiver {
 public:
  Receiver(FecSettings own, std::uint64_t seed = 1) : decoder(own, codes_), random_(seed) {}

  void handle(const Buffer& packet) {
    const std::size_t shift = random_.below(16);
    batch_.emplace_back(packet.size() + shift);
    std::copy(packet.begin(), packet.end(), batch_.back().begin() + static_cast<std::ptrdiff_t>(shift));
    decoder.handle(Bytes(batch_.back()).subspan(shift));
    for (Bytes kcp : decoder.recovered()) recovered.push_back(text(kcp));
    if (random_.below(4) == 0) end_batch();
  }
  void end_batch() {
    decoder.end_batch();
    for (Buffer& packet : batch_) std::fill(packet.begin(), packet.end(), std::uint8_t{0xdd});
    batch_.clear();
  }

  std::vector<std::string> recovered;

 private:
  ErasureCodeCache codes_{make_reed_solomon};
  std::vector<Buffer> batch_;

 public:
  FecDecoder decoder;

 private:
  Random random_;
};

}  // namespace kcptun::test
