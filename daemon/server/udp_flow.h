// A UDP flow at the server: the peer's stream and datagrams at one side, a socket at the other.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "core/proxy/datagram_frame.h"
#include "daemon/engine/deadlines.h"
#include "daemon/engine/flow_stream.h"
#include "daemon/engine/stream_end.h"
#include "daemon/io/uv_handles.h"
#include "daemon/net/flow_socket.h"
#include "daemon/server/flow_destinations.h"

namespace kcptun {

/// The flows of one worker share a bound and the memory that they receive into.
struct FlowShare {
  /// Flows of a worker. Each has a descriptor; a scan of all ports through one client must not use up those
  /// of the process.
  static constexpr std::size_t kMaxFlows = 16384;

  FlowArena arena;
  FlowSocket::Options sockets;  // of the flows
  std::size_t flows = 0;
  std::size_t lookups = 0;    // of names, in progress
  std::uint64_t refused = 0;  // flows beyond the bound, or without a socket
  std::uint64_t denied = 0;   // datagrams, by the rules, or to a name that does not resolve
};

/// Sends each datagram of the client to the destination that it names, if the policy allows that, and what
/// comes from these destinations to the client. Ends with its stream, or after kIdle without a datagram.
/// Bounds: FlowDestinations, FlowStream, kMaxHeld.
class UdpFlow final : public StreamEnd, private Deadline {
 public:
  /// RFC 4787 section 4.3 asks NATs for 2 min; applications send keepalives at most 30 s apart because many
  /// NATs keep 60 s or less.
  static constexpr Duration kIdle = seconds(60);
  /// Of a flow that sent to port 53 only: a resolver uses a new port for each question.
  static constexpr Duration kIdleDns = seconds(10);
  /// Bytes of datagrams that wait for a name to be resolved; more are dropped.
  static constexpr std::size_t kMaxHeld = 65536;

  struct Counters {
    std::uint64_t malformed = 0;    // datagrams without an address
    std::uint64_t unsolicited = 0;  // from an address to which the flow has not sent
    std::uint64_t held_back = 0;    // dropped: too many waited for a name
  };

  /// Null if the share is used up or there is no socket. All references outlive the flow. `reply`: what the
  /// client receives first.
  static std::unique_ptr<UdpFlow> open(Session& session, std::uint32_t sid, const FlowPolicy& policy,
                                       FlowShare& share, Bytes reply);
  ~UdpFlow() override;

  void handle_data(MutableBytes data) override;
  void handle_datagram(MutableBytes datagram) override;
  void handle_round_end() override { socket_.flush(); }
  void handle_room() override { stream_.write_unsent(*this); }
  void handle_peer_ended() override { end(); }
  void handle_gone() override { leave(); }

  const Counters& counters() const { return counters_; }
  const FlowDestinations& destinations() const { return destinations_; }
  const FlowSocket& socket() const { return socket_; }

 private:
  UdpFlow(Session& session, std::uint32_t sid, const FlowPolicy& policy, FlowShare& share, FlowSocket socket);

  void handle_deadline(TimePoint now) override;
  void handle_readable();
  void handle_resolved();
  void hold(MutableBytes datagram);
  void touch();
  Duration idle_limit() const { return destinations_.only_dns() ? kIdleDns : kIdle; }
  void leave();
  void end();

  FlowShare& share_;
  FlowStream stream_;
  FlowDestinations destinations_;
  FlowSocket socket_;
  std::unique_ptr<PollHandle> poll_;
  DatagramFrameReader reader_;
  std::deque<std::vector<std::uint8_t>> held_;  // wait for a name
  std::size_t held_bytes_ = 0;
  TimePoint active_at_;  // when the last datagram came, from either side
  bool ended_ = false;   // it is about to be destroyed
  Counters counters_;
};

}  // namespace kcptun
