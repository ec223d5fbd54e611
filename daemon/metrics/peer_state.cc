#include "daemon/metrics/peer_state.h"

#include <time.h>

#include <array>
#include <ctime>
#include <utility>

namespace kcptun {
namespace {

std::tm local_time(double seconds) {
  const auto whole = static_cast<std::time_t>(seconds);
  std::tm fields{};
  localtime_r(&whole, &fields);
  return fields;
}

// The order in which tunnels need attention.
int urgency(PeerState state) {
  switch (state) {
    case PeerState::kConnected:
      return 0;
    case PeerState::kWaiting:
      return 1;
    case PeerState::kConnecting:
      return 2;
    case PeerState::kUnanswered:
      return 3;
    case PeerState::kRefused:
      return 4;
  }
  return 0;
}

}  // namespace

std::string_view peer_state_name(PeerState state) {
  switch (state) {
    case PeerState::kWaiting:
      return "waiting";
    case PeerState::kConnecting:
      return "connecting";
    case PeerState::kUnanswered:
      return "no answer";
    case PeerState::kRefused:
      return "refused";
    case PeerState::kConnected:
      return "connected";
  }
  return "";
}

std::string peer_text(const PeerSnapshot& peer, double now) {
  std::string text(peer_state_name(peer.state));
  if (!peer.failed() || !peer.since) return text;
  const std::tm at = local_time(*peer.since), today = local_time(now);
  const bool same_day = at.tm_year == today.tm_year && at.tm_yday == today.tm_yday;
  std::array<char, 64> time;
  time[std::strftime(time.data(), time.size() - 1, same_day ? "%H:%M:%S" : "%Y-%m-%d %H:%M:%S", &at)] = '\0';
  return text.append(" since ").append(time.data());
}

PeerSnapshot merge_parts(PeerSnapshot a, PeerSnapshot b) {
  if (a.state == b.state) return a.since.value_or(0) < b.since.value_or(0) ? std::move(b) : std::move(a);
  return a.state < b.state ? std::move(b) : std::move(a);  // by the order of the enumerators
}

PeerSnapshot merge_tunnels(PeerSnapshot a, PeerSnapshot b) {
  return urgency(a.state) < urgency(b.state) ? std::move(b) : std::move(a);
}

double unix_time() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

}  // namespace kcptun
