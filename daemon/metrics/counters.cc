#include "daemon/metrics/counters.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace kcptun {
namespace {

struct Row {
  std::string_view name;
  std::uint64_t Counters::*field;
};

constexpr std::array kRows{
    Row{"BytesSent", &Counters::bytes_sent},
    Row{"BytesReceived", &Counters::bytes_received},
    Row{"MaxConn", &Counters::max_conn},
    Row{"ActiveOpens", &Counters::active_opens},
    Row{"PassiveOpens", &Counters::passive_opens},
    Row{"CurrEstab", &Counters::curr_estab},
    Row{"InErrs", &Counters::in_errs},
    Row{"InCsumErrors", &Counters::in_csum_errors},
    Row{"KCPInErrors", &Counters::kcp_in_errors},
    Row{"InPkts", &Counters::in_pkts},
    Row{"OutPkts", &Counters::out_pkts},
    Row{"InSegs", &Counters::in_segs},
    Row{"OutSegs", &Counters::out_segs},
    Row{"InBytes", &Counters::in_bytes},
    Row{"OutBytes", &Counters::out_bytes},
    Row{"RetransSegs", &Counters::retrans_segs},
    Row{"FastRetransSegs", &Counters::fast_retrans_segs},
    Row{"EarlyRetransSegs", &Counters::early_retrans_segs},
    Row{"LostSegs", &Counters::lost_segs},
    Row{"RepeatSegs", &Counters::repeat_segs},
    Row{"FECFullShards", &Counters::fec_full_shards},
    Row{"FECParityShards", &Counters::fec_parity_shards},
    Row{"FECErrs", &Counters::fec_errs},
    Row{"FECRecovered", &Counters::fec_recovered},
    Row{"FECShardSet", &Counters::fec_shard_set},
    Row{"FECShardMin", &Counters::fec_shard_min},
    Row{"RingBufferSndQueue", &Counters::ring_snd_queue},
    Row{"RingBufferRcvQueue", &Counters::ring_rcv_queue},
    Row{"RingBufferSndBuffer", &Counters::ring_snd_buffer},
    Row{"OOBPackets", &Counters::oob_packets},
};

}  // namespace

void Counters::add_link(const Link& link, bool live) {
  const Kcp& kcp = link.kcp();
  const SendWindow& sending = kcp.send_window();
  bytes_sent += kcp.counters().stream_bytes_out;
  bytes_received += kcp.counters().stream_bytes_in;
  kcp_in_errors += kcp.counters().errors;
  in_segs += kcp.counters().in_segments;
  out_segs += kcp.counters().out_segments;
  retrans_segs += kcp.counters().retransmitted;
  fast_retrans_segs += sending.counters().lost_by_packet_threshold + sending.counters().lost_by_time;
  lost_segs += sending.counters().timed_out + sending.counters().probes;
  repeat_segs += kcp.counters().repeated;
  fec_full_shards += link.fec().counters().full_groups;
  fec_parity_shards += link.fec().counters().parity_received;
  fec_errs += link.fec().counters().errors;
  fec_recovered += link.fec().counters().recovered;
  oob_packets += link.out_of_band();
  if (!live) return;
  ++curr_estab;
  fec_shard_set += link.fec().open_groups();
  fec_shard_min = std::max<std::uint64_t>(fec_shard_min, link.fec().newest_done().value_or(0));
  ring_snd_queue += sending.end() - sending.next();
  ring_snd_buffer += sending.next() - sending.una();
  ring_rcv_queue += kcp.receive_window().window() - kcp.receive_window().free();
}

void Counters::add_udp(const UdpSocket::Counters& udp) {
  in_pkts += udp.datagrams_received;
  out_pkts += udp.datagrams_sent;
  in_bytes += udp.bytes_received;
  out_bytes += udp.bytes_sent;
  in_errs += udp.receive_errors + udp.truncated + udp.malformed + udp.misrouted;
}

void Counters::add(const Counters& other) {
  const std::uint64_t largest = std::max(fec_shard_min, other.fec_shard_min);
  for (const Row& row : kRows) this->*row.field += other.*row.field;
  fec_shard_min = largest;
}

std::vector<std::pair<std::string_view, std::uint64_t>> named_values(const Counters& counters) {
  std::vector<std::pair<std::string_view, std::uint64_t>> values;
  for (const Row& row : kRows) values.emplace_back(row.name, counters.*row.field);
  return values;
}

std::string to_text(const Counters& counters) {
  std::string text;
  for (const Row& row : kRows) {
    if (!text.empty()) text += ' ';
    text.append(row.name).append("=").append(std::to_string(counters.*row.field));
  }
  return text;
}

std::string csv_names() {
  std::string text;
  for (const Row& row : kRows) text.append(text.empty() ? "" : ",").append(row.name);
  return text;
}

std::string csv_values(const Counters& counters) {
  std::string text;
  for (const Row& row : kRows)
    text.append(text.empty() ? "" : ",").append(std::to_string(counters.*row.field));
  return text;
}

}  // namespace kcptun
