// Forward error correction, Snappy framing and QPP: bytes of payload per second.
#include <benchmark/benchmark.h>

#include <array>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "core/base/packet.h"
#include "core/base/random.h"
#include "core/fec/erasure_code_cache.h"
#include "core/fec/fec_decoder.h"
#include "core/fec/fec_encoder.h"
#include "core/fec/reed_solomon.h"
#include "core/stream/qpp.h"
#include "core/stream/snappy_frames.h"

namespace kcptun {
namespace {

constexpr std::size_t kCryptoHeader = 20;
constexpr std::size_t kBody = 1350 - kCryptoHeader;

// A batch like the links': one slot per packet, 64-byte aligned, bodies behind the crypto header.
class Arena {
 public:
  explicit Arena(std::size_t slots) : bytes_(slots * kPacketStride + 64) {
    Random random(1);
    for (std::uint8_t& b : bytes_) b = static_cast<std::uint8_t>(random.next32());
  }
  std::uint8_t* body(std::size_t slot) {
    const auto address = reinterpret_cast<std::uintptr_t>(bytes_.data());
    return bytes_.data() + (64 - address % 64) % 64 + slot * kPacketStride + kCryptoHeader;
  }

 private:
  std::vector<std::uint8_t> bytes_;
};

void count_bytes(benchmark::State& state, std::size_t per_iteration) {
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * per_iteration));
}

// One batch of whole groups.
void fec_encode(benchmark::State& state, gf::Backend backend) {
  if (!gf::supported(backend)) return state.SkipWithError("not on this machine");
  constexpr std::size_t kGroups = 9;
  const ReedSolomonCode code({10, 3}, backend);
  FecEncoder encoder(code);
  Arena arena(kGroups * 13);
  const TimePoint now{};
  for (auto _ : state) {
    for (std::size_t slot = 0; slot < kGroups * 13; slot += 3) {
      for (int i = 0; i < 10; ++i) encoder.add(now, {arena.body(slot++), kBody});
      const std::array<std::uint8_t*, 3> outs{arena.body(slot), arena.body(slot + 1), arena.body(slot + 2)};
      benchmark::DoNotOptimize(encoder.finish_group(outs));
    }
    encoder.end_batch();
  }
  count_bytes(state, kGroups * 10 * kBody);
}
BENCHMARK_CAPTURE(fec_encode, best, gf::Backend::kBest)->Name("BenchmarkFECEncode");
BENCHMARK_CAPTURE(fec_encode, jerasure, gf::Backend::kJerasure);
BENCHMARK_CAPTURE(fec_encode, avx2, gf::Backend::kAvx2);
BENCHMARK_CAPTURE(fec_encode, avx2_gfni, gf::Backend::kAvx2Gfni);
BENCHMARK_CAPTURE(fec_encode, avx512_gfni, gf::Backend::kAvx512Gfni);

// A batch for each packet: what an unfinished group costs.
void fec_encode_thin(benchmark::State& state) {
  const ReedSolomonCode code({10, 3});
  FecEncoder encoder(code);
  Arena arena(13);
  const std::array<std::uint8_t*, 3> outs{arena.body(10), arena.body(11), arena.body(12)};
  for (auto _ : state) {
    for (std::size_t i = 0; i < 10; ++i) {
      if (encoder.add(TimePoint{}, {arena.body(i), kBody})) encoder.finish_group(outs);
      encoder.end_batch();
    }
  }
  count_bytes(state, 10 * kBody);
}
BENCHMARK(fec_encode_thin);

// Groups of 10/3 that lost `losses` data packets each, in batches of 9 groups or of one packet.
void fec_decode(benchmark::State& state, gf::Backend backend, std::size_t losses, std::size_t batch) {
  if (!gf::supported(backend)) return state.SkipWithError("not on this machine");
  constexpr std::size_t kGroups = 9 * 13;
  ErasureCodeCache codes(
      [backend](FecSettings counts) { return std::make_unique<ReedSolomonCode>(counts, backend); });
  const ReedSolomonCode code({10, 3}, backend);
  FecEncoder encoder(code);
  FecDecoder decoder({10, 3}, codes);
  Arena arena(kGroups * 13);
  for (std::size_t g = 0; g < kGroups; ++g) {
    for (std::size_t i = 0; i < 10; ++i) encoder.add(TimePoint{}, {arena.body(g * 13 + i), kBody});
    const std::array<std::uint8_t*, 3> outs{arena.body(g * 13 + 10), arena.body(g * 13 + 11),
                                            arena.body(g * 13 + 12)};
    encoder.finish_group(outs);
  }
  std::uint32_t round = 0;
  for (auto _ : state) {
    for (std::size_t slot = 0; slot < kGroups * 13; ++slot) {
      store_u32(arena.body(slot), round + static_cast<std::uint32_t>(slot));
      const std::size_t position = slot % 13;
      const bool lost = position % 3 == 1 && position / 3 < losses && (round > 0 || slot >= 13);
      if (!lost) decoder.handle({arena.body(slot), kBody});
      if (slot % batch == batch - 1) decoder.end_batch();
    }
    round += kGroups * 13;
  }
  if (losses > 0 && decoder.counters().recovered == 0) state.SkipWithError("nothing recovered");
  count_bytes(state, kGroups * 10 * kBody);
}
BENCHMARK_CAPTURE(fec_decode, lost_0, gf::Backend::kBest, 0, 117);
BENCHMARK_CAPTURE(fec_decode, lost_1, gf::Backend::kBest, 1, 117)->Name("BenchmarkFECDecode");
BENCHMARK_CAPTURE(fec_decode, lost_2, gf::Backend::kBest, 2, 117);
BENCHMARK_CAPTURE(fec_decode, lost_3, gf::Backend::kBest, 3, 117);
BENCHMARK_CAPTURE(fec_decode, lost_3_thin, gf::Backend::kBest, 3, 1);
BENCHMARK_CAPTURE(fec_decode, lost_0_thin, gf::Backend::kBest, 0, 1);
BENCHMARK_CAPTURE(fec_decode, lost_1_jerasure, gf::Backend::kJerasure, 1, 117);
BENCHMARK_CAPTURE(fec_decode, lost_3_jerasure, gf::Backend::kJerasure, 3, 117);
BENCHMARK_CAPTURE(fec_decode, lost_3_avx2, gf::Backend::kAvx2, 3, 117);

