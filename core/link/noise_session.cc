#include "core/link/noise_session.h"

#include <algorithm>
#include <array>
#include <utility>

#include "core/base/check.h"

namespace kcptun {

using noise::handshake_part_size;
using noise::Head;
using noise::Initiation;
using noise::kHeadSize;
using noise::Kind;

/// An unmasked packet. The suite has checked that it has room for all of them.
struct NoiseSession::Parts {
  Parts(const Packet& packet, noise::Pattern pattern) : head(*noise::read_head(packet.data)) {
    const std::size_t front = kHeadSize + handshake_part_size(head.kind, pattern);
    associated = packet.bytes().first(front);
    handshake = packet.bytes().subspan(kHeadSize, front - kHeadSize);
    sealed = packet.bytes().subspan(front);
  }
  MutableBytes body() const { return sealed.first(sealed.size() - noise::kTagSize); }

  Head head;
  Bytes associated;
  MutableBytes handshake;
  MutableBytes sealed;  // body and tag
};

namespace {

noise::SecretKey fresh_key(SecretSource& secrets) {
  noise::SecretKey key;
  secrets.fill(key.writable());
  return key;
}

// Of a hello that the suite has unmasked: its time stands first, its message behind it.
std::uint32_t hello_time(Bytes part) { return load_u32(part.data()); }
Bytes hello_message(Bytes part) {
  return part.subspan(noise::kHelloTimeSize, part.size() - noise::kHelloTimeSize - 2 * noise::kMacSize);
}

}  // namespace

NoiseSession::NoiseSession(const noise::Credentials& credentials, SecretSource& secrets,
                           std::uint64_t session)
    : role_(Role::kClient),
      credentials_(credentials),
      secrets_(&secrets),
      session_(session),
      initiation_(Initiation::begin(credentials, session, fresh_key(secrets))) {
  KCPTUN_CHECK(initiation_.has_value());  // the configuration refuses worthless public keys
}

NoiseSession::NoiseSession(const noise::Credentials& credentials, const Opened& opened, TimePoint now)
    : role_(Role::kServer),
      credentials_(credentials),
      secrets_(nullptr),
      session_(opened.response.session()),
      aes_(opened.aes_offered && offers_aes()),
      sending_(std::in_place, opened.answer.keys.responder, cipher(aes_), now),
      receiving_(std::in_place, opened.answer.keys.initiator, cipher(aes_)),
      opened_by_(opened.response.message1()),
      flight_key_(opened.response.flight_key()),
      message2_(opened.answer.message2) {}

// --- sending ---

Kind NoiseSession::next_kind() const {
  if (role_ == Role::kServer) return confirmed_ ? Kind::kData : Kind::kAnswer;
  return initiation_ || probe_next_ ? Kind::kHello : Kind::kData;
}

std::size_t NoiseSession::header_size() const {
  return kHeadSize + handshake_part_size(next_kind(), credentials_.pattern);
}

void NoiseSession::begin_probe() {
  KCPTUN_CHECK(role_ == Role::kClient && established());
  if (!probe_) probe_ = Initiation::begin(credentials_, session_, fresh_key(*secrets_));
  probe_next_ = true;
}

// The epoch follows with seal(): the key may be renewed between two packets of a batch.
void NoiseSession::stamp(const SessionHeader& header, TimePoint now, const Packet& packet) {
  const Kind kind = next_kind();
  noise::write_head(packet.data,
                    {session_, header.counter, 0, kind, kind == Kind::kHello ? offers_aes() : aes_});
  const MutableBytes part =
      packet.bytes().subspan(kHeadSize, handshake_part_size(kind, credentials_.pattern));
  if (kind == Kind::kHello) write_hello_part(part, header, now);
  if (kind == Kind::kAnswer) std::ranges::copy(message2_, part.begin());
  probe_next_ = false;
}

void NoiseSession::write_hello_part(MutableBytes part, const SessionHeader& header, TimePoint now) {
  const Bytes message = probe_next_ ? probe_->message1() : initiation_->message1();
  std::array<std::uint8_t, noise::kMaxMessage1Size> copy;
  std::ranges::copy(message, copy.begin());
  noise::Hello hello;
  hello.time = header.time;
  hello.message = MutableBytes(copy).first(message.size());
  if (cookie_ && now >= forget_cookie_at_) cookie_.reset();
  noise::write_hello(part, session_, hello, credentials_.shared.mac, cookie_ ? &*cookie_ : nullptr);
}

const noise::CipherState& NoiseSession::own_flight_key() const {
  return (initiation_ ? initiation_ : probe_)->flight_key();
}

void NoiseSession::seal(TimePoint now, std::span<const Packet> packets) {
  for (const Packet& packet : packets) {
    Head head = *noise::read_head(packet.data);
    if (head.kind != Kind::kHello) {
      head.epoch = sending_->prepare(now);
      noise::write_head(packet.data, head);
    }
    const Parts parts(packet, credentials_.pattern);
    if (head.kind == Kind::kHello) {
      own_flight_key().seal(head.counter, parts.associated, parts.sealed);
    } else {
      sending_->seal(head.counter, parts.associated, parts.sealed);
    }
  }
}

// --- receiving ---

MutableBytes NoiseSession::take(TimePoint now, const Packet& packet, AntiReplay& anti_replay) {
  if (packet.size < kHeadSize + noise::kTagSize) return {};
  const Parts parts(packet, credentials_.pattern);
  const Kind kind = parts.head.kind;
  const bool from_client = kind == Kind::kHello || (kind == Kind::kData && role_ == Role::kServer);
  SessionHeader header{parts.head.session, parts.head.counter, from_client ? Role::kClient : Role::kServer,
                       0};
  if (kind == Kind::kHello) header.time = hello_time(parts.handshake);
  if (role_ == Role::kClient && header.session == session_) {
    if (kind == Kind::kCookie) return handle_cookie(now, packet), MutableBytes();
    // Its counter is that of a session that has just begun.
    if (kind == Kind::kAnswer && probe_) handle_probe_answer(now, parts);
    if (forgotten_) return {};
  }
  if (!anti_replay.admit(header)) return {};
  const Body body = open(now, parts);
  if (!body) return {};
  anti_replay.mark(header);
  return *body;
}

NoiseSession::Body NoiseSession::open(TimePoint now, const Parts& parts) {
  const auto [head, associated, handshake, sealed] = parts;
  if (head.kind == Kind::kCookie || (head.kind == Kind::kData && !receiving_)) {
    ++counters_.unexpected;
    return std::nullopt;
  }
  if (head.kind == Kind::kHello) {
    const Body body = open_hello(parts);
    if (!body) ++counters_.unexpected;
    return body;
  }
  if (!receiving_) return open_first_answer(now, parts);
  if (head.aes != aes_ || !receiving_->open(now, head.epoch, head.counter, associated, sealed)) {
    ++counters_.forged;
    return std::nullopt;
  }
  if (role_ == Role::kServer) confirm(now);
  if (head.kind == Kind::kData) probe_.reset();  // the server has the session
  return parts.body();
}

std::optional<noise::ReceivingKeys> NoiseSession::keys_that_open(TimePoint now, const Parts& answer,
                                                                 const noise::SecretKey& key) const {
  const Head& head = answer.head;
  if (head.aes && !offers_aes()) return std::nullopt;
  noise::ReceivingKeys keys(key, cipher(head.aes));
  if (!keys.open(now, head.epoch, head.counter, answer.associated, answer.sealed)) return std::nullopt;
  return keys;
}

// The keys count only if they open the body too.
NoiseSession::Body NoiseSession::open_first_answer(TimePoint now, const Parts& parts) {
  const auto keys = initiation_->complete(parts.handshake);
  if (!keys) {
    ++counters_.forged;
    return std::nullopt;
  }
  receiving_ = keys_that_open(now, parts, keys->responder);
  if (!receiving_) {
    ++counters_.forged;
    return std::nullopt;
  }
  aes_ = parts.head.aes;
  sending_.emplace(keys->initiator, cipher(aes_), now);
  initiation_.reset();
  return parts.body();
}

// A hello must repeat the message that opened the session.
NoiseSession::Body NoiseSession::open_hello(const Parts& parts) const {
  if (!flight_key_ || parts.head.epoch != 0) return std::nullopt;
  if (!std::ranges::equal(hello_message(parts.handshake), opened_by_->bytes())) return std::nullopt;
  if (!flight_key_->open(parts.head.counter, parts.associated, parts.sealed)) return std::nullopt;
  return parts.body();
}

void NoiseSession::confirm(TimePoint now) {
  if (std::exchange(confirmed_, true)) return;
  forget_flight_key_at_ = now + kKeepFlightKey;
}

void NoiseSession::handle_cookie(TimePoint now, const Packet& packet) {
  const std::optional<Initiation>& asking = initiation_ ? initiation_ : probe_;
  if (!asking) {
    ++counters_.unexpected;
    return;
  }
  const auto cookie =
      noise::open_cookie(credentials_.shared.cookie, {session_, asking->message1()}, packet.bytes());
  if (!cookie) {
    ++counters_.forged;
    return;
  }
  cookie_ = cookie;
  forget_cookie_at_ = now + noise::kCookieLife;
}

// Proved by the body's tag, as with any answer. The body is of no session of this end.
void NoiseSession::handle_probe_answer(TimePoint now, const Parts& parts) {
  const auto keys = probe_->complete(parts.handshake);
  if (!keys) return;
  forgotten_ = keys_that_open(now, parts, keys->responder).has_value();
}

// --- time ---

std::optional<TimePoint> NoiseSession::next_timeout() const {
  return earliest(forget_flight_key_at_, receiving_ ? receiving_->next_timeout() : std::nullopt);
}

void NoiseSession::handle_timeout(TimePoint now) {
  if (receiving_) receiving_->handle_timeout(now);
  if (!forget_flight_key_at_ || now < *forget_flight_key_at_) return;
  forget_flight_key_at_.reset();
  flight_key_.reset();
  opened_by_.reset();
}

void NoiseSession::trim() {
  if (sending_) sending_->trim();
  if (receiving_) receiving_->trim();
}

}  // namespace kcptun
