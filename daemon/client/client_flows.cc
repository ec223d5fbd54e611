// UDP flows of the client's worker: where they enter, and the session that each gets.
#include <algorithm>
#include <utility>

#include "daemon/client/client_session.h"
#include "daemon/net/address.h"
#include "daemon/worker/tunnel_sockets.h"

namespace kcptun {

Result<IpEndpoint> ClientWorker::listen_udp(FlowSocket socket, const std::optional<Socks5Address>& target,
                                            ForwardCounters* counters) {
  const IpEndpoint address = socket.local();
  FlowEntrance::Sessions& sessions = *this;
  auto entrance = std::make_unique<UdpEntrance>(engine_, std::move(socket), target, sessions, profile_.name);
  if (counters) entrance->count_in(*counters);
  if (!entrance->start()) return Error{"cannot watch the UDP socket of " + to_string(address)};
  udp_entrances_.push_back(std::move(entrance));
  return address;
}

void ClientWorker::associate(FileDescriptor connection, const std::string& entrance,
                             ForwardCounters& counters) {
  if (associations_.size() >= kMaxAssociations) {
    log().warning("association refused: there are too many", {{"listen", entrance}});
    return;
  }
  FlowEntrance::Sessions& sessions = *this;
  auto association =
      std::make_unique<Association>(Association::Environment{engine_, sessions, association_arena_, counters,
                                                             entrance, profile_.name, flow_options(profile_)},
                                    std::move(connection), [this](Association& ended) { end(ended); });
  if (association->begin()) associations_.push_back(std::move(association));
}

void ClientWorker::end(Association& association) {
  const auto it = std::ranges::find_if(associations_,
                                       [&association](const auto& one) { return one.get() == &association; });
  if (it == associations_.end()) return;
  engine_.dispose(std::move(*it));
  associations_.erase(it);
}

// Round robin over the slots that have a session which may be used; dials where none has.
Session* ClientWorker::session_for_flow() {
  if (shut_down_ || slots_.empty()) return nullptr;
  if (!profile_.conn) return session_for_flow(choose_auto_flow_slot());
  for (std::size_t tried = 0; tried < slots_.size(); ++tried)
    if (Session* const session = session_for_flow(slots_[next_flow_slot_++ % slots_.size()])) return session;
  return nullptr;
}

// Null: the slot's session is being dialled.
Session* ClientWorker::session_for_flow(Slot& slot) {
  const Duration lifetime = profile_.autoexpire;
  if (slot.session && lifetime.count() > 0 && engine_.now() - slot.session->dialled_at >= lifetime)
    expire(slot);
  set_unusable_aside(slot);
  if (slot.session) {
    slot.session->idle_since.reset();
    return &slot.session->session;
  }
  if (!slot.wanted) redial(slot);
  return nullptr;
}

}  // namespace kcptun
