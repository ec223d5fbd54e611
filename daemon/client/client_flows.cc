// UDP flows of the client's worker: where they enter, and the session that each gets.
#include "daemon/client/client_session.h"
#include "daemon/net/address.h"
#include "daemon/worker/tunnel_sockets.h"

namespace kcptun {

Result<IpEndpoint> ClientWorker::listen_udp(const IpEndpoint& address, const Socks5Address& target) {
  Result<FlowSocket> socket = FlowSocket::bind(address, flow_options(profile_));
  if (!socket) return Error{socket.error()};
  UdpEntrance::Sessions& sessions = *this;
  auto entrance = std::make_unique<UdpEntrance>(engine_, std::move(*socket), target, sessions, profile_.name);
  if (!entrance->start()) return Error{"cannot watch the UDP socket of " + to_string(address)};
  udp_entrances_.push_back(std::move(entrance));
  return udp_entrances_.back()->local();
}

// Round robin over the slots that have a session which may be used; dials where none has.
Session* ClientWorker::session_for_flow() {
  if (shut_down_ || slots_.empty()) return nullptr;
  const TimePoint now = engine_.now();
  for (std::size_t tried = 0; tried < slots_.size(); ++tried) {
    Slot& slot = slots_[next_flow_slot_++ % slots_.size()];
    const Duration lifetime = profile_.autoexpire;
    if (slot.session && lifetime.count() > 0 && now - slot.session->dialled_at >= lifetime) expire(slot);
    set_unusable_aside(slot);
    if (slot.session) return &slot.session->session;
    if (!slot.wanted) redial(slot);
  }
  return nullptr;
}

}  // namespace kcptun
