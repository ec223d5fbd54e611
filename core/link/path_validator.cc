#include "core/link/path_validator.h"

#include <utility>

namespace kcptun {

void PathValidator::handle_peer_moved(TimePoint now, PathChange change) {
  change_ = change;
  validation_.begin(now);
}

void PathValidator::handle_validated() {
  validation_.end();
  if (std::exchange(change_, PathChange::kPort) == PathChange::kAddress) kcp_.handle_new_path();
}

void PathValidator::handle_peer_returned() {
  change_ = PathChange::kPort;
  validation_.end();
}

void PathValidator::handle_echo() {
  if (const auto echo = kcp_.newest_echo(); echo && validation_.is_answer(*echo)) handle_validated();
}

PacketSource::Polled PathValidator::poll_packet(TimePoint now, MutableBytes room) {
  if (!validation_.poll_ping(now, kcp_.rtt().timeout(), echo_request_size())) return {};
  return {kcp_.write_echo_request(wire_ms(now), room.data())};
}

}  // namespace kcptun
