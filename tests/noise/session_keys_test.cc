// Renewal of keys (docs/develop/protocol.md section 15, "Renewal").
#include "core/noise/session_keys.h"

#include <catch2/catch.hpp>
#include <vector>

#include "core/crypt/noise_gcm.h"

namespace kcptun::session_keys_test {
using namespace kcptun::noise;

namespace {

using Buffer = std::vector<std::uint8_t>;

constexpr TimePoint kStart{seconds(5000)};
const Buffer kBody{1, 2, 3, 4, 5};
const Buffer kAssociated{9, 8, 7};

SecretKey key() {
  SecretKey out;
  for (std::size_t i = 0; i < kKeySize; ++i) out.writable()[i] = static_cast<std::uint8_t>(i * 7 + 1);
  return out;
}

// Set by each test: null is ChaCha20-Poly1305.
MakeDataCipher cipher = nullptr;

void choose_cipher() { cipher = GENERATE(MakeDataCipher{nullptr}, MakeDataCipher{make_noise_gcm}); }

struct Sealed {
  std::uint8_t epoch = 0;
  std::uint64_t counter = 0;
  Buffer message;
};

struct Sender {
  explicit Sender(std::uint64_t renew_after = kRenewAfterPackets)
      : sending(key(), cipher, kStart, renew_after) {}
  Sealed next(TimePoint now) {
    Sealed out{sending.prepare(now), counter++, kBody};
    out.message.resize(kBody.size() + kTagSize);
    sending.seal(out.counter, kAssociated, out.message);
    return out;
  }
  SendingKey sending;
  std::uint64_t counter = 0;
};

bool opens(ReceivingKeys& keys, TimePoint now, Sealed packet) {
  const bool open = keys.open(now, packet.epoch, packet.counter, kAssociated, packet.message);
  if (open) CHECK(Buffer(packet.message.begin(), packet.message.end() - kTagSize) == kBody);
  return open;
}

// One packet in each of the first `count` epochs.
std::vector<Sealed> epochs(Sender& sender, int count) {
  std::vector<Sealed> out;
  for (int i = 0; i < count; ++i) out.push_back(sender.next(kStart + i * kRenewAfter));
  return out;
}

}  // namespace

TEST_CASE("a key is renewed with the first packet after 120 s, and not before") {
  choose_cipher();
  Sender sender;
  CHECK(sender.next(kStart).epoch == 0);
  CHECK(sender.next(kStart + kRenewAfter - microseconds(1)).epoch == 0);
  CHECK(sender.next(kStart + kRenewAfter).epoch == 1);
  CHECK(sender.next(kStart + kRenewAfter).epoch == 1);
  CHECK(sender.next(kStart + kRenewAfter + seconds(3600)).epoch == 2);  // silence renews it once
}

TEST_CASE("a key is renewed after as many packets as it may seal") {
  choose_cipher();
  Sender sender(3);
  for (const int epoch : {0, 0, 0, 1, 1, 1, 2}) CHECK(sender.next(kStart).epoch == epoch);
}

TEST_CASE("the receiver follows the sender's epochs, also past the last one") {
  choose_cipher();
  Sender sender;
  ReceivingKeys keys(key(), cipher);
  for (int i = 0; i < 600; ++i) {
    const TimePoint now = kStart + i * kRenewAfter;
    const Sealed packet = sender.next(now);
    REQUIRE(packet.epoch == i % 256);
    REQUIRE(opens(keys, now, packet));
  }
}

TEST_CASE("the receiver follows over at most 8 lost epochs") {
  choose_cipher();
  Sender sender;
  const auto packets = epochs(sender, 10);
  ReceivingKeys keys(key(), cipher);
  CHECK_FALSE(opens(keys, kStart, packets[9]));
  CHECK(keys.epoch() == 0);
  CHECK(opens(keys, kStart, packets[8]));
  CHECK(keys.epoch() == 8);
  CHECK(opens(keys, kStart, packets[9]));
}

TEST_CASE("the key before opens reordered packets for 10 s, an older one none") {
  choose_cipher();
  Sender sender;
  const auto packets = epochs(sender, 4);
  ReceivingKeys keys(key(), cipher);
  CHECK(opens(keys, kStart, packets[1]));
  CHECK(opens(keys, kStart, packets[2]));
  CHECK(keys.next_timeout() == kStart + kKeepPreviousKey);
  CHECK_FALSE(opens(keys, kStart, packets[0]));
  CHECK(opens(keys, kStart + kKeepPreviousKey - microseconds(1), packets[1]));
  CHECK(keys.epoch() == 2);
  CHECK_FALSE(opens(keys, kStart + kKeepPreviousKey, packets[1]));
  CHECK_FALSE(keys.next_timeout());
  CHECK(opens(keys, kStart + kKeepPreviousKey, packets[3]));
}

TEST_CASE("after lost epochs, the key just before the new one is kept") {
  choose_cipher();
  Sender sender;
  const auto packets = epochs(sender, 6);
  ReceivingKeys keys(key(), cipher);
  CHECK(opens(keys, kStart, packets[5]));
  CHECK(opens(keys, kStart, packets[4]));
  CHECK_FALSE(opens(keys, kStart, packets[3]));
  CHECK_FALSE(opens(keys, kStart, packets[0]));
}

TEST_CASE("a forged epoch changes nothing") {
  choose_cipher();
  Sender sender;
  const auto packets = epochs(sender, 2);
  ReceivingKeys keys(key(), cipher);
  for (int epoch = 1; epoch < 256; ++epoch) {
    Sealed forged = packets[0];
    forged.epoch = static_cast<std::uint8_t>(epoch);
    CHECK_FALSE(opens(keys, kStart, forged));
    CHECK(keys.epoch() == 0);
    CHECK_FALSE(keys.next_timeout());
  }
  CHECK(opens(keys, kStart, packets[0]));
  CHECK(opens(keys, kStart, packets[1]));
}

TEST_CASE("a time-out wipes the key before") {
  choose_cipher();
  Sender sender;
  const auto packets = epochs(sender, 2);
  ReceivingKeys keys(key(), cipher);
  CHECK(opens(keys, kStart, packets[1]));
  keys.handle_timeout(kStart + kKeepPreviousKey - microseconds(1));
  CHECK(keys.next_timeout());
  keys.handle_timeout(kStart + kKeepPreviousKey);
  CHECK_FALSE(keys.next_timeout());
  CHECK_FALSE(opens(keys, kStart, packets[0]));
}

}  // namespace kcptun::session_keys_test
