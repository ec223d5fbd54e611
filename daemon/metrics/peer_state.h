// The state of the peer, as the page, top, the status file and the service manager show it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace kcptun {

enum class PeerState : std::uint8_t {
  kWaiting,     // a server: no client has a session
  kConnecting,  // a client: the server has not answered yet, and still may
  kUnanswered,  // the peer has not answered for longer than a live peer takes
  kRefused,     // its port is closed (ICMP, or a reset in tcp mode), or the peer ends each session at once
  kConnected,   // the peer answers
};

struct PeerSnapshot {
  PeerState state = PeerState::kWaiting;
  // For kUnanswered and kRefused: the time of the first missing answer, in seconds since 1970.
  std::optional<double> since{};
  std::string hint{};  // what to check, with the text of the log's hint; empty if unknown

  bool failed() const { return state == PeerState::kUnanswered || state == PeerState::kRefused; }
};

/// Returns "waiting", "connecting", "no answer", "refused" or "connected".
std::string_view peer_state_name(PeerState state);
/// Text for users: the state's name, and for a failed peer the local time since which it has failed: "no
/// answer since 14:03:12". The time has a date if it is not on the day of `now`, which is in seconds since
/// 1970.
std::string peer_text(const PeerSnapshot& peer, double now);

/// Merges the states of two parts of one tunnel. The later enumerator wins, so one connected part is enough.
/// Of two equal states, the one with the later `since` wins.
PeerSnapshot merge_parts(PeerSnapshot a, PeerSnapshot b);
/// Merges the states of two tunnels: the more urgent one wins.
PeerSnapshot merge_tunnels(PeerSnapshot a, PeerSnapshot b);

/// The current time in seconds since 1970.
double unix_time();

}  // namespace kcptun
