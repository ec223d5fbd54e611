// What is known of the peer: the state that the page, top, the status file and the service manager show.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace kcptun {

enum class PeerState : std::uint8_t {
  kWaiting,     // a server: no client has a session
  kConnecting,  // a client: the server has not answered yet, and still may
  kUnanswered,  // the peer has owed an answer for longer than a live one would
  kRefused,     // nobody listens there (ICMP, or a reset in tcp mode), or the peer ends each session at once
  kConnected,   // the peer answers
};

struct PeerSnapshot {
  PeerState state = PeerState::kWaiting;
  std::optional<double>
      since{};         // seconds since 1970; of kUnanswered and kRefused: when the first answer was owed
  std::string hint{};  // what to look at, as the log says it; empty: nothing is known

  bool failed() const { return state == PeerState::kUnanswered || state == PeerState::kRefused; }
};

/// "waiting", "connecting", "no answer", "refused", "connected".
std::string_view peer_state_name(PeerState state);
/// For people: the name, and for a failed peer the local time since when: "no answer since 14:03:12", with
/// the date before the time if that is not the day of `now`, in seconds since 1970.
std::string peer_text(const PeerSnapshot& peer, double now);

/// Of two parts of one tunnel: a part that has a live peer decides; else the one that knows more. Of two that
/// wait for an answer, the one that had its last answer later.
PeerSnapshot merge_parts(PeerSnapshot a, PeerSnapshot b);
/// Of two tunnels: the one that needs attention more.
PeerSnapshot merge_tunnels(PeerSnapshot a, PeerSnapshot b);

/// Now, in seconds since 1970.
double unix_time();

}  // namespace kcptun
