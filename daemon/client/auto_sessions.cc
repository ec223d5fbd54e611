// The client's sessions where their number is left to the program: which session gets a new stream, when a
// further one is dialled, and when it is closed again.
#include <algorithm>
#include <span>

#include "daemon/client/client_session.h"
#include "daemon/client/client_worker.h"
#include "daemon/client/slot_choice.h"

namespace kcptun {
namespace {

// How often a further session is looked at while it may become idle, in parts of Profile::fold_after.
constexpr int kFoldChecks = 3;

}  // namespace

// A session that was never heard may wait for its server: that is no saturation, and another one would wait
// likewise.
SlotLoad ClientWorker::load_of(const Slot& slot) const {
  if (!slot.session) return {};
  const Link& link = slot.session->link;
  const TimePoint now = engine_.now();
  if (link.suspected_dead(now) || link.out_of_time(now)) return {};
  const bool saturated = link.heard() && slot.session->session.saturated();
  return {.state = saturated ? SlotLoad::State::kSaturated : SlotLoad::State::kFree,
          .queued = link.kcp().send_window().size() * link.kcp().segment_size(),
          .streams = slot.session->session.connections() + slot.session->session.stream_ends()};
}

// All slots are on this engine.
ClientWorker::SlotLoads ClientWorker::slot_loads() const {
  SlotLoads loads;
  KCPTUN_CHECK(slots_.size() == loads.size());
  std::ranges::transform(slots_, loads.begin(), [this](const Slot& slot) { return load_of(slot); });
  return loads;
}

// The index of the slot for a new connection.
std::size_t ClientWorker::choose_auto_slot() {
  const SlotLoads loads = slot_loads();
  const std::size_t chosen = choose_slot(loads);
  const std::size_t open = choose_open_slot(loads);
  if (slots_[chosen].session || open == loads.size() || dial_further(slots_[chosen])) return chosen;
  return open;
}

// The slot for a new UDP flow. No further session is dialled for it: its datagrams leave before the stream
// data of its session.
ClientWorker::Slot& ClientWorker::choose_auto_flow_slot() {
  const std::size_t open = choose_open_slot(slot_loads());
  return slots_[open == slots_.size() ? 0 : open];
}

// Dials beside open sessions, at an address that is known: without a new lookup of the server's name.
bool ClientWorker::dial_further(Slot& slot) {
  if (shut_down_ || !dial(slot)) return false;
  slot.wanted = false;
  log().info("session added",
             {{"conv", hex_id(slot.session->link.conv())}, {"reason", "the others carry bulk data"}});
  fold_.schedule_at(engine_.now() + profile_.fold_after / kFoldChecks);
  return true;
}

// Closes further sessions that were idle for a while, if the first one is there to take new streams.
void ClientWorker::fold(TimePoint now) {
  bool left = false;
  for (Slot& slot : std::span(slots_).subspan(1))
    if (slot.session && !fold_if_idle(slot, now)) left = true;
  if (left) fold_.schedule_at(now + profile_.fold_after / kFoldChecks);
}

bool ClientWorker::fold_if_idle(Slot& slot, TimePoint now) {
  ClientSession& session = *slot.session;
  if (session.session.has_streams()) {
    session.idle_since.reset();
    return false;
  }
  if (!session.idle_since) session.idle_since = now;
  if (now - *session.idle_since < profile_.fold_after || !slots_.front().session) return false;
  log().info("session folded", {{"conv", hex_id(session.link.conv())}, {"reason", "it was idle"}});
  drain(slot);
  return true;
}

}  // namespace kcptun
