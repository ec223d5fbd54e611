#include "core/link/hello_gate.h"

#include <algorithm>
#include <array>

#include "core/link/first_segment.h"

namespace kcptun {

using noise::Kind;

noise::SecretKey HelloGate::fresh_key() {
  noise::SecretKey key;
  secrets_.fill(key.writable());
  return key;
}

std::optional<HelloGate::FirstHello> HelloGate::read(const Packet& packet) const {
  const std::optional<noise::Head> head = noise::read_head(packet.data);
  if (!head || head->kind != Kind::kHello || head->epoch != 0 || packet.size > kMaxDatagram)
    return std::nullopt;
  const MutableBytes part = packet.bytes().subspan(
      noise::kHeadSize, noise::handshake_part_size(Kind::kHello, credentials_.pattern));
  const auto hello = noise::read_hello(part, head->session, credentials_.shared.mac);
  if (!hello) return std::nullopt;
  return FirstHello{head->session, *hello, packet};
}

// --- load ---

bool HelloGate::under_load(TimePoint now) {
  if (now - interval_began_ >= kInterval) {
    interval_began_ = now;
    messages_ = 0;
  }
  return messages_ >= kMaxMessages;
}

void HelloGate::renew_secret(TimePoint now) {
  if (secret_ && now - secret_->made_at < noise::kCookieLife) return;
  if (secret_ && now - secret_->made_at < 2 * noise::kCookieLife) {
    previous_ = secret_;
  } else {
    previous_.reset();
  }
  secret_ = Secret{fresh_key(), now};
}

std::optional<noise::CookiePacket> HelloGate::demand_cookie(TimePoint now, const IpEndpoint& from,
                                                            const FirstHello& first) {
  if (!under_load(now)) return std::nullopt;
  renew_secret(now);
  const noise::Cookie cookie = noise::make_cookie(secret_->key, from);
  if (noise::has_cookie(first.hello, first.session, cookie)) return std::nullopt;
  if (previous_ && noise::has_cookie(first.hello, first.session, noise::make_cookie(previous_->key, from)))
    return std::nullopt;
  noise::CookieNonce nonce;
  secrets_.fill(nonce);
  ++counters_.cookies;
  return noise::seal_cookie(credentials_.shared.cookie, {first.session, first.hello.message}, nonce, cookie);
}

// --- opening ---

bool HelloGate::admits(const noise::Response& response) {
  if (!clients_ || !response.client() || clients_->admits(*response.client())) return true;
  ++counters_.not_admitted;
  return false;
}

std::optional<HelloGate::Authentic> HelloGate::authenticate(TimePoint now, const FirstHello& first) {
  (void)under_load(now);  // a new interval may begin
  ++messages_;
  ++counters_.forged;  // until shown otherwise
  auto response = noise::Response::begin(credentials_, first.session, first.hello.message);
  if (!response) return std::nullopt;
  // The session opens the packet again, as its first.
  std::array<std::uint8_t, kMaxDatagram> copy;
  const std::size_t front = noise::kHeadSize + noise::handshake_part_size(Kind::kHello, credentials_.pattern);
  const MutableBytes sealed = MutableBytes(copy).first(first.packet.size - front);
  std::ranges::copy(first.packet.bytes().subspan(front), sealed.begin());
  const noise::Head head = *noise::read_head(first.packet.data);
  if (!response->flight_key().open(head.counter, first.packet.bytes().first(front), sealed))
    return std::nullopt;
  const auto segment = first_segment(sealed.first(sealed.size() - noise::kTagSize));
  if (!segment) return std::nullopt;
  if (!admits(*response)) {
    --counters_.forged;
    return std::nullopt;
  }
  const auto answer = response->answer(fresh_key());
  if (!answer) return std::nullopt;
  --counters_.forged;
  return Authentic{segment->conv, *response, *answer, head.aes};
}

}  // namespace kcptun
