#include "daemon/metrics/fields.h"

#include <array>

namespace kcptun {
namespace {

using enum FieldUnit;
using enum FieldKind;

using OfSession = StatusField<SessionSnapshot>;
using OfTunnel = StatusField<TunnelSnapshot>;
using OfServer = StatusField<ServerSnapshot>;
using OfForward = StatusField<ForwardSnapshot>;
using OfUser = StatusField<UserSnapshot>;

template <auto kMember>
std::optional<double> member(const SessionSnapshot& session) {
  const auto& value = session.*kMember;
  if constexpr (std::is_same_v<decltype(value), const std::optional<double>&>) {
    return value;
  } else {
    return static_cast<double>(value);
  }
}
template <auto kMember>
std::optional<double> counter(const TunnelSnapshot& tunnel) {
  return static_cast<double>(tunnel.counters.*kMember);
}
template <typename Snapshot>
std::optional<double> sent(const Snapshot& snapshot) {
  return static_cast<double>(snapshot.traffic.sent);
}
template <typename Snapshot>
std::optional<double> received(const Snapshot& snapshot) {
  return static_cast<double>(snapshot.traffic.received);
}

std::optional<double> connected(const PeerSnapshot& peer) { return peer.state == PeerState::kConnected; }

using S = SessionSnapshot;
using C = Counters;

// clang-format off
constexpr std::array kSessionFields{
    OfSession{"connected", kNone, kGauge, "1 while the peer answers, else 0.", [](const S& s) { return connected(s.peer); }},
    OfSession{"unanswered_since", kSeconds, kGauge, "Unix time since which the peer has owed an answer; absent while it answers.", [](const S& s) { return s.peer.since; }},
    OfSession{"sent", kBytes, kCounter, "Payload read from local connections.", sent<S>},
    OfSession{"received", kBytes, kCounter, "Payload written to local connections.", received<S>},
    OfSession{"streams", kNone, kGauge, "Open streams.", member<&S::streams>},
    OfSession{"saturated", kNone, kGauge, "1 while bulk data fills the session, else 0; a client with conn auto then opens new streams in another one.", member<&S::saturated>},
    OfSession{"round_trip", kSeconds, kGauge, "Smoothed round-trip time.", member<&S::round_trip>},
    OfSession{"round_trip_minimum", kSeconds, kGauge, "Smallest round-trip time seen.", member<&S::round_trip_minimum>},
    OfSession{"round_trip_variation", kSeconds, kGauge, "Variation of the round-trip time.", member<&S::round_trip_variation>},
    OfSession{"retransmission_timeout", kSeconds, kGauge, "Retransmission time-out (RTO).", member<&S::retransmission_timeout>},
    OfSession{"delivery_rate", kBytesPerSecond, kGauge, "What the path delivers, as the congestion controller measures it.", member<&S::delivery_rate>},
    OfSession{"pacing_rate", kBytesPerSecond, kGauge, "The rate at which data leaves; absent while it is not paced.", member<&S::pacing_rate>},
    OfSession{"congestion_window", kBytes, kGauge, "What may be under way by the congestion controller; absent without a limit.", member<&S::congestion_window>},
    OfSession{"loss", kRatio, kGauge, "Share of packets that the path loses, as the sender estimates it.", member<&S::loss_ratio>},
    OfSession{"sent", kSegments, kCounter, "KCP segments sent, acknowledgements and repetitions included.", member<&S::segments_sent>},
    OfSession{"received", kSegments, kCounter, "KCP segments received.", member<&S::segments_received>},
    OfSession{"retransmitted", kSegments, kCounter, "Segments sent again.", member<&S::segments_retransmitted>},
    OfSession{"lost", kSegments, kCounter, "Segments that the sender found lost.", member<&S::segments_lost>},
    OfSession{"thin", kNone, kGauge, "1 while what the session sends leaves in several copies (--thin), else 0.", [](const S& s) -> std::optional<double> { return s.thin; }},
    OfSession{"copied", kSegments, kCounter, "Copies sent of segments that were not believed lost (--thin).", member<&S::segments_copied>},
    OfSession{"found_again", kSegments, kCounter, "Segments found lost that were not.", member<&S::segments_found_again>},
    OfSession{"repeated", kSegments, kCounter, "Segments received that had come before.", member<&S::segments_repeated>},
    OfSession{"send_window", kSegments, kGauge, "Segments that may be queued or under way together.", member<&S::send_window>},
    OfSession{"receive_window", kSegments, kGauge, "Our receive window.", member<&S::receive_window>},
    OfSession{"peer_window", kSegments, kGauge, "The window that the peer offers.", member<&S::peer_window>},
    OfSession{"send_queue", kSegments, kGauge, "Segments that have not been sent yet.", member<&S::send_queue>},
    OfSession{"in_flight", kSegments, kGauge, "Segments under way.", member<&S::in_flight>},
    OfSession{"receive_queue", kSegments, kGauge, "Segments received in order that wait for their reader.", member<&S::receive_queue>},
    OfSession{"unread", kBytes, kGauge, "Received bytes that local connections have not taken, as smuxbuf and memory count them.", member<&S::unread_bytes>},
    OfSession{"unread_streams", kNone, kGauge, "Streams that hold unread bytes of which none is being read; counted while there are too many unread bytes.", member<&S::unread_streams>},
    OfSession{"sent", kPackets, kCounter, "Packets sent.", member<&S::packets_sent>},
    OfSession{"received", kPackets, kCounter, "Packets received.", member<&S::packets_received>},
    OfSession{"missing", kPackets, kGauge, "Packets of the peer that did not arrive, or not yet: by their numbers where the suite has them, else by FEC groups, and then at least so many; absent where neither shows it.", member<&S::packets_missing>},
    OfSession{"fec_parity_sent", kPackets, kCounter, "Parity packets sent.", member<&S::parity_sent>},
    OfSession{"fec_parity_received", kPackets, kCounter, "Parity packets received.", member<&S::parity_received>},
    OfSession{"fec_recovered", kPackets, kCounter, "Lost packets that parity brought back.", member<&S::fec_recovered>},
    OfSession{"fec_wasted", kPackets, kCounter, "Parity packets received that brought nothing back.", member<&S::fec_wasted>},
    OfSession{"fec_failed_groups", kNone, kCounter, "Groups that lost more than parity could bring back.", member<&S::fec_failed_groups>},
    OfSession{"fec_parity", kRatio, kGauge, "Share of parity among the packets sent.", member<&S::parity_ratio>},
};

constexpr std::array kTunnelFields{
    OfTunnel{"connected", kNone, kGauge, "1 while a peer answers, else 0: a client's server, a client of a server.", [](const TunnelSnapshot& t) { return connected(t.peer); }},
    OfTunnel{"unanswered_since", kSeconds, kGauge, "Unix time since which no peer has answered; absent while one answers.", [](const TunnelSnapshot& t) { return t.peer.since; }},
    OfTunnel{"sent", kBytes, kCounter, "Payload read from local connections.", sent<TunnelSnapshot>},
    OfTunnel{"received", kBytes, kCounter, "Payload written to local connections.", received<TunnelSnapshot>},
    OfTunnel{"sessions", kNone, kGauge, "Open sessions.", [](const TunnelSnapshot& t) -> std::optional<double> { return t.sessions; }},
    OfTunnel{"sessions_left_out", kNone, kGauge, "Open sessions that have no metrics of their own here, because there are too many.", [](const TunnelSnapshot& t) -> std::optional<double> { return t.sessions_left_out(); }},
    OfTunnel{"streams", kNone, kGauge, "Open streams.", [](const TunnelSnapshot& t) -> std::optional<double> { return t.streams; }},
    OfTunnel{"requests", kNone, kCounter, "Streams that named their target (target socks5, or a forward of the client).", [](const TunnelSnapshot& t) -> std::optional<double> { return t.requests; }},
    OfTunnel{"denied_requests", kNone, kCounter, "Of these, those whose target allow and deny do not permit.", [](const TunnelSnapshot& t) -> std::optional<double> { return t.denied_requests; }},
    OfTunnel{"flows", kNone, kGauge, "Open UDP flows of a server's clients.", [](const TunnelSnapshot& t) -> std::optional<double> { return t.flows; }},
    OfTunnel{"refused_flows", kNone, kCounter, "UDP flows that a server refused for lack of a socket, or beyond its bound.", [](const TunnelSnapshot& t) -> std::optional<double> { return t.refused_flows; }},
    OfTunnel{"denied_datagrams", kNone, kCounter, "Datagrams of clients whose destination the rules do not permit, or whose name does not resolve.", [](const TunnelSnapshot& t) -> std::optional<double> { return t.denied_datagrams; }},
    OfTunnel{"listeners", kNone, kGauge, "Addresses at which a server listens for its clients.", [](const TunnelSnapshot& t) -> std::optional<double> { return t.listeners; }},
    OfTunnel{"accepted_connections", kNone, kCounter, "Connections that these listeners accepted.", [](const TunnelSnapshot& t) -> std::optional<double> { return t.accepted_connections; }},
    OfTunnel{"refused_connections", kNone, kCounter, "Connections that these listeners reset, because too many waited for the client.", [](const TunnelSnapshot& t) -> std::optional<double> { return t.refused_connections; }},
    OfTunnel{"refused_clients", kNone, kCounter, "Sessions that a server with users refused, because no user has the client's key, its last day is over, or its quota is used up.", [](const TunnelSnapshot& t) -> std::optional<double> { return t.refused_clients; }},
    OfTunnel{"opened_sessions", kNone, kCounter, "Sessions opened.", [](const TunnelSnapshot& t) -> std::optional<double> { return t.counters.active_opens + t.counters.passive_opens; }},
    OfTunnel{"udp_sent", kBytes, kCounter, "UDP payload sent.", counter<&C::out_bytes>},
    OfTunnel{"udp_received", kBytes, kCounter, "UDP payload received.", counter<&C::in_bytes>},
    OfTunnel{"udp_sent", kPackets, kCounter, "Datagrams sent.", counter<&C::out_pkts>},
    OfTunnel{"udp_received", kPackets, kCounter, "Datagrams received.", counter<&C::in_pkts>},
    OfTunnel{"udp_gso", kNone, kGauge, "1 while the kernel cuts what is sent into datagrams (UDP GSO), else 0; absent without a socket.", [](const TunnelSnapshot& t) -> std::optional<double> { return t.offload ? std::optional<double>(t.offload->gso) : std::nullopt; }},
    OfTunnel{"udp_gro", kNone, kGauge, "1 while the kernel joins datagrams that arrive (UDP GRO), else 0; absent without a socket.", [](const TunnelSnapshot& t) -> std::optional<double> { return t.offload ? std::optional<double>(t.offload->gro) : std::nullopt; }},
    OfTunnel{"udp_receive_errors", kNone, kCounter, "Datagrams that could not be received whole; in tcp mode also segments that are none of ours, or of no connection.", counter<&C::in_errs>},
    OfTunnel{"rejected", kPackets, kCounter, "Datagrams that failed their checksum or tag.", counter<&C::in_csum_errors>},
    OfTunnel{"malformed", kPackets, kCounter, "Packets that were no valid KCP.", counter<&C::kcp_in_errors>},
    OfTunnel{"sent", kSegments, kCounter, "KCP segments sent, acknowledgements and repetitions included.", counter<&C::out_segs>},
    OfTunnel{"received", kSegments, kCounter, "KCP segments received.", counter<&C::in_segs>},
    OfTunnel{"retransmitted", kSegments, kCounter, "Segments sent again.", counter<&C::retrans_segs>},
    OfTunnel{"repeated", kSegments, kCounter, "Segments received that had come before.", counter<&C::repeat_segs>},
    OfTunnel{"fec_parity_received", kPackets, kCounter, "Parity packets received.", counter<&C::fec_parity_shards>},
    OfTunnel{"fec_recovered", kPackets, kCounter, "Lost packets that parity brought back.", counter<&C::fec_recovered>},
    OfTunnel{"fec_errors", kNone, kCounter, "Malformed parity packets and groups that do not fit together.", counter<&C::fec_errs>},
};

constexpr std::array kServerFields{
    OfServer{"healthy", kNone, kGauge, "1 while the server answers, else 0; only where a client has several servers.", [](const ServerSnapshot& s) -> std::optional<double> { return s.healthy; }},
    OfServer{"chosen", kNone, kGauge, "1 for the server that new sessions go to, else 0.", [](const ServerSnapshot& s) -> std::optional<double> { return s.chosen; }},
    OfServer{"round_trip", kSeconds, kGauge, "Shortest round-trip time of the last four checks; absent while the server does not answer.", [](const ServerSnapshot& s) -> std::optional<double> { return s.round_trip; }},
};

constexpr std::array kForwardFields{
    OfForward{"connections", kNone, kCounter, "Connections that the forward accepted; of a reverse forward those that the server's listener accepted.", [](const ForwardSnapshot& f) -> std::optional<double> { return f.connections; }},
    OfForward{"refused", kNone, kCounter, "Of these, those that the server, or of a reverse forward the client, could not or would not connect.", [](const ForwardSnapshot& f) -> std::optional<double> { return f.refused; }},
    OfForward{"flows", kNone, kCounter, "UDP flows opened.", [](const ForwardSnapshot& f) -> std::optional<double> { return f.flows; }},
    OfForward{"refused_flows", kNone, kCounter, "UDP flows that the server refused.", [](const ForwardSnapshot& f) -> std::optional<double> { return f.refused_flows; }},
    OfForward{"sent", kBytes, kCounter, "Payload read from local connections and datagrams.", [](const ForwardSnapshot& f) -> std::optional<double> { return static_cast<double>(f.traffic.sent); }},
    OfForward{"received", kBytes, kCounter, "Payload written to local connections and datagrams.", [](const ForwardSnapshot& f) -> std::optional<double> { return static_cast<double>(f.traffic.received); }},
    OfForward{"listening", kNone, kGauge, "1 while the server listens for the reverse forward, else 0; absent for other forwards.", [](const ForwardSnapshot& f) -> std::optional<double> { return f.listening; }},
};

constexpr std::array kUserFields{
    OfUser{"sessions", kNone, kGauge, "Open sessions of the user.", [](const UserSnapshot& u) -> std::optional<double> { return u.sessions; }},
    OfUser{"sent", kBytes, kCounter, "Payload read from local connections for the user.", sent<UserSnapshot>},
    OfUser{"received", kBytes, kCounter, "Payload of the user written to local connections.", received<UserSnapshot>},
    OfUser{"quota", kBytes, kGauge, "Payload that the user may transfer in each period of its quota; absent without one.", [](const UserSnapshot& u) -> std::optional<double> { return u.quota; }},
    OfUser{"quota_left", kBytes, kGauge, "Of these, what is left in the current period.", [](const UserSnapshot& u) -> std::optional<double> { return u.quota_left; }},
};
// clang-format on

std::string_view unit_suffix(FieldUnit unit) {
  switch (unit) {
    case kNone:
      return "";
    case kSeconds:
      return "_seconds";
    case kBytes:
      return "_bytes";
    case kBytesPerSecond:
      return "_bytes_per_second";
    case kSegments:
      return "_segments";
    case kPackets:
      return "_packets";
    case kRatio:
      return "_ratio";
  }
  return "";
}

}  // namespace

std::span<const OfSession> session_fields() { return kSessionFields; }
std::span<const OfTunnel> tunnel_fields() { return kTunnelFields; }
std::span<const OfServer> server_fields() { return kServerFields; }
std::span<const OfForward> forward_fields() { return kForwardFields; }
std::span<const OfUser> user_fields() { return kUserFields; }

std::string json_name(std::string_view name, FieldUnit unit) {
  return std::string(name).append(unit_suffix(unit));
}

std::string metric_name(std::string_view prefix, std::string_view name, FieldUnit unit, FieldKind kind) {
  std::string full(prefix);
  full.append(name).append(unit_suffix(unit));
  if (kind == kCounter) full += "_total";
  return full;
}

}  // namespace kcptun
