#include "daemon/engine/flow_stream.h"

#include <algorithm>
#include <cstring>

namespace kcptun {

void FlowStream::write(Bytes bytes, StreamEnd& end) {
  unsent_.insert(unsent_.end(), bytes.begin(), bytes.end());
  write_unsent(end);
}

void FlowStream::send(Way way, Bytes address, Bytes payload, StreamEnd& end) {
  const bool sent = way == Way::kStream ? send_framed(address, payload, end) : send_packet(address, payload);
  if (sent) {
    session_.add_flow_traffic({.sent = payload.size()});
  } else {
    ++counters_.dropped;
  }
}

bool FlowStream::send_packet(Bytes address, Bytes payload) {
  const bool sent = session_.link().send_datagram(engine_.now(), sid_, address, payload);
  if (sent) ++counters_.packets;
  engine_.wake(session_);
  return sent;
}

bool FlowStream::send_framed(Bytes address, Bytes payload, StreamEnd& end) {
  const std::size_t size = kFrameHead + address.size() + payload.size();
  if (address.size() > kMaxFrameAddress || payload.size() > 65535 || unsent_.size() + size > kMaxUnsent)
    return false;
  std::uint8_t head[kFrameHead];
  write_frame_head(head, address.size(), payload.size());
  unsent_.insert(unsent_.end(), head, head + sizeof head);
  unsent_.insert(unsent_.end(), address.begin(), address.end());
  unsent_.insert(unsent_.end(), payload.begin(), payload.end());
  ++counters_.framed;
  write_unsent(end);
  return true;
}

void FlowStream::write_unsent(StreamEnd& end) {
  Link& link = session_.link();
  std::size_t done = 0;
  while (done < unsent_.size()) {
    std::size_t round = 0;
    for (const MutableBytes piece : link.prepare_write(sid_, unsent_.size() - done)) {
      const std::size_t take = std::min(piece.size(), unsent_.size() - done - round);
      std::memcpy(piece.data(), unsent_.data() + done + round, take);
      round += take;
    }
    link.commit_write(sid_, round);
    if (round == 0) break;
    done += round;
  }
  unsent_.erase(unsent_.begin(), unsent_.begin() + static_cast<std::ptrdiff_t>(done));
  if (unsent_.empty()) {
    engine_.wake(session_);
  } else {
    session_.wait_for_room(end);
  }
}

}  // namespace kcptun
