// One end of one session under the suite noise: its handshake, its keys, and what stands around its packets'
// bodies (docs/develop/protocol.md section 15, "The course of a session").
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "core/base/packet.h"
#include "core/base/secret_source.h"
#include "core/base/settings.h"
#include "core/base/time.h"
#include "core/crypt/session_header.h"
#include "core/link/anti_replay.h"
#include "core/noise/cookie.h"
#include "core/noise/credentials.h"
#include "core/noise/initiation.h"
#include "core/noise/packet.h"
#include "core/noise/session_keys.h"

namespace kcptun {

/// Attaches the handshake to packets until the peer has shown that it has it, and holds no more keys than the
/// section allows. AntiReplay numbers the packets and decides which are fresh; the suite masks them. A packet
/// that fails changes nothing but a counter.
class NoiseSession {
 public:
  struct Counters {
    std::uint64_t forged = 0;      // packets: wrong tag, epoch or handshake message
    std::uint64_t unexpected = 0;  // packets: a kind that this end does not take now
  };
  /// How long a server takes hellos after the first data packet.
  static constexpr Duration kKeepFlightKey = seconds(10);

  /// A client's. `credentials` and `secrets` outlive the session.
  NoiseSession(const noise::Credentials& credentials, SecretSource& secrets, std::uint64_t session);
  /// A server's, opened by an authentic message 1.
  struct Opened {
    const noise::Response& response;
    const noise::Response::Answer& answer;
    bool aes_offered;  // by the hello
  };
  NoiseSession(const noise::Credentials& credentials, const Opened& opened, TimePoint now);

  // --- sending ---

  /// Bytes of the next packet before its body.
  std::size_t header_size() const;
  /// The header of a packet that is sent as long as the handshake lasts, minus that of a data packet.
  std::size_t handshake_part() const { return header_size() - noise::kHeadSize; }
  /// Writes the next packet's header. REQUIRES: the packet was laid out with header_size().
  void stamp(const SessionHeader& header, TimePoint now, const Packet& packet);
  /// Seals stamped packets. Their bodies are not read afterwards.
  void seal(TimePoint now, std::span<const Packet> packets);
  /// The next packet becomes a probe: a hello that only a server without this session answers.
  /// REQUIRES: a client, and established().
  void begin_probe();

  // --- receiving ---

  /// The body of an unmasked packet if it is fresh and authentic; then it counts as seen. Otherwise empty.
  MutableBytes take(TimePoint now, const Packet& packet, AntiReplay& anti_replay);

  // --- time ---

  std::optional<TimePoint> next_timeout() const;
  /// Wipes what has served its time.
  void handle_timeout(TimePoint now);
  /// Frees what the next packet can make again.
  void trim();

  // --- getters ---

  /// True once the peer has shown that it has the handshake: this end sends data packets.
  bool established() const { return role_ == Role::kClient ? !initiation_ : confirmed_; }
  /// The server has answered a probe, so it does not have this session.
  bool forgotten() const { return forgotten_; }
  /// Data packets are sealed with AES-256-GCM. False until the ends have chosen.
  bool uses_aes() const { return aes_; }
  const Counters& counters() const { return counters_; }

 private:
  using Body = std::optional<MutableBytes>;
  struct Parts;

  noise::Kind next_kind() const;
  const noise::CipherState& own_flight_key() const;
  void write_hello_part(MutableBytes part, const SessionHeader& header, TimePoint now);
  void handle_cookie(TimePoint now, const Packet& packet);
  void handle_probe_answer(TimePoint now, const Parts& parts);
  Body open(TimePoint now, const Parts& parts);
  Body open_first_answer(TimePoint now, const Parts& parts);
  Body open_hello(const Parts& parts) const;
  /// The keys of what the server sends, if this answer opens with them.
  std::optional<noise::ReceivingKeys> keys_that_open(TimePoint now, const Parts& answer,
                                                     const noise::SecretKey& key) const;
  bool offers_aes() const { return credentials_.aes_gcm != nullptr; }
  noise::MakeDataCipher cipher(bool aes) const { return aes ? credentials_.aes_gcm : nullptr; }
  void confirm(TimePoint now);

  const Role role_;
  const noise::Credentials& credentials_;
  SecretSource* const secrets_;  // a client's
  const std::uint64_t session_;
  bool aes_ = false;                               // chosen by the server
  std::optional<noise::SendingKey> sending_;       // none before the answer
  std::optional<noise::ReceivingKeys> receiving_;  // none before the answer

  // A client's.
  std::optional<noise::Initiation> initiation_;  // until the answer
  std::optional<noise::Initiation> probe_;       // while the server is suspected
  bool probe_next_ = false;
  bool forgotten_ = false;
  std::optional<noise::Cookie> cookie_;
  TimePoint forget_cookie_at_{};

  // A server's.
  std::optional<noise::Message1> opened_by_;       // while hellos are taken
  std::optional<noise::CipherState> flight_key_;   // the same
  std::optional<TimePoint> forget_flight_key_at_;  // from the first data packet on
  noise::Message2 message2_{};
  bool confirmed_ = false;

  Counters counters_;
};

}  // namespace kcptun
