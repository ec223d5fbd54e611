// The state of a process's tunnels at one moment: plain values, copied from the engines.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/base/settings.h"
#include "daemon/metrics/counters.h"
#include "daemon/metrics/peer_state.h"
#include "daemon/metrics/traffic.h"

namespace kcptun {

/// Bounds on rows limit the size of pages and of time-series databases. The rows with the most bytes come
/// first, and the omitted ones are counted.
inline constexpr std::size_t kMaxSessionRows = 100;  // of a process
inline constexpr std::size_t kMaxStreamRows = 32;    // of a session

struct StreamSnapshot {
  std::uint32_t sid = 0;
  Traffic traffic;
  std::uint64_t waiting_bytes = 0;  // received but not yet accepted by the local connection
};

/// One session. Unknown values are nullopt. fields.h has the names of its fields.
struct SessionSnapshot {
  std::uint32_t conv = 0;
  std::string remote;  // address of the peer
  std::string user;    // of a server's; "": it has no users
  PeerSnapshot peer;
  std::size_t loop = 0;  // number of its thread
  Traffic traffic;
  std::uint64_t streams = 0;
  bool saturated = false;  // bulk data fills it

  std::optional<double> round_trip, round_trip_minimum, round_trip_variation,
      retransmission_timeout;               // seconds
  std::optional<double> delivery_rate;      // bytes per second, measured by the congestion controller
  std::optional<double> pacing_rate;        // bytes per second; none: not paced
  std::optional<double> congestion_window;  // bytes; none: no limit
  std::optional<double> loss_ratio;         // 0..1; the sender's estimate for the path

  std::uint64_t segments_sent = 0, segments_received = 0, segments_retransmitted = 0, segments_lost = 0;
  std::uint64_t segments_found_again = 0, segments_repeated = 0;
  std::uint64_t segments_copied = 0;
  bool thin = false;  // what the session sends leaves in several copies
  std::uint64_t send_window = 0, receive_window = 0, peer_window = 0;  // segments
  std::uint64_t send_queue = 0, in_flight = 0, receive_queue = 0;      // segments
  std::uint64_t unread_bytes = 0, unread_streams = 0;

  std::uint64_t packets_sent = 0, packets_received = 0;
  std::optional<double> packets_missing;  // of the peer's packets: did not arrive, or not yet
  std::uint64_t parity_sent = 0, parity_received = 0, fec_recovered = 0, fec_wasted = 0,
                fec_failed_groups = 0;
  std::optional<double> parity_ratio;  // 0..1; the share of parity in the packets sent

  std::vector<StreamSnapshot> open_streams;  // at most kMaxStreamRows
  std::uint64_t streams_left_out() const { return streams - open_streams.size(); }
};

/// One server of a client with several. fields.h has the names of its fields.
struct ServerSnapshot {
  std::string server;  // as configured in the profile
  bool healthy = false;
  bool chosen = false;               // the target of new sessions
  std::optional<double> round_trip;  // seconds
};

/// Whether any UDP socket lets the kernel cut and join datagrams.
struct OffloadUse {
  bool gso = false;
  bool gro = false;
};

/// One forward or reverse forward of a client. fields.h has the names of its fields.
struct ForwardSnapshot {
  std::string forward;  // where it listens, as configured: "tcp://127.0.0.1:5432", "reverse tcp://:8080"
  std::uint64_t connections = 0, refused = 0, flows = 0, refused_flows = 0;
  Traffic traffic;                  // of its connections and datagrams
  std::optional<double> listening;  // a reverse forward: 1 while the server listens, else 0
};

/// One user of a server. fields.h has the names of its fields.
struct UserSnapshot {
  std::string user;  // its name
  std::uint64_t sessions = 0;
  Traffic traffic;                              // of all its sessions, ended ones included
  std::optional<double> quota{}, quota_left{};  // in bytes, of the current period; none: it has no quota
};

/// One engine's share of a tunnel, or the sum of all shares.
struct TunnelSnapshot {
  std::string name;
  std::string local, remote;  // as configured in the profile
  PeerSnapshot peer;
  Counters counters;  // kcptun's counters
  Traffic traffic;    // of all sessions, ended ones included
  std::uint64_t sessions = 0, streams = 0;
  std::uint64_t requests = 0, denied_requests = 0;  // of a server's streams that name their target
  std::uint64_t flows = 0, refused_flows = 0, denied_datagrams = 0;                // a server's UDP
  std::uint64_t listeners = 0, accepted_connections = 0, refused_connections = 0;  // a server's, for clients
  std::optional<OffloadUse> offload;                                               // none without a socket
  std::vector<SessionSnapshot> open_sessions;                                      // at most kMaxSessionRows
  std::uint64_t sessions_left_out() const { return sessions - open_sessions.size(); }

  std::vector<ServerSnapshot> servers;    // empty with a single server, which is not checked
  std::vector<ForwardSnapshot> forwards;  // a client's; in the share of one engine only
  std::vector<UserSnapshot> users;        // a server's; the same ones in each share
  std::uint64_t refused_clients = 0;      // hellos of clients that no user admits

  /// Adds the other's values and rows. Both belong to the same tunnel. Call bound_rows() afterwards.
  void add(TunnelSnapshot other);
};

struct LoopSnapshot {
  std::size_t index = 0;
  double cpu_seconds = 0;  // of the engine's thread
};

struct ProcessSnapshot {
  Role role = Role::kClient;
  double time = 0;     // seconds since 1970, when the snapshot was taken
  double started = 0;  // seconds since 1970, when the process started
  double cpu_seconds = 0;
  std::uint64_t resident_bytes = 0;
  std::vector<LoopSnapshot> loops;
  std::vector<TunnelSnapshot> tunnels;

  /// Keeps the kMaxSessionRows sessions with the most traffic, over all tunnels.
  void bound_rows();
};

}  // namespace kcptun
