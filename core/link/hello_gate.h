// What a server does with the hello of a session that is not open (docs/develop/protocol.md section 15,
// "Receiving", step 4, and "Under load").
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "core/base/packet.h"
#include "core/base/path.h"
#include "core/base/secret_source.h"
#include "core/base/time.h"
#include "core/link/noise_session.h"
#include "core/noise/cookie.h"
#include "core/noise/credentials.h"
#include "core/noise/packet.h"

namespace kcptun {

/// The clients that a server admits under IKpsk2, by their static public keys.
class ClientPolicy {
 public:
  virtual ~ClientPolicy() = default;
  virtual bool admits(const noise::PublicKey& client) const = 0;
};

/// Keeps nothing of a hello. What it computes is bounded by kMaxMessages: beyond that, only clients that
/// receive at their address get their messages read.
class HelloGate {
 public:
  /// Messages 1 that are read within kInterval before cookies are asked for. Reading one and answering it
  /// costs two key agreements, about 100 us; so this is a tenth of a core's time.
  static constexpr std::uint32_t kMaxMessages = 1000;
  static constexpr Duration kInterval = seconds(1);

  struct Counters {
    std::uint64_t forged = 0;        // hellos of holders of the shared key that fail behind mac1
    std::uint64_t cookies = 0;       // sent
    std::uint64_t not_admitted = 0;  // authentic hellos of clients that the policy refuses
  };
  /// An unmasked hello whose mac1 is right.
  struct FirstHello {
    std::uint64_t session = 0;
    noise::Hello hello;
    Packet packet;
  };
  /// A hello that may open its session.
  struct Authentic {
    std::uint32_t conv = 0;
    noise::Response response;
    noise::Response::Answer answer;
    bool aes_offered = false;
  };

  /// All outlive the gate. `clients` decides under IKpsk2; null admits everyone.
  HelloGate(const noise::Credentials& credentials, SecretSource& secrets, const ClientPolicy* clients)
      : credentials_(credentials), secrets_(secrets), clients_(clients) {}

  /// None if the packet is not a hello, or if its mac1 is wrong.
  std::optional<FirstHello> read(const Packet& packet) const;
  /// A cookie to send to `from` instead of reading on, if the gate is under load and the hello has none.
  std::optional<noise::CookiePacket> demand_cookie(TimePoint now, const IpEndpoint& from,
                                                   const FirstHello& first);
  /// Reads message 1 and the conv in the body; leaves the packet as it is.
  std::optional<Authentic> authenticate(TimePoint now, const FirstHello& first);
  std::unique_ptr<NoiseSession> open(TimePoint now, const Authentic& authentic) const {
    return std::make_unique<NoiseSession>(
        credentials_, NoiseSession::Opened{authentic.response, authentic.answer, authentic.aes_offered}, now);
  }

  const Counters& counters() const { return counters_; }

 private:
  bool under_load(TimePoint now);
  void renew_secret(TimePoint now);
  noise::SecretKey fresh_key();

  bool admits(const noise::Response& response);

  const noise::Credentials& credentials_;
  SecretSource& secrets_;
  const ClientPolicy* const clients_;
  TimePoint interval_began_{};
  std::uint32_t messages_ = 0;  // read in this interval
  struct Secret {
    noise::SecretKey key;
    TimePoint made_at;
  };
  std::optional<Secret> secret_;    // of cookies; none before the first load
  std::optional<Secret> previous_;  // the one before
  Counters counters_;
};

}  // namespace kcptun
