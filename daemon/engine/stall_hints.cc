#include "daemon/engine/stall_hints.h"

#include <fmt/format.h>

#include "daemon/log/log.h"

namespace kcptun {
namespace {

bool lasts(const std::optional<TimePoint>& since, TimePoint now) {
  return since && now - *since >= kStallThreshold;
}

std::string explain_session_stall(const Link& link, const Profile& profile) {
  const StreamStalls& stalls = link.smux().stalls();
  const ReceiveBudget& budget = link.smux().budget();
  const std::string where =
      fmt::format("session {} is stalled with all its {} streams: stream {} is not read", hex_id(link.conv()),
                  link.smux().streams(), stalls.max_sid);
  if (link.smux().version() == 1 && budget.held() >= budget.limit()) {
    return fmt::format(
        "{}, and smux version 1 has one buffer for all of them, which is full (smuxbuf {}): smuxver 2 at "
        "both ends lets the others continue; with version 1 a larger smuxbuf or more conn delays this",
        where, profile.link.smux.receive_buffer);
  }
  return fmt::format("{}, and the memory for unread bytes is used up: see memory, then streambuf and smuxbuf",
                     where);
}

std::string explain_peer(const Link& link, const Profile& profile) {
  return fmt::format(
      "{} answers, but has taken no data of session {} for {} s, so its {} streams are stalled: applications "
      "behind it do not read, and its buffer for all streams is full; see smuxbuf there, and smuxver (here "
      "{})",
      profile.role == Role::kClient ? "the server" : "the client", hex_id(link.conv()),
      std::chrono::duration_cast<seconds>(kStallThreshold).count(), link.smux().streams(),
      link.smux().version());
}

}  // namespace

bool stall_hint_applies(Hint hint, const Link& link, TimePoint now) {
  const Smux& smux = link.smux();
  switch (hint) {
    case Hint::kSessionStalled:
      return smux.streams() > 1 && smux.stalls().streams > 0 && lasts(smux.stalls().stalled_since, now);
    case Hint::kPeerStalled:
      return smux.streams() > 1 && lasts(link.peer_full_since(), now);
    case Hint::kMemoryPressure:
      return smux.version() == 2 && smux.stalls().streams > 0 && smux.is_short_of_memory();
    case Hint::kUnreadStreams:
      return smux.version() == 2 && smux.stalls().streams > 0 && smux.buffered() >= smux.budget().limit();
    default:
      return false;
  }
}

std::string explain_stall(Hint hint, const Link& link, const Profile& profile) {
  const StreamStalls& stalls = link.smux().stalls();
  switch (hint) {
    case Hint::kSessionStalled:
      return explain_session_stall(link, profile);
    case Hint::kPeerStalled:
      return explain_peer(link, profile);
    case Hint::kMemoryPressure:
      return fmt::format(
          "little memory is left for unread bytes: all stream windows shrink, and unread streams get "
          "none ({} of session {} hold {} bytes); see memory (here {}), then streambuf and smuxbuf",
          stalls.streams, hex_id(link.conv()), stalls.bytes,
          profile.memory > 0 ? std::to_string(profile.memory) + " MiB" : "0, by the machine");
    default:
      return fmt::format(
          "{} streams of session {} are not read and hold {} bytes, more than smuxbuf ({}): they get no "
          "more window until they are read; others continue within memory",
          stalls.streams, hex_id(link.conv()), stalls.bytes, link.smux().budget().limit());
  }
}

LogLevel level_of_stall(Hint hint) {
  return hint == Hint::kUnreadStreams ? LogLevel::kInfo : LogLevel::kWarning;
}

}  // namespace kcptun
