// A UDP socket that moves batches: sendmmsg with UDP_SEGMENT, recvmmsg with UDP_GRO, and fallbacks where the
// kernel, the driver or a tunnel interface supports neither. Linux, IPv4 and IPv6.
//
// It handles the system calls and their errors. It does not depend on the event loop (the daemon watches
// fd()), the clock or the contents of datagrams. One thread drives it. It never blocks and allocates nothing
// per packet.
//
// Under libuv, a pending ICMP error on a connected socket makes uv_poll_t report UV_EBADF and stop. The owner
// calls receive() as usual, which consumes the error, and restarts the uv_poll_t.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <span>
#include <string>
#include <utility>

#include "core/base/packet.h"
#include "core/base/path.h"
#include "core/base/result.h"
#include "daemon/net/datagram_socket.h"
#include "daemon/net/receive_arena.h"
#include "daemon/net/uplink.h"
#include "daemon/system/file_descriptor.h"

namespace kcptun {

/// The system calls, without flags, whose type differs between C libraries. Tests replace them to simulate
/// kernels that return errors.
struct UdpSyscalls {
  int (*send)(int fd, mmsghdr* messages, unsigned count, int flags) =
      [](int fd, mmsghdr* messages, unsigned count, int) { return ::sendmmsg(fd, messages, count, 0); };
  int (*receive)(int fd, mmsghdr* messages, unsigned count, int flags,
                 timespec* timeout) = [](int fd, mmsghdr* messages, unsigned count, int, timespec* timeout) {
    return ::recvmmsg(fd, messages, count, 0, timeout);
  };
};

struct UdpOptions {
  // Stored in Path.socket of received packets; send() sends the runs with this index.
  std::uint32_t index = 0;
  int buffer_bytes = 0;       // requested for each direction; 0: the system's default
  bool reuse_port = false;    // SO_REUSEPORT: one socket per loop on the same port
  bool receive_info = false;  // wildcard sockets: record the address that the peer sent to, and reply from it
  Uplink uplink{};            // of connect()
  bool gso = true;            // the next three are for tests and for kernels whose support is broken
  bool gro = true;
  bool mmsg = true;
  UdpSyscalls syscalls;
};

class UdpSocket final : public DatagramSocket {
 public:
  using Options = UdpOptions;

  /// An unconnected socket. An IPv4 address gets an AF_INET socket, an IPv6 address an AF_INET6 socket. "::"
  /// covers both families, or IPv4 alone if the host has no IPv6. The error names the address.
  static Result<UdpSocket> bind(const IpEndpoint& local, const Options& options);
  /// Adopts a socket that bind(local) opened, or a duplicate of it, with its port and its queued datagrams.
  static Result<UdpSocket> adopt(FileDescriptor bound, const IpEndpoint& local, const Options& options);
  /// A socket on a new local port, connected to `remote`. The error names the address. `reserved`: an
  /// unconnected socket of the remote's family to use instead of a new one; may be invalid.
  static Result<UdpSocket> connect(const IpEndpoint& remote, const Options& options,
                                   FileDescriptor reserved = FileDescriptor());

  /// One recvmmsg into the arena. Counts errors and never returns them: no error of a UDP socket is final.
  Received receive(ReceiveArena& arena) override;

  SendResult send(const TransmitBatch& batch, std::size_t position) override;

  bool set_dscp(std::uint8_t dscp) override;

  void set_buffers(int bytes) override;

  int fd() const override { return fd_.get(); }
  std::uint32_t index() const override { return index_; }
  const IpEndpoint& local() const override { return local_; }
  /// REQUIRES: connected().
  const IpEndpoint& remote() const { return remote_; }
  bool connected() const { return connected_; }
  bool dual_stack() const { return family_ == AF_INET6 && is_any_; }
  /// False while GSO is disabled for all peers.
  bool uses_gso() const override { return gso_ && counters_.datagrams_sent >= gso_paused_until_; }
  bool uses_gro() const override { return gro_; }
  int receive_buffer_bytes() const override { return receive_buffer_; }
  int send_buffer_bytes() const override { return send_buffer_; }
  /// Datagrams that the kernel dropped because the receive buffer was full. Makes a system call.
  std::uint32_t kernel_drops() const;
  const Counters& counters() const override { return counters_; }

 private:
  struct Outgoing;
  /// Closes the descriptor it owns.
  class Descriptor {
   public:
    explicit Descriptor(int fd) : fd_(fd) {}
    Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    Descriptor& operator=(Descriptor&& other) noexcept {
      std::swap(fd_, other.fd_);
      return *this;
    }
    ~Descriptor();
    int get() const { return fd_; }

   private:
    int fd_;
  };
  /// A peer whose path rejected GSO with segments of `size` bytes or more.
  struct GsoRejection {
    IpEndpoint remote;
    std::uint32_t size = 0;
    std::uint64_t until = 0;  // GSO is retried when Counters::datagrams_sent reaches this value
  };

 public:
  /// Peers that are remembered. If that many peers in a row reject GSO at any size, the device is the cause
  /// and GSO is disabled for all peers until gso_paused_until_.
  static constexpr std::size_t kMaxGsoRejections = 8;
  /// In datagrams sent on the socket. GSO is retried after that many, because a path, a route or a device may
  /// have changed. Where nothing has changed, the cost is one failed call among thousands.
  static constexpr std::uint64_t kRetryGsoAfter = 65536;

 private:
  UdpSocket(int descriptor, int family, const Options& options);
  static Result<UdpSocket> open(int family, const Options& options, const std::string& name);
  void learn_local();
  bool enable_packet_info();

  void set_fragments(TransmitBatch::Fragments fragments);
  bool may_segment(const IpEndpoint& remote, std::uint32_t size) const;
  void plan(const TransmitBatch& batch, std::size_t position, Outgoing& out) const;
  void address(const Path& path, Outgoing& out, mmsghdr& message) const;
  int send_messages(mmsghdr* messages, unsigned count);
  std::size_t account_sent(const mmsghdr* messages, int count);
  bool should_retry(int error, const TransmitBatch& batch, std::size_t front, Outgoing& out);
  void stop(int error, const TransmitBatch& batch, std::size_t front, const Outgoing& out,
            SendResult& result);
  bool is_gso_error(const Path& path, std::uint32_t size, int error);

  int receive_messages(mmsghdr* messages, unsigned count);
  std::span<const ReceivedRun> collect(ReceiveArena& arena, std::size_t messages);
  bool fill_run(const mmsghdr& message, ReceivedRun& run) const;
  void read_control(const msghdr& header, ReceivedRun& run) const;

  Descriptor fd_;
  int family_;
  std::uint32_t index_;
  UdpSyscalls syscalls_;
  IpEndpoint local_;
  IpEndpoint remote_;
  bool connected_ = false;
  TransmitBatch::Fragments fragments_ = TransmitBatch::Fragments::kAllowed;  // of outgoing packets
  bool is_any_ = false;                                                      // bound to a wildcard address
  bool receive_info_ = false;  // only with is_any_; otherwise there is a single local address
  bool gso_;
  bool gro_;
  bool mmsg_;
  int receive_buffer_ = 0;
  int send_buffer_ = 0;
  std::array<GsoRejection, kMaxGsoRejections> gso_rejections_;  // the most recent ones
  std::size_t gso_rejection_count_ = 0;                         // in total
  // Rejected by the device, each for another peer, with no successful GSO message since.
  std::size_t consecutive_gso_rejections_ = 0;
  std::uint64_t gso_paused_until_ = 0;  // in Counters::datagrams_sent
  Counters counters_;
};

}  // namespace kcptun
