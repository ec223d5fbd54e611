// A session of the client: its socket, link and connections.
#pragma once

#include <optional>
#include <string_view>

#include "daemon/client/client_worker.h"

namespace kcptun {

struct ClientWorker::ClientSession final : PacketReceiver, Session::Owner, ReverseTargets {
  ClientSession(ClientWorker& owner, std::size_t of_slot, SessionName id, const HostPort& to,
                const Path& path)
      : part(owner),
        engine(owner.engine_),
        slot(of_slot),
        server(to),
        dialled_at(engine.now()),
        link(Role::kClient, id, engine.context(), dialled_at),
        session(engine, link, *this, path, owner.profile_),
        socket(path.socket),
        reverse_requests(engine, owner.profile_.dial_rules, reverse_totals) {
    reverse_requests.reverse = this;
  }
  ~ClientSession() override {
    engine.remove_socket(socket);
    if (hop) engine.remove_socket(hop->other.socket);
  }

  void handle_run(TimePoint now, const Path& path, std::span<const Packet> packets) override {
    if (link.out_of_time(now)) part.handle_overdue(*this);
    const std::uint64_t segments = link.kcp().counters().in_segments;
    link.handle_packets(now, packets);
    if (link.kcp().counters().in_segments != segments) {
      heard_at = now;
      part.handle_answer(*this);
      if (hop) part.handle_hop_packet(*this, path);
      if (is_replacement) part.handle_replacement_answered(*this);
    }
    if (full_size.handle_run(now, link.kcp())) part.explain_vanishing(*this, now);
    engine.wake(session);
  }
  void handle_stream(Session&, std::uint32_t sid) override { part.accept_reverse(*this, sid); }
  std::optional<ReverseTargets::Found> find_reverse(std::uint32_t listener) override;
  void handle_closed(Session&, std::string_view reason) override { part.handle_closed(*this, reason); }
  std::string_view check_unanswered(Session&, TimePoint now) override {
    return part.check_unanswered(*this, now);
  }
  void handle_send_failure(TimePoint now) override { part.handle_send_failure(now); }

  /// A change of ports (hops.cc). Two sockets are open.
  struct Hop {
    Path other;          // the new path; once it is taken, the one that the session has left
    TimePoint next;      // when the next echo request leaves, or the socket that was left closes
    int probes = 0;      // echo requests so far
    bool taken = false;  // the server has answered
  };

  struct Unanswered {
    TimePoint since;                    // Link::unanswered_since()
    std::uint64_t refusals_before = 0;  // ICMP errors on the socket when the missing answer was noticed
    // The time when a later session to the same server first received a packet during the interval.
    std::optional<TimePoint> other_heard{};
  };
  /// The state of the current interval without an answer. REQUIRES: an answer is outstanding.
  Unanswered& current_unanswered() {
    const TimePoint since = *link.unanswered_since();
    if (!silence || silence->since != since)
      silence = Unanswered{since, engine.socket(socket)->counters().connection_refused};
    return *silence;
  }

  /// ICMP errors from before the interval count only if the server has never answered.
  bool is_refused_since(TimePoint since) const {
    const DatagramSocket* own = engine.socket(socket);
    if (!own) return false;
    if (!link.heard()) return own->counters().pending_errors > 0;
    return silence && silence->since == since &&
           own->counters().connection_refused > silence->refusals_before;
  }

  ClientWorker& part;
  Engine& engine;
  std::size_t slot;  // index in the worker's slots_ of the slot that it was dialled for
  HostPort server;   // as configured in the profile
  // Declared before the link: its clock reading also sets the time of day for the link's timestamps.
  TimePoint dialled_at;
  Link link;
  Session session;
  std::uint32_t socket;
  RequestTotals reverse_totals;
  RequestTargets reverse_requests;  // of streams that the server opens
  SessionListeners listeners;
  FullSizeWatch full_size;
  TimePoint heard_at{};                   // when the last packet arrived
  std::optional<TimePoint> idle_since{};  // a further session without streams, since fold() noticed it
  bool answer_logged = false;
  std::optional<Hop> hop;
  TimePoint hop_at = TimePoint::max();  // when the ports change next; of a replacement: when it is given up
  bool is_replacement = false;          // in expired_ until its server has answered
  std::optional<Unanswered> silence;    // while an answer is outstanding
};

template <typename Visit>
void ClientWorker::for_each_session(Visit visit) const {
  for (const Slot& slot : slots_)
    if (slot.session) visit(*slot.session);
  for (const auto& old : expired_) visit(*old);
}

}  // namespace kcptun
