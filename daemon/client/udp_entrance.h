// A UDP entrance: what applications send to a local port goes to one destination behind the server, or to
// where it was sent before a firewall's TPROXY led it here.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/proxy/socks5_address.h"
#include "daemon/client/flow_entrance.h"
#include "daemon/engine/engine.h"
#include "daemon/engine/session.h"
#include "daemon/io/uv_handles.h"
#include "daemon/log/log.h"
#include "daemon/metrics/forward_counters.h"
#include "daemon/net/flow_socket.h"
#include "daemon/net/transparent_replies.h"

namespace kcptun {

class ClientFlow;

/// Opens a flow for each local source address, and gives each its answers from the port that it sent to.
/// Bounds: kMaxFlows, and kMaxFlowsPerIp of them for one IP address. Datagrams of further sources are dropped
/// and counted.
class UdpEntrance final : public FlowEntrance {
 public:
  /// Flows of an entrance. Sources can be forged on a network, and each flow is a stream at the server.
  static constexpr std::size_t kMaxFlows = 16384;
  /// Flows of one IP address, so that one host cannot take all.
  static constexpr std::size_t kMaxFlowsPerIp = 4096;
  /// After a flow was refused, no other is opened for so long: otherwise each datagram would ask again.
  static constexpr Duration kRefusedPause = seconds(1);

  struct Counters {
    std::uint64_t opened = 0;
    std::uint64_t refused = 0;       // flows, by the server
    std::uint64_t overflowed = 0;    // datagrams of sources beyond the bounds
    std::uint64_t unserved = 0;      // datagrams for which there was no session, or in the pause
    std::uint64_t unredirected = 0;  // datagrams that no rule has led here
  };

  /// References outlive the entrance, which outlives the flows. `target`: none: each datagram's own, as
  /// TPROXY leaves it. `name`: of the tunnel.
  UdpEntrance(Engine& engine, FlowSocket socket, const std::optional<Socks5Address>& target,
              Sessions& sessions, std::string name);
  ~UdpEntrance() override;

  /// False, with errno: the system refuses to watch the socket.
  [[nodiscard]] bool start() { return poll_->watch(UV_READABLE); }
  void stop() { (void)poll_->watch(0); }
  /// Counts in these, too. They outlive the entrance.
  void count_in(ForwardCounters& counters) { forward_counters_ = &counters; }

  // --- called by flows ---
  void deliver(const IpEndpoint& source, const AddressedDatagram& datagram) override;
  void flush() override { socket_.flush(); }
  void forget(const IpEndpoint& source) override;
  void handle_refused(const std::string& reason) override;

  Engine& engine() override { return engine_; }
  const IpEndpoint& local() const { return socket_.local(); }
  std::size_t flows() const { return flows_.size(); }
  const Counters& counters() const { return counters_; }

 private:
  using Ip = std::array<std::uint8_t, 16>;
  struct IpHash {
    std::size_t operator()(const Ip& ip) const { return IpEndpointHash{}({ip, 0, 0}); }
  };

  void handle_readable();
  void handle_datagram(const FlowDatagramView& datagram);
  ClientFlow* find_or_open(const IpEndpoint& source);
  bool is_own(const IpEndpoint& address) const;
  void report_reply_failure(const IpEndpoint& from, int error);

  Engine& engine_;
  FlowSocket socket_;
  const std::optional<Socks5Address> destination_;
  std::vector<std::uint8_t> target_;  // destination_ encoded
  TransparentReplies replies_;        // without destination_
  Sessions& sessions_;
  const std::string name_;
  FlowArena arena_;
  std::unordered_map<IpEndpoint, ClientFlow*, IpEndpointHash> flows_;  // sessions own them
  std::unordered_map<Ip, std::size_t, IpHash> flows_of_ip_;
  std::optional<TimePoint> paused_until_;
  std::optional<TimePoint> logged_at_;        // when a refusal was last logged
  std::optional<TimePoint> reply_logged_at_;  // when a failed reply was last logged
  std::unique_ptr<PollHandle> poll_;
  Counters counters_;
  ForwardCounters own_forward_counters_;
  ForwardCounters* forward_counters_ = &own_forward_counters_;
};

}  // namespace kcptun
