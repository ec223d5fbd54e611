// The UDP socket of applications and destinations: datagrams of any size, in batches.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/path.h"
#include "core/base/result.h"
#include "daemon/system/file_descriptor.h"

namespace kcptun {

/// A datagram that arrived, valid until the next receive() into its arena.
struct FlowDatagramView {
  IpEndpoint from;
  MutableBytes payload;
  IpEndpoint to{};  // of bind_tproxy(): where it was sent
};

/// The memory that flow sockets of one thread receive into: 8 messages of 64 KiB, which are one datagram or,
/// with GRO, several. Pages that are never touched cost nothing.
class FlowArena {
 public:
  static constexpr std::size_t kMessages = 8;
  static constexpr std::size_t kStride = 65536 + 5 * 64;

  FlowArena();

 private:
  friend class FlowSocket;
  std::unique_ptr<std::uint8_t[]> memory_;
  std::vector<FlowDatagramView> datagrams_;
};

/// Sends and receives with as few system calls as there are runs of equal destination and size (UDP_SEGMENT,
/// UDP_GRO). Never blocks: what the kernel does not take is dropped and counted, as a full queue does.
class FlowSocket {
 public:
  struct Counters {
    std::uint64_t sent = 0;
    std::uint64_t received = 0;
    std::uint64_t dropped = 0;  // that the kernel did not take
    std::uint64_t refused = 0;  // ICMP errors that the kernel reported
  };
  /// Datagrams that queue() holds before it flushes by itself.
  static constexpr std::size_t kMaxQueued = 128;

  struct Options {
    bool offload = true;  // UDP_SEGMENT and UDP_GRO where the kernel has them
  };

  /// Bound to the address; an unspecified port is chosen. "::" covers both families where the host has IPv6.
  static Result<FlowSocket> bind(const IpEndpoint& local, const Options& options);
  static Result<FlowSocket> bind(const IpEndpoint& local) { return bind(local, Options{}); }
  /// The same for datagrams to any address that a firewall's TPROXY leads here. Needs CAP_NET_ADMIN.
  static Result<FlowSocket> bind_tproxy(const IpEndpoint& local, const Options& options);
  /// A socket that one of these has bound to the address, or a duplicate, with its queued datagrams.
  static Result<FlowSocket> adopt(FileDescriptor bound, const IpEndpoint& local, const Options& options);

  /// What has arrived, at most one system call's worth. Empty: nothing is left.
  std::span<const FlowDatagramView> receive(FlowArena& arena);
  /// Sends the datagram with the next flush(), until which `payload` lives.
  void queue(const IpEndpoint& to, Bytes payload);
  void flush();

  int fd() const { return fd_.get(); }
  const IpEndpoint& local() const { return local_; }
  bool reaches(const IpEndpoint& to) const;
  const Counters& counters() const { return counters_; }

 private:
  struct Queued {
    IpEndpoint to;
    Bytes payload;
  };

  FlowSocket(FileDescriptor fd, int family, const Options& options)
      : fd_(std::move(fd)), family_(family), gso_(options.offload) {}
  enum class Destinations : std::uint8_t { kOwn, kForeignToo };
  static Result<FlowSocket> open(const IpEndpoint& address, Destinations destinations,
                                 const Options& options);
  static Result<FlowSocket> wrap(FileDescriptor bound, const IpEndpoint& local, const Options& options);
  std::size_t run_length(std::size_t first) const;
  bool send(std::size_t first, std::size_t count);
  void split(const msghdr& header, MutableBytes message, std::vector<FlowDatagramView>& into) const;

  FileDescriptor fd_;
  int family_;
  IpEndpoint local_;
  bool gso_;
  std::vector<Queued> queued_;
  Counters counters_;
};

}  // namespace kcptun
