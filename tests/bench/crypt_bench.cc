// Packet protection: MB/s of whole packets. "seal_and_open" counts a packet's bytes twice, once for each
// direction.
#include <benchmark/benchmark.h>

#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/crypt/crc32.h"
#include "core/crypt/nonce.h"
#include "core/crypt/salsa20.h"
#include "core/crypt/suite.h"
#include "core/crypt/suite_table.h"

namespace {

using namespace kcptun;

constexpr std::size_t kBatch = 48;
constexpr std::array<std::uint8_t, 32> kSeed = {1, 2, 3};

const MasterKey& bench_key() {
  static const MasterKey key("it's a secrect");
  return key;
}

/// Packets in slots as a TransmitBatch lays them out.
class Arena {
 public:
  explicit Arena(std::size_t size) : bytes_(kPacketStride * kBatch + 64, 0x5a) {
    auto* base =
        reinterpret_cast<std::uint8_t*>((reinterpret_cast<std::uintptr_t>(bytes_.data()) + 63) & ~63ull);
    for (std::size_t i = 0; i < kBatch; ++i)
      packets_.push_back({base + i * kPacketStride, static_cast<std::uint32_t>(size)});
  }
  std::vector<Packet> packets() const { return packets_; }

 private:
  std::vector<std::uint8_t> bytes_;
  std::vector<Packet> packets_;
};

void count(benchmark::State& state, std::size_t size, std::size_t directions) {
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * size * kBatch * directions));
}

void seal_and_open(benchmark::State& state, Cipher cipher, std::size_t size) {
  const auto suite = Suite::make(cipher, bench_key(), kSeed);
  const Arena arena(size);
  for (auto _ : state) {
    auto packets = arena.packets();
    suite->seal(packets);
    if (suite->open(packets) != 0) state.SkipWithError("rejected");
  }
  count(state, size, 2);
}

void seal(benchmark::State& state, Cipher cipher, std::size_t size) {
  const auto suite = Suite::make(cipher, bench_key(), kSeed);
  const Arena arena(size);
  const auto packets = arena.packets();
  for (auto _ : state) suite->seal(packets);
  count(state, size, 1);
}

/// The cipher alone, as kcp-go's benchmarks measure it.
void encrypt_and_decrypt(benchmark::State& state, Cipher cipher, std::size_t size, Dispatch dispatch) {
  const auto code = make_packet_cipher(suite_row(cipher), bench_key(), dispatch);
  const Arena arena(size);
  const auto packets = arena.packets();
  for (auto _ : state) {
    code->encrypt(packets);
    code->decrypt(packets);
  }
  count(state, size, 2);
}

void encrypt_alone(benchmark::State& state, Cipher cipher, std::size_t size, Dispatch dispatch) {
  const auto code = make_packet_cipher(suite_row(cipher), bench_key(), dispatch);
  const Arena arena(size);
  const auto packets = arena.packets();
  for (auto _ : state) code->encrypt(packets);
  count(state, size, 1);
}

/// The first `packets` packets of a batch: what a path gains depends on how much work there is at once.
void salsa20(benchmark::State& state, Salsa20Path path, std::size_t packets, std::size_t size) {
  const auto code = make_salsa20(bench_key().bytes(), path);
  const Arena arena(size);
  const auto all = arena.packets();
  for (auto _ : state) code->encrypt(std::span(all).first(packets));
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * size * packets));
}

void crc(benchmark::State& state) {
  const Arena arena(1500);
  const auto packets = arena.packets();
  std::uint32_t sum = 0;
  for (auto _ : state)
    for (const Packet& packet : packets) sum ^= crc32(packet.bytes());
  benchmark::DoNotOptimize(sum);
  count(state, 1500, 1);
}
BENCHMARK(crc)->Name("crypt/crc32/1500");

