#include "daemon/metrics/counters.h"

#include <catch2/catch.hpp>
#include <sstream>

namespace kcptun::counters_test {

// docs/develop/protocol.md section 9: names and order.
TEST_CASE("the counters' text has every name of kcptun's, in its order") {
  const char* const kNames =
      "BytesSent BytesReceived MaxConn ActiveOpens PassiveOpens CurrEstab InErrs InCsumErrors KCPInErrors "
      "InPkts "
      "OutPkts InSegs OutSegs InBytes OutBytes RetransSegs FastRetransSegs EarlyRetransSegs LostSegs "
      "RepeatSegs "
      "FECFullShards FECParityShards FECErrs FECRecovered FECShardSet FECShardMin RingBufferSndQueue "
      "RingBufferRcvQueue RingBufferSndBuffer OOBPackets";
  std::string expected;
  std::istringstream names(kNames);
  for (std::string name; names >> name;) expected += (expected.empty() ? "" : " ") + name + "=0";
  CHECK(to_text(Counters{}) == expected);
}

TEST_CASE("each counter stands behind its name, and sums add each") {
  // All fields have the same type: fills them with 1, 2, 3 ... in declaration order.
  Counters counters;
  constexpr std::size_t kFields = sizeof(Counters) / sizeof(std::uint64_t);
  CHECK(kFields == 30);
  counters.bytes_sent = 1;
  counters.bytes_received = 2;
  counters.max_conn = 3;
  counters.active_opens = 4;
  counters.passive_opens = 5;
  counters.curr_estab = 6;
  counters.in_errs = 7;
  counters.in_csum_errors = 8;
  counters.kcp_in_errors = 9;
  counters.in_pkts = 10;
  counters.out_pkts = 11;
  counters.in_segs = 12;
  counters.out_segs = 13;
  counters.in_bytes = 14;
  counters.out_bytes = 15;
  counters.retrans_segs = 16;
  counters.fast_retrans_segs = 17;
  counters.early_retrans_segs = 18;
  counters.lost_segs = 19;
  counters.repeat_segs = 20;
  counters.fec_full_shards = 21;
  counters.fec_parity_shards = 22;
  counters.fec_errs = 23;
  counters.fec_recovered = 24;
  counters.fec_shard_set = 25;
  counters.fec_shard_min = 26;
  counters.ring_snd_queue = 27;
  counters.ring_rcv_queue = 28;
  counters.ring_snd_buffer = 29;
  counters.oob_packets = 30;
  counters.add(counters);
  std::istringstream text(to_text(counters));
  std::uint64_t expected = 0;
  for (std::string field; text >> field;) {
    expected += 2;
    INFO(field);
    const bool is_number_of_group = field.starts_with("FECShardMin=");  // the largest, not a sum
    CHECK(field.substr(field.find('=') + 1) == std::to_string(is_number_of_group ? expected / 2 : expected));
  }
  CHECK(expected == 60);
}

TEST_CASE("the comma-separated names and values are the text's") {
  Counters counters;
  counters.bytes_sent = 18446744073709551615u;
  counters.oob_packets = 7;
  std::istringstream text(to_text(counters)), names(csv_names()), values(csv_values(counters));
  std::size_t columns = 0;
  for (std::string field, name, value; text >> field; ++columns) {
    REQUIRE(std::getline(names, name, ','));
    REQUIRE(std::getline(values, value, ','));
    CHECK(field == name + "=" + value);
  }
  CHECK(columns == 30);
  CHECK((names.eof() && values.eof()));
}

TEST_CASE("what a socket did is counted under the names of packets and bytes") {
  UdpSocket::Counters udp;
  udp.datagrams_sent = 3;
  udp.bytes_sent = 300;
  udp.datagrams_received = 4;
  udp.bytes_received = 400;
  udp.receive_errors = 1;
  udp.truncated = 2;
  udp.malformed = 4;
  udp.misrouted = 8;
  Counters counters;
  counters.add_udp(udp);
  CHECK(counters.out_pkts == 3);
  CHECK(counters.out_bytes == 300);
  CHECK(counters.in_pkts == 4);
  CHECK(counters.in_bytes == 400);
  CHECK(counters.in_errs == 15);
}

}  // namespace kcptun::counters_test
