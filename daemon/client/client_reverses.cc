// Reverse forwards of the client's worker: the session that has its server's listeners, and the streams that
// the server opens.
#include <algorithm>

#include "daemon/client/client_session.h"

namespace kcptun {

void ClientWorker::keep_reverses() {
  ReverseKeeper::Sessions& sessions = *this;
  reverses_ = std::make_unique<ReverseKeeper>(profile_, engine_, sessions);
  reverses_->start();
}

// The first slot's: it is there whatever `conn` is, and is never folded.
std::optional<ReverseKeeper::Host> ClientWorker::host_for_reverses() {
  Slot& slot = slots_.front();
  if (shut_down_ || !slot.session) return std::nullopt;
  const TimePoint now = engine_.now();
  const Duration lifetime = profile_.autoexpire;
  if (lifetime.count() > 0 && now - slot.session->dialled_at >= lifetime) expire(slot);
  if (slot.session && slot.session->link.out_of_time(now)) drain(slot);
  if (!slot.session) return std::nullopt;
  return ReverseKeeper::Host{slot.session->session, slot.session->listeners};
}

void ClientWorker::dial_for_reverses() {
  if (!shut_down_ && !slots_.front().wanted) redial(slots_.front());
}

void ClientWorker::accept_reverse(ClientSession& session, std::uint32_t sid) {
  if (!reverses_) return session.link.reset_stream(sid);
  session.session.attach(std::make_unique<Connection>(session.session, sid, session.reverse_requests,
                                                      RequestReader::Accepted::kServerStream));
}

std::optional<ReverseTargets::Found> ClientWorker::ClientSession::find_reverse(std::uint32_t listener) {
  const auto it = std::ranges::find(listeners, listener, &SessionListeners::value_type::first);
  if (it == listeners.end()) return std::nullopt;
  return part.reverses_->target(it->second);
}

}  // namespace kcptun
