#include "core/noise/initiation.h"

#include <algorithm>
#include <string_view>

namespace kcptun::noise {
namespace {

constexpr std::string_view kPrologue = "kcptun-uv noise 1";

MutableBytes copy_to(std::array<std::uint8_t, kMaxMessage1Size>& to, Bytes bytes) {
  std::ranges::copy(bytes, to.begin());
  return MutableBytes(to).first(bytes.size());
}

}  // namespace

Handshake make_handshake(Role role, const Credentials& credentials, std::uint64_t session,
                         const KeyPair& ephemeral) {
  std::array<std::uint8_t, kPrologue.size() + sizeof session> prologue;
  std::ranges::copy(kPrologue, prologue.begin());
  store_u64(prologue.data() + kPrologue.size(), session);
  return {
      role, credentials.pattern, prologue,
      HandshakeKeys{credentials.shared.psk, ephemeral, credentials.local_static, credentials.remote_static}};
}

std::optional<Initiation> Initiation::begin(const Credentials& credentials, std::uint64_t session,
                                            const SecretKey& ephemeral) {
  Handshake handshake = make_handshake(Role::kClient, credentials, session, KeyPair::of(ephemeral));
  std::array<std::uint8_t, kMaxMessage1Size> buffer;
  const MutableBytes message1 = MutableBytes(buffer).first(handshake.message_size(0));
  if (!handshake.write({}, message1)) return std::nullopt;
  return Initiation(handshake, message1);
}

std::optional<SymmetricState::Split> Initiation::complete(Bytes message2) const {
  std::array<std::uint8_t, kMaxMessage1Size> copy;  // reading changes the message
  if (message2.size() != kMessage2Size) return std::nullopt;
  Handshake attempt = handshake_;
  if (!attempt.read(copy_to(copy, message2))) return std::nullopt;
  return attempt.split();
}

std::optional<Response> Response::begin(const Credentials& credentials, std::uint64_t session,
                                        Bytes message1) {
  if (message1.size() > kMaxMessage1Size) return std::nullopt;
  Handshake handshake = make_handshake(Role::kServer, credentials, session, KeyPair{});
  std::array<std::uint8_t, kMaxMessage1Size> copy;  // reading changes the message
  if (!handshake.read(copy_to(copy, message1))) return std::nullopt;
  return Response(handshake, session, message1);
}

std::optional<Response::Answer> Response::answer(const SecretKey& ephemeral) {
  handshake_.set_ephemeral(KeyPair::of(ephemeral));
  Message2 message2;
  if (!handshake_.write({}, message2)) return std::nullopt;
  return Answer{message2, handshake_.split()};
}

}  // namespace kcptun::noise
