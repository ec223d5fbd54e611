// The user's settings of a session, as plain values with kcptun's defaults, and the tables of names. config
// parses and validates them; core applies them and aborts on invalid values.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "core/base/time.h"

namespace kcptun {

/// The end of the tunnel: clients open sessions and streams, servers accept them.
enum class Role : std::uint8_t { kClient, kServer };

/// docs/develop/protocol.md section 3.
enum class Cipher : std::uint8_t {
  kAes,
  kAes128,
  kAes192,
  kSm4,
  kTwofish,
  kBlowfish,
  kCast5,
  kTripleDes,
  kTea,
  kXtea,
  kSalsa20,
  kXor,
  kNone,
  kAes128Gcm,
  kNull,
  kXChaCha20Poly1305,
  kNoise,
};
struct CipherName {
  std::string_view name;
  Cipher cipher;
};
inline constexpr std::array<CipherName, 17> kCipherNames{{
    {"aes", Cipher::kAes},
    {"aes-128", Cipher::kAes128},
    {"aes-192", Cipher::kAes192},
    {"sm4", Cipher::kSm4},
    {"twofish", Cipher::kTwofish},
    {"blowfish", Cipher::kBlowfish},
    {"cast5", Cipher::kCast5},
    {"3des", Cipher::kTripleDes},
    {"tea", Cipher::kTea},
    {"xtea", Cipher::kXtea},
    {"salsa20", Cipher::kSalsa20},
    {"xor", Cipher::kXor},
    {"none", Cipher::kNone},
    {"aes-128-gcm", Cipher::kAes128Gcm},
    {"null", Cipher::kNull},
    {"xchacha20-poly1305", Cipher::kXChaCha20Poly1305},  // between programs of this project only
    {"noise", Cipher::kNoise},                           // the same
}};
/// Those whose Suite seals and opens packets without a session: all but the last.
inline constexpr auto kStandaloneCipherNames = std::span(kCipherNames).first<kCipherNames.size() - 1>();

/// The suites of this project, which need kcptun-uv at both ends. Their keys come from the password by
/// Argon2id.
constexpr bool is_own_suite(Cipher cipher) {
  return cipher == Cipher::kXChaCha20Poly1305 || cipher == Cipher::kNoise;
}

/// What a key begins with whose rest is 256 random bits in base64url, as --genkey prints them: a suite that
/// would stretch a password takes it as it is (docs/develop/protocol.md section 11).
inline constexpr std::string_view kRawKeyPrefix = "raw256:";

/// A congestion controller by its name: that of a row of core/kcp/congestion_table.h. The name has static
/// storage.
struct Congestion {
  std::string_view name;

  bool operator==(const Congestion&) const = default;
  static const Congestion kAuto;  // BBR where nc is 1, KCP's own controller where it is 0
  static const Congestion kOff;
};
inline constexpr Congestion Congestion::kAuto{"auto"};
inline constexpr Congestion Congestion::kOff{"off"};

/// In segments. Maximum of a window that follows the path: 24 MiB of the largest segments, per session and
/// direction.
inline constexpr std::uint32_t kMaxFollowingWindow = 16384;

/// Timing parameters of KCP with kcptun's meaning (docs/develop/protocol.md section 5).
struct KcpTuning {
  bool nodelay = false;  // lower minimum RTO and additive back-off
  // Maximum delay of data and ACKs; this program sends both immediately.
  Duration interval = milliseconds(30);
  std::uint32_t resend = 2;           // fast retransmit after this many later acknowledgements; 0: off
  bool no_congestion_control = true;  // nc 1
  Congestion congestion = Congestion::kAuto;
  std::uint64_t rate =
      0;  // bytes per second that the session may send, for controllers that need a rate; 0: no limit
};
struct ModePreset {
  std::string_view name;
  KcpTuning tuning;
};
inline constexpr std::array<ModePreset, 4> kModePresets{{
    {"normal", {false, milliseconds(40), 2, true}},
    {"fast", {false, milliseconds(30), 2, true}},
    {"fast2", {true, milliseconds(20), 2, true}},
    {"fast3", {true, milliseconds(10), 2, true}},
}};

/// Whether sessions that send little send it up to three times (core/kcp/redundancy_policy.h).
enum class ThinMode : std::uint8_t {
  kOff,
  kAuto,  // where the path is not known to lose nothing, and is long enough
  kOn,    // on any path
};

struct KcpSettings {
  KcpTuning tuning;
  std::uint32_t mtu = 1350;            // UDP payload, including crypto and FEC headers
  bool find_mtu = false;               // searches for the path MTU (core/link/path_mtu.h) and ignores `mtu`
  std::uint32_t send_window = 128;     // segments
  std::uint32_t receive_window = 512;  // segments
  // In segments. Limit up to which the windows follow the path; 0: fixed windows.
  std::uint32_t max_send_window = 0;
  std::uint32_t max_receive_window = 0;
  ThinMode thin = ThinMode::kAuto;
  bool ack_nodelay = false;  // accepted for compatibility: acknowledgements always leave with the batch
};

struct FecSettings {
  std::uint32_t data_shards = 10;
  std::uint32_t parity_shards = 3;
  bool enabled() const { return data_shards > 0 && parity_shards > 0; }
};
/// Data plus parity shards of a group (docs/develop/protocol.md section 4: GF(2^8)).
inline constexpr std::uint32_t kMaxShards = 256;

struct SmuxSettings {
  std::uint32_t version = 2;
  Duration keepalive = seconds(10);
  Duration dead_after = seconds(30);  // the session ends if no packet arrives for this long
  std::uint32_t frame_size = 8192;    // maximum payload of a PSH frame sent
  // smuxbuf: bytes received and not yet read, over all streams (ReceiveBudget)
  std::uint64_t receive_buffer = 4194304;
  std::uint32_t stream_buffer = 2097152;  // streambuf: the same per stream; version 2 only
  bool buffers_follow_window = false;     // both grow with the receive window (Smux::fit_buffers())
  std::uint32_t max_streams = 65536;      // concurrently open streams of a session; further SYNs are rejected
  // Capability bits that this end announces to a peer of this project (core/smux/capabilities.h).
  std::uint32_t capabilities = 0;
};

struct LinkSettings {
  KcpSettings kcp;
  FecSettings fec;
  bool adaptive_parity = true;  // omits parity packets that do not help; false: sends all
  SmuxSettings smux;
  bool compress = true;
  std::uint64_t rate_limit = 0;  // UDP payload bytes sent per second; 0: unlimited
};

}  // namespace kcptun
