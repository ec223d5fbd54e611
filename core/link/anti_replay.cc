#include "core/link/anti_replay.h"

#include <algorithm>

namespace kcptun {

SessionHeader AntiReplay::next(TimePoint now) {
  SessionHeader header;
  header.session = session_;
  header.counter = next_++;
  header.from = role_;
  if (role_ == Role::kClient) {
    const UnixTime stamp_time = wall_ + std::chrono::floor<seconds>(now - began_);
    header.time = static_cast<std::uint32_t>(stamp_time.time_since_epoch().count());
  }
  return header;
}

MutableBytes AntiReplay::take(MutableBytes packet) {
  if (packet.size() < kSessionHeader) return {};
  const SessionHeader header = read_session_header(packet.data());
  if (!admit(header)) return {};
  mark(header);
  return packet.subspan(kSessionHeader);
}

bool AntiReplay::admit(const SessionHeader& header) {
  if (!is_from_peer(header)) {
    ++counters_.foreign;
    return false;
  }
  if (window_.fresh(header.counter)) return true;
  ++counters_.replayed;
  return false;
}

void AntiReplay::mark(const SessionHeader& header) {
  window_.mark(header.counter);
  newest_time_ = std::max(newest_time_, header.time);
}

}  // namespace kcptun
