// Datagrams in fake TCP segments (docs/develop/protocol.md section 9, "tcp"). Each datagram is the payload of
// one PSH|ACK segment on a raw socket. The segment uses the ports and the sequence numbers of a real TCP
// connection of the kernel, which stays idle. This class is common to client and server: raw sockets,
// connections, batches.
//
// One thread drives it and it never blocks. Its descriptor is an epoll instance over all descriptors that it
// watches. Arriving segments are untrusted: only segments of connections with a completed handshake are
// accepted, so a flood of segments takes no memory.
#pragma once

#include <netinet/in.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <unordered_map>

#include "core/base/path.h"
#include "core/base/result.h"
#include "daemon/net/datagram_socket.h"
#include "daemon/net/faketcp/firewall.h"
#include "daemon/net/faketcp/raw_socket.h"
#include "daemon/net/faketcp/tcp_sequence.h"
#include "daemon/system/file_descriptor.h"

namespace kcptun {

/// A connection of the kernel, and the sequence numbers of the datagrams on it.
struct FakeTcpConnection {
  IpEndpoint remote;
  IpEndpoint local;
  FileDescriptor idle;  // the kernel's connection: TTL 1, receives no data segments
  TcpSequence sequence;
  FirewallRule rule;  // of a client's connection; a server has one rule for its ports
};

/// Turns an established connection of the kernel into an idle one for fake TCP. Nothing, with errno, if the
/// kernel rejects an option or the connection has already ended. The caller has installed the firewall rule.
std::optional<FakeTcpConnection> make_fake_tcp_connection(FileDescriptor established);

class FakeTcpSocket : public DatagramSocket {
 public:
  /// Connections of one socket at a time. A new connection beyond the limit replaces the least recently
  /// active one.
  static constexpr std::size_t kMaxConnections = 4096;
  struct Options {
    std::uint32_t index = 0;  // as in UdpOptions
    int buffer_bytes = 0;
    std::size_t max_connections = kMaxConnections;  // > 0
  };

  ~FakeTcpSocket() override;

  Received receive(ReceiveArena& arena) override;
  SendResult send(const TransmitBatch& batch, std::size_t position) override;
  bool set_dscp(std::uint8_t dscp) override;
  void set_buffers(int bytes) override;

  int fd() const override { return epoll_.get(); }
  std::uint32_t index() const override { return options_.index; }
  int receive_buffer_bytes() const override;
  int send_buffer_bytes() const override;
  const Counters& counters() const override { return counters_; }
  std::size_t connections() const { return connections_.size(); }

 protected:
  explicit FakeTcpSocket(const Options& options);

  /// Opens the raw socket of a family. The error gives the kernel's reason.
  Result<bool> open_raw(int family);
  bool filter_raw(const SegmentFilter& wanted);
  bool watch(int fd, std::uint32_t events);

  /// A descriptor that a subclass watches is ready.
  virtual void handle_ready(int fd) = 0;
  /// The connection for a path. Null: the packets `lost` are dropped, as any datagram may be.
  virtual FakeTcpConnection* connection_for(const Path& path, std::span<const Packet> lost) = 0;

  void add(FakeTcpConnection connection);
  FakeTcpConnection* find(const IpEndpoint& remote, const IpEndpoint& local);
  FakeTcpConnection* newest() { return connections_.empty() ? nullptr : &connections_.front(); }
  /// Sends packets of one connection. Packets that the kernel rejects are dropped.
  void send_now(FakeTcpConnection& connection, std::span<const Packet> packets);

  Counters counters_;

 private:
  using Connections = std::list<FakeTcpConnection>;
  struct Key {
    IpEndpoint remote;
    IpEndpoint local;
    bool operator==(const Key&) const = default;
  };
  struct KeyHash {
    std::size_t operator()(const Key& key) const {
      return IpEndpointHash{}(key.remote) * 31 + IpEndpointHash{}(key.local);
    }
  };
  struct Raw {
    std::optional<RawTcpSocket> socket;
    bool readable = false;
  };
  struct Outgoing;

  Raw& raw_of(bool ipv4) { return raw_[ipv4 ? 0 : 1]; }
  void poll();
  void drop(Connections::iterator connection);
  std::span<const ReceivedRun> take(std::span<const RawTcpSocket::Arrival> arrivals, ReceiveArena& arena);
  FakeTcpConnection* accept_segment(const RawTcpSocket::Arrival& arrival, TcpSegment& segment);
  void plan(const TransmitBatch& batch, std::size_t position, Outgoing& out);
  bool add_run(const TransmitBatch& batch, const TransmitBatch::Run& run, std::size_t position,
               Outgoing& out);
  std::size_t send_planned(Outgoing& out, SendResult& result);

  Options options_;
  FileDescriptor epoll_;
  std::array<Raw, 2> raw_;   // IPv4, IPv6
  Connections connections_;  // most recently active first
  std::unordered_map<Key, Connections::iterator, KeyHash> by_address_;
  std::unordered_map<int, Connections::iterator> by_descriptor_;
};

}  // namespace kcptun
