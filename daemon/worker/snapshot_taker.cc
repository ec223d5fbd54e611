#include "daemon/worker/snapshot_taker.h"

#include <sys/resource.h>
#include <sys/time.h>
#include <uv.h>

#include <algorithm>
#include <functional>

#include "daemon/net/address.h"

namespace kcptun {
namespace {

double in_seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }

std::optional<double> in_seconds(std::optional<Duration> duration) {
  if (!duration) return std::nullopt;
  return in_seconds(*duration);
}

double in_seconds(const timeval& t) {
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
}

double cpu_seconds(int who) {
  rusage usage{};
  getrusage(who, &usage);
  return in_seconds(usage.ru_utime) + in_seconds(usage.ru_stime);
}

void take_path(const Kcp& kcp, SessionSnapshot& to) {
  const RttEstimator& rtt = kcp.rtt();
  to.round_trip = in_seconds(rtt.smoothed());
  to.round_trip_minimum = in_seconds(rtt.minimum());
  if (rtt.smoothed()) to.round_trip_variation = in_seconds(rtt.variation());
  to.retransmission_timeout = in_seconds(rtt.timeout());
}

// 0 means unknown or unlimited.
std::optional<double> if_any(std::uint64_t value) {
  if (value == 0) return std::nullopt;
  return static_cast<double>(value);
}

void take_congestion(const Kcp& kcp, SessionSnapshot& to) {
  const PathEstimate path = kcp.path_estimate();
  to.delivery_rate = if_any(path.bandwidth);
  to.pacing_rate = if_any(path.pacing_rate);
  to.congestion_window = if_any(path.window);
  to.loss_ratio = kcp.loss();
}

void take_segments(const Kcp& kcp, SessionSnapshot& to) {
  const SendWindow& sending = kcp.send_window();
  to.segments_sent = kcp.counters().out_segments;
  to.segments_received = kcp.counters().in_segments;
  to.segments_retransmitted = kcp.counters().retransmitted;
  to.segments_lost = sending.counters().lost_by_packet_threshold + sending.counters().lost_by_time +
                     sending.counters().timed_out;
  to.segments_copied = sending.counters().copies;
  to.thin = kcp.copies_in_use();
  to.segments_found_again = sending.counters().spurious;
  to.segments_repeated = kcp.counters().repeated;
  to.peer_window = kcp.peer_window();
  to.send_window = kcp.send_quota();
  to.receive_window = kcp.receive_window().window();
  to.send_queue = sending.end() - sending.next();
  to.in_flight = sending.in_flight();
  to.receive_queue = kcp.receive_window().window() - kcp.receive_window().free();
}

// Exact if the suite numbers packets. Otherwise a lower bound from FEC: each recovered group and each group
// given up lacked at least one packet.
std::optional<double> missing_packets(const Link& link) {
  if (const auto& guard = link.anti_replay()) {
    const std::uint64_t sent = guard->packets_sent_by_peer();
    return static_cast<double>(sent - std::min(sent, link.packets_received()));
  }
  const FecDecoderCounters& fec = link.fec().counters();
  if (fec.data_received == 0) return std::nullopt;
  return static_cast<double>(fec.recovered + fec.short_groups);
}

void take_packets(const Link& link, SessionSnapshot& to) {
  const FecDecoderCounters& fec = link.fec().counters();
  to.packets_sent = link.packets_sent();
  to.packets_received = link.packets_received();
  to.packets_missing = missing_packets(link);
  to.parity_sent = link.parity_sent();
  to.parity_received = fec.parity_received;
  to.fec_recovered = fec.recovered;
  to.fec_wasted = fec.parity_received - fec.recovered - link.fec().parity_waiting();
  to.fec_failed_groups = fec.short_groups;
  if (to.packets_sent > 0)
    to.parity_ratio = static_cast<double>(to.parity_sent) / static_cast<double>(to.packets_sent);
}

// Sorts the first `most` elements by `more` to the front, in order.
template <typename T, typename More>
void keep_first(std::vector<T>& all, std::size_t most, More more) {
  const std::size_t kept = std::min(all.size(), most);
  std::ranges::partial_sort(all, all.begin() + static_cast<std::ptrdiff_t>(kept), more);
  all.erase(all.begin() + static_cast<std::ptrdiff_t>(kept), all.end());
}

void take_streams(const Session& session, SessionSnapshot& to) {
  to.streams = session.connections();
  std::vector<const Connection*> connections;
  connections.reserve(session.connections());
  for (const auto& [sid, connection] : session.open_connections()) connections.push_back(connection.get());
  keep_first(connections, kMaxStreamRows, [](const Connection* a, const Connection* b) {
    return std::pair(b->traffic().total(), a->sid()) < std::pair(a->traffic().total(), b->sid());
  });
  for (const Connection* connection : connections)
    to.open_streams.push_back({connection->sid(), connection->traffic(), connection->backlog_bytes()});
}

}  // namespace

SessionSnapshot snapshot_session(const SessionView& view) {
  const Session& session = *view.session;
  SessionSnapshot snapshot;
  snapshot.peer = view.peer;
  snapshot.user = view.user;
  snapshot.conv = session.link().conv();
  snapshot.remote = to_string(session.path().remote);
  snapshot.traffic = session.traffic();
  snapshot.saturated = session.saturated();
  take_path(session.link().kcp(), snapshot);
  take_congestion(session.link().kcp(), snapshot);
  take_segments(session.link().kcp(), snapshot);
  take_packets(session.link(), snapshot);
  snapshot.unread_bytes = session.link().smux().buffered();
  snapshot.unread_streams = session.link().smux().stalls().streams;
  take_streams(session, snapshot);
  return snapshot;
}

TunnelSnapshot snapshot_share(std::vector<SessionView> sessions, const Traffic& past) {
  TunnelSnapshot share;
  share.traffic = past;
  share.sessions = sessions.size();
  for (const SessionView& view : sessions) {
    share.traffic.add(view.session->traffic());
    share.streams += view.session->connections();
  }
  keep_first(sessions, kMaxSessionRows, [](const SessionView& a, const SessionView& b) {
    return std::pair(b.session->traffic().total(), a.session->link().conv()) <
           std::pair(a.session->traffic().total(), b.session->link().conv());
  });
  for (const SessionView& view : sessions) share.open_sessions.push_back(snapshot_session(view));
  return share;
}

double thread_cpu_seconds() { return cpu_seconds(RUSAGE_THREAD); }

void take_process(ProcessSnapshot& snapshot) {
  snapshot.time = unix_time();
  snapshot.cpu_seconds = cpu_seconds(RUSAGE_SELF);
  std::size_t resident = 0;
  if (uv_resident_set_memory(&resident) == 0) snapshot.resident_bytes = resident;
}

}  // namespace kcptun
