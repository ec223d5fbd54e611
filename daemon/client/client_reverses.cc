// Reverse forwards of the client's worker: the session that has its server's listeners, and the streams that
// the server opens.
#include <algorithm>
#include <span>

#include "config/forwards.h"
#include "config/reverses.h"
#include "daemon/client/client_session.h"

namespace kcptun {

void ClientWorker::keep_reverses() {
  ReverseKeeper::Sessions& sessions = *this;
  reverses_ = std::make_unique<ReverseKeeper>(profile_, engine_, sessions,
                                              std::span(shared_.forwards).subspan(profile_.forwards.size()));
  reverses_->start();
}

// Of all workers; the first one reports them.
std::vector<ForwardSnapshot> ClientWorker::forward_snapshots() const {
  std::vector<ForwardSnapshot> rows;
  if (shared_.parts.front() != this) return rows;
  const std::size_t forwards = profile_.forwards.size();
  for (std::size_t i = 0; i < shared_.forwards.size(); ++i) {
    const bool reverse = i >= forwards;
    const ForwardCounters& counters = shared_.forwards[i];
    ForwardSnapshot& row = rows.emplace_back();
    row.forward = reverse ? "reverse " + listen_text(profile_.reverses[i - forwards])
                          : listen_text(profile_.forwards[i]);
    row.connections = counters.connections();
    row.refused = counters.refused();
    row.flows = counters.flows();
    row.refused_flows = counters.refused_flows();
    row.traffic = counters.traffic();
    if (reverse && reverses_) row.listening = reverses_->listens(i - forwards) ? 1 : 0;
  }
  return rows;
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