void crc_1024(benchmark::State& state) {
  const std::vector<std::uint8_t> bytes(1024, 0x5a);
  for (auto _ : state) benchmark::DoNotOptimize(crc32(bytes));
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * bytes.size()));
}
BENCHMARK(crc_1024)->Name("BenchmarkCRC32");

void nonce(benchmark::State& state) {
  NonceStream stream(kSeed);
  for (auto _ : state) benchmark::DoNotOptimize(*stream.next().data());
}
BENCHMARK(nonce)->Name("crypt/nonce16");

/// What kcp-go calls its rows: 1500 bytes encrypted and decrypted.
struct GoName {
  std::string_view name;
  Cipher cipher;
};
constexpr std::array<GoName, 13> kGoNames{{
    {"SM4", Cipher::kSm4},
    {"AES128", Cipher::kAes128},
    {"AES192", Cipher::kAes192},
    {"AES256", Cipher::kAes},
    {"TEA", Cipher::kTea},
    {"XOR", Cipher::kXor},
    {"Blowfish", Cipher::kBlowfish},
    {"None", Cipher::kNone},
    {"Cast5", Cipher::kCast5},
    {"3DES", Cipher::kTripleDes},
    {"Twofish", Cipher::kTwofish},
    {"XTEA", Cipher::kXtea},
    {"Salsa20", Cipher::kSalsa20},
}};

const bool registered = [] {
  for (const GoName& row : kGoNames) {
    const Cipher cipher = row.cipher;
    benchmark::RegisterBenchmark(("Benchmark" + std::string(row.name)).c_str(), [=](benchmark::State& s) {
      encrypt_and_decrypt(s, cipher, 1500, Dispatch::kBest);
    });
  }
  benchmark::RegisterBenchmark("BenchmarkAEAD_AES_128_GCM",
                               [](benchmark::State& s) { seal(s, Cipher::kAes128Gcm, 1400); });
  for (const CipherName& row : kStandaloneCipherNames) {
    const std::string name(row.name);
    const Cipher cipher = row.cipher;
    for (std::size_t size : {std::size_t{1370}, std::size_t{1500}}) {
      benchmark::RegisterBenchmark(("crypt/seal_and_open/" + name + "/" + std::to_string(size)).c_str(),
                                   [=](benchmark::State& s) { seal_and_open(s, cipher, size); });
    }
    benchmark::RegisterBenchmark(("crypt/seal/" + name + "/1500").c_str(),
                                 [=](benchmark::State& s) { seal(s, cipher, 1500); });
    if (suite_row(cipher).format != PacketFormat::kChecksummed) continue;
    for (const auto& [dispatch, path] :
         {std::pair{Dispatch::kBest, "best"}, std::pair{Dispatch::kPortable, "portable"}}) {
      benchmark::RegisterBenchmark(
          ("crypt/cipher/" + name + "/1500/" + path).c_str(),
          [=, d = dispatch](benchmark::State& s) { encrypt_and_decrypt(s, cipher, 1500, d); });
      benchmark::RegisterBenchmark(
          ("crypt/encrypt/" + name + "/1500/" + path).c_str(),
          [=, d = dispatch](benchmark::State& s) { encrypt_alone(s, cipher, 1500, d); });
    }
  }
  for (const auto& [path, name] :
       {std::pair{Salsa20Path::kPortable, "sodium"}, std::pair{Salsa20Path::kAvx2, "avx2"},
        std::pair{Salsa20Path::kAvx512, "avx512"}}) {
    if (!cpu_can(path)) continue;
    for (const auto& [packets, size] :
         {std::pair<std::size_t, std::size_t>{1, 60}, {1, 1350}, {4, 1350}, {48, 1350}}) {
      benchmark::RegisterBenchmark(
          ("crypt/salsa20/" + std::string(name) + "/" + std::to_string(packets) + "x" + std::to_string(size))
              .c_str(),
          [p = path, n = packets, b = size](benchmark::State& s) { salsa20(s, p, n, b); });
    }
  }
  return true;
}();

}  // namespace
