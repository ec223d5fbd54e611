#include "core/link/anti_replay.h"

#include <algorithm>

namespace kcptun {

void AntiReplay::stamp(TimePoint now, std::uint8_t* to) {
  SessionHeader header;
  header.session = session_;
  header.counter = next_++;
  header.from = role_;
  if (role_ == Role::kClient) {
    const UnixTime stamp_time = wall_ + std::chrono::floor<seconds>(now - began_);
    header.time = static_cast<std::uint32_t>(stamp_time.time_since_epoch().count());
  }
  write_session_header(to, header);
}

MutableBytes AntiReplay::take(MutableBytes packet) {
  if (packet.size() < kSessionHeader) return {};
  const SessionHeader header = read_session_header(packet.data());
  if (!is_from_peer(header)) {
    ++counters_.foreign;
    return {};
  }
  if (!window_.fresh(header.counter)) {
    ++counters_.replayed;
    return {};
  }
  window_.mark(header.counter);
  newest_time_ = std::max(newest_time_, header.time);
  return packet.subspan(kSessionHeader);
}

}  // namespace kcptun
