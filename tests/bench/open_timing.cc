// Whether opening a packet takes the same time whatever is wrong with it, by statistics (dudect: Reparaz,
// Balasch, Verbauwhede, "Dude, is my code constant time?", 2017).
//
//   open_timing [RUNS]     RUNS: measurements for each comparison (default 500,000)
//
// For each suite, each fault is compared with the fault "first byte of the tag": packets with either are
// opened in random order, the slowest tenth of the times is left out, and Welch's t-test compares the rest.
// |t| above 10 is a difference that chance does not make; the program then exits with 1. Run it on an idle
// machine: it is no part of the tests.
#include <x86intrin.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/base/random.h"
#include "core/crypt/suite.h"
#include "core/noise/cipher_state.h"

namespace {

using kcptun::Bytes;
using kcptun::Cipher;
using kcptun::MutableBytes;
using kcptun::Packet;
using kcptun::Suite;
using Buffer = std::vector<std::uint8_t>;

constexpr std::size_t kPacket = 1350;      // bytes: kcptun's default mtu
constexpr double kDifference = 10;         // dudect's bound for "certainly not constant"
constexpr double kKept = 0.9;              // of the times, from the fastest
constexpr std::size_t kTagSize = 16;       // bytes, at the end of each packet
constexpr std::uint64_t kSeed = 20261130;  // of the order of the measurements

struct Subject {
  std::string name;
  Buffer packet;                           // a right one
  std::function<bool(MutableBytes)> open;  // true if it opened
};

struct Fault {
  std::string name;
  std::function<void(MutableBytes)> make;
};

Subject suite_subject(const std::string& name, Cipher cipher) {
  const kcptun::MasterKey key("a key");
  const std::array<std::uint8_t, 32> seed{1};
  const std::shared_ptr<Suite> suite = Suite::make(cipher, key, seed);
  Buffer packet(kPacket, 'x');
  const Packet whole{packet.data(), static_cast<std::uint32_t>(packet.size())};
  suite->seal({&whole, 1});
  return {name, packet, [suite](MutableBytes bytes) {
            Packet one{bytes.data(), static_cast<std::uint32_t>(bytes.size())};
            return suite->open({&one, 1}) == 0;
          }};
}

Subject noise_subject() {
  const kcptun::noise::CipherState cipher{kcptun::noise::SecretKey{}};
  static constexpr std::size_t kHead = 16;
  Buffer packet(kPacket, 'x');
  cipher.seal(7, Bytes(packet).first(kHead), MutableBytes(packet).subspan(kHead));
  return {"noise", packet,
          [cipher](MutableBytes bytes) { return cipher.open(7, bytes.first(kHead), bytes.subspan(kHead)); }};
}

// Opens like noise_subject(), and then leaks what memcmp() would: how many bytes of the tag are right.
Subject control_subject() {
  Subject subject = noise_subject();
  subject.name = "control";
  const Buffer right(subject.packet.end() - kTagSize, subject.packet.end());
  subject.open = [right, open = subject.open](MutableBytes bytes) {
    const bool opened = open(bytes);
    const volatile std::uint8_t* const tag = bytes.data() + bytes.size() - kTagSize;
    std::size_t same = 0;
    while (same < kTagSize && tag[same] == right[same]) ++same;
    return opened;
  };
  return subject;
}

std::vector<Fault> faults() {
  const auto flip = [](std::size_t at) { return [at](MutableBytes bytes) { bytes[at] ^= 1; }; };
  return {{"first byte of the tag", flip(kPacket - kTagSize)},
          {"last byte of the tag", flip(kPacket - 1)},
          {"first byte", flip(0)},
          {"first byte of the body", flip(64)},
          {"last byte of the body", flip(kPacket - kTagSize - 1)},
          {"every byte", [](MutableBytes bytes) {
             kcptun::Random random(kSeed);
             for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(random.next());
           }}};
}

Buffer with(const Subject& subject, const Fault& fault) {
  Buffer bytes = subject.packet;
  fault.make(bytes);
  return bytes;
}

using Times = std::vector<double>;

// Times of the two packets, opened in random order from the same memory.
std::array<Times, 2> measure(const Subject& subject, const std::array<Buffer, 2>& packets, std::size_t runs) {
  std::array<Times, 2> times;
  kcptun::Random random(kSeed);
  Buffer work(kPacket);
  for (std::size_t i = 0; i < runs; ++i) {
    const std::size_t which = random.next() >> 63;
    std::ranges::copy(packets[which], work.begin());
    unsigned processor = 0;
    const std::uint64_t before = __rdtscp(&processor);
    const bool opened = subject.open(work);
    const std::uint64_t after = __rdtscp(&processor);
    if (opened) std::abort();  // a fault that is none
    times[which].push_back(static_cast<double>(after - before));
  }
  return times;
}

// Leaves out what is slower than kKept of all times together: interrupts and other programs.
void crop(std::array<Times, 2>& times) {
  Times all = times[0];
  all.insert(all.end(), times[1].begin(), times[1].end());
  const auto at = all.begin() + static_cast<std::ptrdiff_t>(kKept * static_cast<double>(all.size()));
  std::nth_element(all.begin(), at, all.end());
  for (Times& one : times) std::erase_if(one, [limit = *at](double time) { return time > limit; });
}

struct Moments {
  double mean = 0;
  double variance_of_mean = 0;
};

Moments moments_of(const Times& times) {
  const auto count = static_cast<double>(times.size());
  Moments out;
  for (const double time : times) out.mean += time / count;
  double squares = 0;
  for (const double time : times) squares += (time - out.mean) * (time - out.mean);
  out.variance_of_mean = squares / (count - 1) / count;
  return out;
}

// Prints one comparison. True if the times differ.
bool differs(const Subject& subject, const Fault& base, const Fault& fault, std::size_t runs) {
  std::array<Times, 2> times = measure(subject, {with(subject, base), with(subject, fault)}, runs);
  crop(times);
  const Moments one = moments_of(times[0]);
  const Moments other = moments_of(times[1]);
  const double t = (other.mean - one.mean) / std::sqrt(one.variance_of_mean + other.variance_of_mean);
  const bool different = std::abs(t) > kDifference;
  std::printf("%-20s %-24s %8.0f cycles %+7.1f  t %+6.1f  %s\n", subject.name.c_str(), fault.name.c_str(),
              other.mean, other.mean - one.mean, t, different ? "DIFFERENT" : "same");
  return different;
}

}  // namespace

int main(int argc, char** argv) {
  const std::size_t runs = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 500'000;
  if (runs < 1000) {
    std::fprintf(stderr, "open_timing [RUNS]: at least 1000\n");
    return 2;
  }
  const std::vector<Fault> all = faults();
  const bool sensitive = differs(control_subject(), all[0], all[1], runs);
  bool any = false;
  for (const Subject& subject :
       {suite_subject("aes-128-gcm", Cipher::kAes128Gcm),
        suite_subject("xchacha20-poly1305", Cipher::kXChaCha20Poly1305), noise_subject()}) {
    for (std::size_t i = 1; i < all.size(); ++i) any |= differs(subject, all[0], all[i], runs);
  }
  if (!sensitive)
    std::fprintf(stderr, "the control does not differ: the machine is too busy, or RUNS too few\n");
  return any ? 1 : sensitive ? 0 : 2;
}
