// Datagrams in the disguise of TCP (docs/protocol.md section 9, "tcp"): each is the payload of one PSH|ACK
// segment on a raw socket, between the ports, and over the sequence numbers, of a real TCP connection of the
// kernel that stays idle. What the client's and the server's side have in common: raw sockets, connections,
// batches.
//
// One thread drives it; nothing blocks. Its descriptor is an epoll instance over all that it watches. What
// arrives is the enemy's: a segment counts only if it belongs to a connection whose handshake the kernel has
// seen through, so that a flood of segments costs no memory.
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

/// A connection of the kernel's and the datagrams' place in it.
struct FakeTcpConnection {
  IpEndpoint remote;
  IpEndpoint local;
  FileDescriptor idle;  // the kernel's connection: TTL 1, and deaf to data
  TcpSequence sequence;
  FirewallRule rule;  // the client's; a server's is for its ports
};

/// An established, silent connection made of the kernel's. Nothing, with errno, when the kernel refuses, or
/// it has ended already. The caller has the firewall rule in place.
std::optional<FakeTcpConnection> disguise(FileDescriptor established);

class FakeTcpSocket : public DatagramSocket {
 public:
  /// Connections of one socket at once; the one that was silent for longest makes way.
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

  /// Opens the raw socket of a family. The error says what the kernel refused.
  Result<bool> open_raw(int family);
  bool filter_raw(const SegmentFilter& wanted);
  bool watch(int fd, std::uint32_t events);

  /// Something that a subclass watches is ready.
  virtual void handle_ready(int fd) = 0;
  /// The connection for a path, or null: its packets are lost then, as packets may be.
  virtual FakeTcpConnection* connection_for(const Path& path, std::span<const Packet> lost) = 0;

  void add(FakeTcpConnection connection);
  FakeTcpConnection* find(const IpEndpoint& remote, const IpEndpoint& local);
  FakeTcpConnection* newest() { return connections_.empty() ? nullptr : &connections_.front(); }
  /// Sends packets of one connection, as far as the kernel takes them: all, or lost.
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
  Connections connections_;  // the last that was heard of first
  std::unordered_map<Key, Connections::iterator, KeyHash> by_address_;
  std::unordered_map<int, Connections::iterator> by_descriptor_;
};

}  // namespace kcptun
