// What a probe finds out about a path, step by step, each on sessions of its own.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "config/profile.h"
#include "core/crypt/suite.h"
#include "core/probe/reply_count.h"
#include "daemon/probe/probe_socket.h"

namespace kcptun {

/// Everything to reach one server with.
struct ProbePeer {
  const Profile& profile;
  const MasterKey& key;
  IpEndpoint remote;
};

struct Handshake {
  bool answered = false;
  std::uint64_t refusals = 0;  // ICMP errors
  std::uint64_t rejected = 0;  // packets that came but do not open with this key and cipher
  std::uint32_t window = 0;    // the server's receive window in segments
  Duration round_trip{0};
};

struct PathQuality {
  std::vector<Duration> round_trips;  // ascending
  Duration jitter{0};                 // mean difference of successive round trips
  LossCount up, down;
  std::optional<FecSettings> server_shards;
};

/// What the server's smux session took: nothing fits if neither did.
struct StreamSettings {
  bool compress = false;
  std::uint32_t smux_version = 0;
  bool is_ours = false;  // the server is a program of this project, else Go's
};

struct Bandwidth {
  double bits_per_second = 0;  // of IP packets
  bool limited = false;        // false: the path carries at least so much
};

/// At most kAnswerTimeout; ends with the first answers.
Result<Handshake> greet(const ProbePeer& peer);
/// Of the other ciphers, the one that the server answers with the same key; nothing if it answers none. For
/// about 2 s; each cipher costs the server fewer packets than make it suspect a client of another key.
Result<std::optional<Cipher>> find_cipher(const Profile& profile, const IpEndpoint& remote);
/// Trains of pings for `duration`. REQUIRES: the server answers and told `window`.
Result<PathQuality> measure_quality(const ProbePeer& peer, std::uint32_t window, Duration duration);
/// The largest UDP payload that arrives at the server. `round_trip`: the longest that was seen.
Result<std::uint32_t> measure_mtu(const ProbePeer& peer, Duration round_trip);
/// Doubles the rate up to `most` bytes per second until the path takes no more.
Result<Bandwidth> measure_bandwidth(const ProbePeer& peer, std::uint32_t payload, std::uint64_t most,
                                    Duration round_trip);
/// Which compression and smux version the server has; nothing if it cannot be told.
Result<std::optional<StreamSettings>> detect_streams(const ProbePeer& peer, Duration round_trip);

/// IP and UDP headers.
std::uint32_t ip_overhead(const IpEndpoint& remote);

}  // namespace kcptun
