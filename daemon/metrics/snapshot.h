// What the tunnels of a process look like at one moment: plain values, copied out of the loops.
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

/// Rows are bounded, so that neither a page nor a time-series store drowns: those that moved most bytes come
/// first, and what was left out is counted.
inline constexpr std::size_t kMaxSessionRows = 100;  // of a process
inline constexpr std::size_t kMaxStreamRows = 32;    // of a session

struct StreamSnapshot {
  std::uint32_t sid = 0;
  Traffic traffic;
  std::uint64_t waiting_bytes = 0;  // that the connection at this end has not taken yet
};

/// One conversation. What is not known yet is none. The names of its fields stand in fields.h.
struct SessionSnapshot {
  std::uint32_t conv = 0;
  std::string remote;    // address of the peer
  PeerSnapshot peer;
  std::size_t loop = 0;  // number of its thread
  Traffic traffic;
  std::uint64_t streams = 0;

  std::optional<double> round_trip, round_trip_minimum, round_trip_variation,
      retransmission_timeout;               // seconds
  std::optional<double> delivery_rate;      // bytes per second, as the congestion controller measures it
  std::optional<double> pacing_rate;        // bytes per second, none: not paced
  std::optional<double> congestion_window;  // bytes, none: no limit
  std::optional<double> loss_ratio;         // 0..1, as the sender estimates the path's

  std::uint64_t segments_sent = 0, segments_received = 0, segments_retransmitted = 0, segments_lost = 0;
  std::uint64_t segments_found_again = 0, segments_repeated = 0;
  std::uint64_t send_window = 0, receive_window = 0, peer_window = 0;  // segments
  std::uint64_t send_queue = 0, in_flight = 0, receive_queue = 0;      // segments
  std::uint64_t unread_bytes = 0, unread_streams = 0;

  std::uint64_t packets_sent = 0, packets_received = 0;
  std::optional<double> packets_missing;  // of the peer's packets: did not arrive, or not yet
  std::uint64_t parity_sent = 0, parity_received = 0, fec_recovered = 0, fec_wasted = 0,
                fec_failed_groups = 0;
  std::optional<double> parity_ratio;  // 0..1: parity among the packets sent

  std::vector<StreamSnapshot> open_streams;  // at most kMaxStreamRows
  std::uint64_t streams_left_out() const { return streams - open_streams.size(); }
};

/// One of several servers of a client. The names of its fields stand in fields.h.
struct ServerSnapshot {
  std::string server;  // as the profile has it
  bool healthy = false;
  bool chosen = false;  // new sessions go there
  std::optional<double> round_trip;  // seconds
};

/// One loop's share of a tunnel, or all of them added up.
struct TunnelSnapshot {
  std::string name;
  std::string local, remote;  // as the profile has them
  PeerSnapshot peer;
  Counters counters;          // kcptun's
  Traffic traffic;            // of all sessions, past ones too
  std::uint64_t sessions = 0, streams = 0;
  std::vector<SessionSnapshot> open_sessions;  // at most kMaxSessionRows
  std::uint64_t sessions_left_out() const { return sessions - open_sessions.size(); }

  std::vector<ServerSnapshot> servers;         // empty where there is one, which nobody checks

  /// Takes over the other's numbers and rows; the name is of the same tunnel. Keep the rows within bounds
  /// afterwards.
  void add(TunnelSnapshot other);
};

struct LoopSnapshot {
  std::size_t index = 0;
  double cpu_seconds = 0;  // of its thread
};

struct ProcessSnapshot {
  Role role = Role::kClient;
  double time = 0;     // seconds since 1970, when it was gathered
  double started = 0;  // the same, of the start
  double cpu_seconds = 0;
  std::uint64_t resident_bytes = 0;
  std::vector<LoopSnapshot> loops;
  std::vector<TunnelSnapshot> tunnels;

  /// Leaves the kMaxSessionRows sessions of all tunnels that moved most.
  void bound_rows();
};

}  // namespace kcptun
