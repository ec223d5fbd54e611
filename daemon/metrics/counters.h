// kcptun's counters (docs/develop/protocol.md section 9), summed over sessions and engines.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/link/link.h"
#include "daemon/net/udp_socket.h"

namespace kcptun {

/// Plain sums. CurrEstab, FECShardSet (FEC groups that wait for packets) and the RingBuffer counters
/// (segments in the queues) are current values. FECShardMin, the number of the last completed group, is the
/// maximum over all live sessions. All others only increase. EarlyRetransSegs is always 0: the segments that
/// kcptun counts there, retransmitted because no new data waits, are found as losses by the packet threshold
/// here (FastRetransSegs).
struct Counters {
  std::uint64_t bytes_sent = 0, bytes_received = 0;
  std::uint64_t max_conn = 0, active_opens = 0, passive_opens = 0, curr_estab = 0;
  std::uint64_t in_errs = 0, in_csum_errors = 0, kcp_in_errors = 0;
  std::uint64_t in_pkts = 0, out_pkts = 0, in_segs = 0, out_segs = 0, in_bytes = 0, out_bytes = 0;
  std::uint64_t retrans_segs = 0, fast_retrans_segs = 0, early_retrans_segs = 0, lost_segs = 0,
                repeat_segs = 0;
  std::uint64_t fec_full_shards = 0, fec_parity_shards = 0, fec_errs = 0, fec_recovered = 0;
  std::uint64_t fec_shard_set = 0, fec_shard_min = 0;
  std::uint64_t ring_snd_queue = 0, ring_rcv_queue = 0, ring_snd_buffer = 0, oob_packets = 0;

  /// Adds the totals of a session, and for a live session also its current values.
  void add_link(const Link& link, bool live);
  void add_udp(const UdpSocket::Counters& udp);
  void add(const Counters& other);
};

/// Each counter with its name, in kcptun's order.
std::vector<std::pair<std::string_view, std::uint64_t>> named_values(const Counters& counters);
/// "BytesSent=1 BytesReceived=2 ...", in kcptun's order.
std::string to_text(const Counters& counters);
/// "BytesSent,BytesReceived,..." and "1,2,...", in the same order.
std::string csv_names();
std::string csv_values(const Counters& counters);

}  // namespace kcptun
