// One end of a UDP flow: a stream, and the datagrams of its session.
#pragma once

#include <cstdint>
#include <vector>

#include "core/base/bytes.h"
#include "core/proxy/datagram_frame.h"
#include "daemon/engine/session.h"

namespace kcptun {

/// Sends datagrams to the peer: in datagram packets where the peer takes them, else framed over the stream.
/// Bounds: kMaxUnsent bytes wait for room of the stream; datagrams beyond are dropped and counted.
class FlowStream {
 public:
  /// In bytes: one datagram of full size and as much again.
  static constexpr std::size_t kMaxUnsent = 2 * kMaxFrame;

  /// Which way datagrams take.
  enum class Way : std::uint8_t { kStream, kPackets };
  struct Counters {
    std::uint64_t framed = 0;   // datagrams sent over the stream
    std::uint64_t packets = 0;  // handed to the datagram channel
    std::uint64_t dropped = 0;  // for lack of room
  };

  /// The session outlives all calls; its engine outlives the stream.
  FlowStream(Session& session, std::uint32_t sid) : engine_(session.engine()), session_(session), sid_(sid) {}

  /// Bytes of the stream that are no datagram: requests and replies. REQUIRES: little, before all datagrams.
  void write(Bytes bytes, StreamEnd& end);
  /// The way that may be taken once the peer knows the flow.
  Way best_way() const {
    return session_.link().can_send_datagrams() && unsent_.empty() ? Way::kPackets : Way::kStream;
  }
  void send(Way way, Bytes address, Bytes payload, StreamEnd& end);
  /// A datagram of the peer goes on to its destination.
  void record_received(std::size_t payload) { session_.add_flow_traffic({.received = payload}); }
  /// The stream may have room again.
  void write_unsent(StreamEnd& end);

  Session& session() { return session_; }
  Engine& engine() { return engine_; }
  const Counters& counters() const { return counters_; }

 private:
  bool send_packet(Bytes address, Bytes payload);
  bool send_framed(Bytes address, Bytes payload, StreamEnd& end);

  Engine& engine_;
  Session& session_;
  const std::uint32_t sid_;
  std::vector<std::uint8_t> unsent_;
  Counters counters_;
};

}  // namespace kcptun
