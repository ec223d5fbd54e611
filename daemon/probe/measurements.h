// The measurements of a probe. Each runs on sessions of its own.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "config/profile.h"
#include "core/probe/reply_count.h"
#include "daemon/probe/probe_socket.h"

namespace kcptun {

/// The parameters for reaching one server.
struct ProbePeer {
  const Profile& profile;
  const TunnelKeys& keys;
  IpEndpoint remote;
};

struct Handshake {
  bool answered = false;
  std::uint64_t refusals = 0;  // ICMP errors
  std::uint64_t rejected = 0;  // packets that failed authentication with this key and cipher
  std::uint32_t window = 0;    // the server's receive window in segments
  Duration round_trip{0};
};

struct PathQuality {
  std::vector<Duration> round_trips;  // ascending
  Duration jitter{0};                 // mean difference of successive round trips
  LossCount up, down;
  std::optional<FecSettings> server_shards;
};

/// The settings that the server's smux session accepted.
struct StreamSettings {
  bool compress = false;
  std::uint32_t smux_version = 0;
  bool is_ours = false;  // true: a server of this project; false: kcptun in Go
};

struct Bandwidth {
  double bits_per_second = 0;  // of IP packets
  bool limited = false;        // false: the path carries at least this much
};

/// Waits for the first answers, for at most kGreetingTimeout.
Result<Handshake> greet(const ProbePeer& peer);
/// Tries the other ciphers with the same key. Returns the one that the server answers, or nothing. Takes
/// about 2 s. Each cipher sends fewer packets than the server needs to log a client with a wrong key.
Result<std::optional<Cipher>> find_cipher(const Profile& profile, const IpEndpoint& remote);
/// Sends trains of pings for `duration`. REQUIRES: the server answered and advertised `window`.
Result<PathQuality> measure_quality(const ProbePeer& peer, std::uint32_t window, Duration duration);
/// The largest UDP payload that reaches the server. `round_trip` is the longest round trip seen.
Result<std::uint32_t> measure_mtu(const ProbePeer& peer, Duration round_trip);
/// Doubles the rate until the path is full or the rate reaches `most` bytes per second.
Result<Bandwidth> measure_bandwidth(const ProbePeer& peer, std::uint32_t payload, std::uint64_t most,
                                    Duration round_trip);
/// Detects the server's compression and smux version; nothing if neither answer is conclusive.
Result<std::optional<StreamSettings>> detect_streams(const ProbePeer& peer, Duration round_trip);

/// Bytes of IP and UDP headers.
std::uint32_t ip_overhead(const IpEndpoint& remote);

}  // namespace kcptun