std::vector<std::uint8_t> payload(bool compressible) {
  std::vector<std::uint8_t> bytes(65536);
  Random random(2);
  static constexpr std::string_view kText =
      "GET /index.html HTTP/1.1\r\nHost: www.example.com\r\nAccept: */*\r\n";
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const bool noise = !compressible || random.below(16) == 0;
    bytes[i] = noise ? static_cast<std::uint8_t>(random.next32())
                     : static_cast<std::uint8_t>(kText[i % kText.size()]);
  }
  return bytes;
}

enum class Content { kText, kNoise };

void snappy_encode(benchmark::State& state, Content content) {
  const std::vector<std::uint8_t> plain = payload(content == Content::kText);
  std::vector<std::uint8_t> out(kSnappyMaxEncoded);
  SnappyFramer framer;
  const std::size_t size = static_cast<std::size_t>(state.range(0));
  for (auto _ : state) {
    Bytes input = Bytes(plain).first(size);
    benchmark::DoNotOptimize(framer.encode(input, out));
  }
  count_bytes(state, size);
}
BENCHMARK_CAPTURE(snappy_encode, text, Content::kText)->Arg(8200)->Arg(65536);
BENCHMARK_CAPTURE(snappy_encode, noise, Content::kNoise)->Arg(8200)->Arg(65536);

// Input arrives in pieces of 1298 bytes, as KCP segments do.
void snappy_decode(benchmark::State& state, Content content) {
  const std::vector<std::uint8_t> plain = payload(content == Content::kText);
  std::vector<std::uint8_t> out(kSnappyMaxEncoded), stream(kSnappyMaxEncoded), block(kSnappyBlock);
  const std::size_t size = static_cast<std::size_t>(state.range(0));
  SnappyFramer framer;
  Bytes none, input = Bytes(plain).first(size);
  SnappyDeframer deframer;
  Bytes head = Bytes(out).first(framer.encode(none, out));
  deframer.feed(head, block);
  stream.resize(framer.encode(input, stream));
  for (auto _ : state) {
    for (std::size_t at = 0; at < stream.size(); at += 1298) {
      Bytes piece = Bytes(stream).subspan(at, std::min<std::size_t>(1298, stream.size() - at));
      while (deframer.feed(piece, block).status == SnappyDeframer::Status::kBlock) {
      }
    }
  }
  if (deframer.failed()) state.SkipWithError("failed");
  count_bytes(state, size);
}
BENCHMARK_CAPTURE(snappy_decode, text, Content::kText)->Arg(8200)->Arg(65536);
BENCHMARK_CAPTURE(snappy_decode, noise, Content::kNoise)->Arg(8200)->Arg(65536);

void qpp_encrypt(benchmark::State& state) {
  const QppPads pads("it's a secrect", 61);
  QppStream stream(pads);
  std::vector<std::uint8_t> bytes(8192);
  for (auto _ : state) stream.encrypt(bytes);
  count_bytes(state, bytes.size());
}
BENCHMARK(qpp_encrypt);

void qpp_decrypt(benchmark::State& state) {
  const QppPads pads("it's a secrect", 61);
  QppStream stream(pads);
  std::vector<std::uint8_t> bytes(8192);
  for (auto _ : state) stream.decrypt(bytes);
  count_bytes(state, bytes.size());
}
BENCHMARK(qpp_decrypt);

void qpp_make_pads(benchmark::State& state) {
  for (auto _ : state) {
    const QppPads pads("it's a secrect", static_cast<std::size_t>(state.range(0)));
    benchmark::DoNotOptimize(&pads);
  }
}
BENCHMARK(qpp_make_pads)->Arg(61)->Arg(4096)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace kcptun
