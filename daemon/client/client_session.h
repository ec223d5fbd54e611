// One session of the client: its socket, link and connections.
#pragma once

#include <optional>
#include <string_view>

#include "daemon/client/client_worker.h"

namespace kcptun {

struct ClientWorker::ClientSession final : PacketReceiver, Session::Owner {
  ClientSession(ClientWorker& owner, std::size_t of_slot, SessionName id, const HostPort& to, const Path& path)
      : part(owner),
        engine(owner.engine_),
        slot(of_slot),
        server(to),
        dialled_at(engine.now()),
        link(Role::kClient, id, engine.context(), dialled_at),
        session(engine, link, *this, path, owner.profile_),
        socket(path.socket) {}
  ~ClientSession() override { engine.remove_socket(socket); }

  void handle_run(TimePoint now, const Path&, std::span<const Packet> packets) override {
    const std::uint64_t segments = link.kcp().counters().in_segments;
    link.handle_packets(now, packets);
    if (link.kcp().counters().in_segments != segments) {
      heard_at = now;
      part.handle_answer(*this);
    }
    if (full_size.handle_run(now, link.kcp())) part.explain_vanishing(*this, now);
    engine.wake(session);
  }
  void handle_stream(Session&, std::uint32_t sid) override { link.reset_stream(sid); }
  void handle_closed(Session&, std::string_view reason) override { part.handle_closed(*this, reason); }
  std::string_view judge_unanswered(Session&, TimePoint now) override { return part.judge_unanswered(*this, now); }
  void handle_send_failure(TimePoint now) override { part.handle_send_failure(now); }

  struct Silence {
    TimePoint since;                         // Link::unanswered_since()
    std::uint64_t refusals_before = 0;       // that the socket knew of when the silence was first looked at
    std::optional<TimePoint> other_heard{};  // when a later session to the same place was first heard in it
  };
  /// What is known of the silence that the session is in. REQUIRES: the server owes an answer.
  Silence& current_silence() {
    const TimePoint since = *link.unanswered_since();
    if (!silence || silence->since != since) silence = Silence{since, engine.socket(socket)->counters().refusals};
    return *silence;
  }

  /// Errors that came before the silence count only where the server was never heard.
  bool is_refused_since(TimePoint since) const {
    const DatagramSocket* own = engine.socket(socket);
    if (!own) return false;
    if (!link.heard()) return own->counters().pending_errors > 0;
    return silence && silence->since == since && own->counters().refusals > silence->refusals_before;
  }

  ClientWorker& part;
  Engine& engine;
  std::size_t slot;      // of part.slots_: the one that it was dialled for
  HostPort server;       // as the profile named it
  TimePoint dialled_at;  // before the link: reading it sets the time of day that the link dates its packets with
  Link link;
  Session session;
  std::uint32_t socket;
  FullSizeWatch full_size;
  TimePoint heard_at{};  // when the server's last segment came
  bool answer_logged = false;
  std::optional<Silence> silence;  // while the server owes an answer
};

template <typename Visit>
void ClientWorker::for_each_session(Visit visit) const {
  for (const Slot& slot : slots_)
    if (slot.session) visit(*slot.session);
  for (const auto& old : expired_) visit(*old);
}

}  // namespace kcptun
