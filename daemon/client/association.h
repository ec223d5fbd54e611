// A UDP association of SOCKS5 (RFC 1928 section 7): an application's datagrams to any destination.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "daemon/client/flow_entrance.h"
#include "daemon/io/uv_handles.h"
#include "daemon/metrics/forward_counters.h"
#include "daemon/net/flow_socket.h"

namespace kcptun {

class ClientFlow;

/// Has a UDP port of its own, at the address at which the application connected. Takes datagrams of the host
/// that connected, and of its first port only. All of them share one flow. Lives as long as the connection.
/// Drops fragments, which RFC 1928 permits.
class Association final : public FlowEntrance {
 public:
  struct Counters {
    std::uint64_t malformed = 0;  // datagrams without the header, or fragments
    std::uint64_t foreign = 0;    // from another source than the application
    std::uint64_t unserved = 0;   // for which there was no session
  };
  struct Environment {
    Engine& engine;
    Sessions& sessions;
    FlowArena& arena;
    ForwardCounters& counters;  // of the forward
    std::string entrance;       // where the forward listens
    std::string_view tunnel;    // its name
    FlowSocket::Options sockets{};
  };
  using Ended = std::function<void(Association&)>;

  /// References outlive the association, which outlives its flow. `ended` may destroy it after the callbacks
  /// in progress.
  Association(const Environment& environment, FileDescriptor connection, Ended ended);
  ~Association() override;

  /// Opens the port and replies to the application. False: the association is of no use.
  bool begin();
  /// Ends the flow, without a call of `ended`.
  void close();

  Engine& engine() override { return environment_.engine; }
  void deliver(const IpEndpoint& source, const AddressedDatagram& datagram) override;
  void flush() override;
  void forget(const IpEndpoint& source) override;
  void handle_refused(const std::string& reason) override;

  const Counters& counters() const { return counters_; }

 private:
  void handle_connection();
  void handle_readable();
  void handle_datagram(const FlowDatagramView& datagram);
  ClientFlow* flow();
  void end();

  Environment environment_;
  FileDescriptor connection_;
  Ended ended_;
  IpEndpoint host_;                   // the application's, without its port
  std::optional<IpEndpoint> source_;  // the application's, once it has sent
  std::optional<FlowSocket> socket_;
  ClientFlow* flow_ = nullptr;                    // its session owns it
  std::deque<std::vector<std::uint8_t>> queued_;  // datagrams that socket_ refers to
  bool over_ = false;
  Counters counters_;
  std::unique_ptr<PollHandle> connection_poll_;
  std::unique_ptr<PollHandle> socket_poll_;
};

}  // namespace kcptun
