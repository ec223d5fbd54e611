// A UDP socket that moves batches: sendmmsg of UDP_SEGMENT runs, recvmmsg with UDP_GRO, and what to do where
// the kernel, the driver or a tunnel interface has neither. Linux, IPv4 and IPv6.
//
// It knows the system calls and their errors. It must not know the loop (the daemon watches fd() with
// uv_poll_t), the clock, or what is in a datagram. One thread drives it; nothing blocks; nothing is allocated
// per packet.
//
// For the one who drives it with libuv: a pending ICMP error of a connected socket makes uv_poll_t call back
// with UV_EBADF and stop itself. Call receive() as usual (it takes the error away) and start the uv_poll_t
// again.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/uio.h>

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
#include "daemon/system/file_descriptor.h"

namespace kcptun {

/// The system calls that a test may replace, to play kernels that refuse.
struct UdpSyscalls {
  int (*send)(int fd, mmsghdr* messages, unsigned count, int flags) = ::sendmmsg;
  int (*receive)(int fd, mmsghdr* messages, unsigned count, int flags, timespec* timeout) = ::recvmmsg;
};

struct UdpOptions {
  std::uint32_t index = 0;  // goes into Path.socket of all that is received; send() takes runs with this one
  int buffer_bytes = 0;     // asked of the kernel for each direction; 0 keeps the system's default
  bool reuse_port = false;  // SO_REUSEPORT: one socket a loop on the same port
  bool receive_info = false;  // wildcard sockets: learn the address that the peer sent to, answer from it
  bool gso = true;            // these three are for tests and for kernels that lie
  bool gro = true;
  bool mmsg = true;
  UdpSyscalls syscalls;
};

/// The memory that receive() fills, one per loop, shared by its sockets. Pages exist only once touched: a
/// socket that gets a packet at a time keeps to the first slot, an idle loop can give all of it back.
class ReceiveArena {
 public:
  /// Slots of one GRO message each; the figures behind the choice are in udp_socket.cc.
  static constexpr std::size_t kGroSlots = 8;
  /// 64 KiB is the largest GRO message; the odd cache lines keep slots from sharing their L1 and L2 sets.
  static constexpr std::size_t kGroStride = 65536 + 5 * 64;
  /// Without GRO the same memory is cut finer. A datagram that doesn't fit is none of ours (kMaxDatagram).
  static constexpr std::size_t kPlainSlots = 64;
  static constexpr std::size_t kPlainStride = kPacketStride;

  ReceiveArena();
  ~ReceiveArena();
  ReceiveArena(const ReceiveArena&) = delete;
  ReceiveArena& operator=(const ReceiveArena&) = delete;

  /// Gives the pages back to the system. Ends the life of all that receive() returned.
  void release();

  /// For sockets that fill it in their own way: its bytes, and room for runs that views can point to.
  MutableBytes memory() { return {memory_, kBytes}; }
  std::span<ReceivedRun> runs() { return runs_; }

 private:
  friend class UdpSocket;
  static constexpr std::size_t kBytes = kGroSlots * kGroStride;
  static constexpr std::size_t kSlots = kPlainSlots > kGroSlots ? kPlainSlots : kGroSlots;
  static_assert(kPlainSlots * kPlainStride <= kBytes);
  /// Room for UDP_GRO's int and the larger packet info.
  static constexpr std::size_t kControl = CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(in6_pktinfo));

  /// What a socket wants in the message headers.
  struct Layout {
    bool gro = false;
    bool names = false;
    bool control = false;
    bool operator==(const Layout&) const = default;
    std::size_t slots() const { return gro ? kGroSlots : kPlainSlots; }
  };
  struct Control {
    alignas(cmsghdr) std::uint8_t bytes[kControl];
  };

  /// Makes the headers ready for a call; after the first one, only those that the last call used.
  void prepare(Layout layout);

  std::uint8_t* memory_;
  Layout layout_;
  std::size_t dirty_ = kSlots;  // headers that the kernel wrote to
  std::array<mmsghdr, kSlots> headers_;
  std::array<iovec, kSlots> vectors_;
  std::array<sockaddr_in6, kSlots> names_;
  std::array<Control, kSlots> controls_;
  std::array<ReceivedRun, kSlots> runs_;
};

class UdpSocket final : public DatagramSocket {
 public:
  using Options = UdpOptions;

  /// A socket that talks to everybody. IPv4 addresses get an AF_INET socket, IPv6 ones AF_INET6; "::" takes
  /// both families, or IPv4 alone when the host has no IPv6. The error names the address.
  static Result<UdpSocket> bind(const IpEndpoint& local, const Options& options);
  /// One that bind(local) opened, or a copy of its descriptor: with its port, and what has arrived there.
  static Result<UdpSocket> adopt(FileDescriptor bound, const IpEndpoint& local, const Options& options);
  /// A socket on a new local port that talks to `remote` only. The error names the address. `reserved`: an unconnected
  /// socket of the remote's family to be used, if there is one.
  static Result<UdpSocket> connect(const IpEndpoint& remote, const Options& options,
                                   FileDescriptor reserved = FileDescriptor());

  /// One recvmmsg into the arena. Errors are counted, never returned: for UDP none of them is final.
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
  /// False while no message is segmented, whoever it is for.
  bool uses_gso() const { return gso_ && counters_.datagrams_sent >= gso_paused_until_; }
  bool uses_gro() const { return gro_; }
  int receive_buffer_bytes() const override { return receive_buffer_; }
  int send_buffer_bytes() const override { return send_buffer_; }
  /// Datagrams that the kernel threw away because the receive buffer was full. A system call.
  std::uint32_t kernel_drops() const;
  const Counters& counters() const override { return counters_; }

 private:
  struct Outgoing;
  /// Closes what it owns.
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
  /// A peer whose path refused GSO with segments of `size` bytes or more.
  struct StartupError {
    IpEndpoint remote;
    std::uint32_t size = 0;
    std::uint64_t until = 0;  // Counters::datagrams_sent: then it is tried again
  };

 public:
  /// Peers that are remembered. When so many in a row refuse every size, it is the device's doing: nothing is segmented
  /// for a while.
  static constexpr std::size_t kRefusals = 8;
  /// A path, a route or a device may change. After so many datagrams of the socket GSO is tried again: one failed call
  /// among thousands, where nothing has changed.
  static constexpr std::uint64_t kRetryGsoAfter = 65536;

 private:

  UdpSocket(int descriptor, int family, const Options& options);
  static Result<UdpSocket> open(int family, const Options& options, const std::string& name);
  void learn_local();
  bool ask_for_destinations();

  void set_fragments(TransmitBatch::Fragments fragments);
  bool may_segment(const IpEndpoint& remote, std::uint32_t size) const;
  void plan(const TransmitBatch& batch, std::size_t position, Outgoing& out) const;
  void address(const Path& path, Outgoing& out, mmsghdr& message) const;
  int send_messages(mmsghdr* messages, unsigned count);
  std::size_t account_sent(const mmsghdr* messages, int count);
  bool worth_repeating(int error, const TransmitBatch& batch, std::size_t front, Outgoing& out);
  void stop(int error, const TransmitBatch& batch, std::size_t front, const Outgoing& out,
            SendResult& result);
  bool refused_gso(const Path& path, std::uint32_t size, int error);

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
  TransmitBatch::Fragments fragments_ = TransmitBatch::Fragments::kAllowed;  // of what is sent now
  bool is_any_ = false;        // bound to a wildcard
  bool receive_info_ = false;  // only true when is_any_: else there is one local address
  bool gso_;
  bool gro_;
  bool mmsg_;
  int receive_buffer_ = 0;
  int send_buffer_ = 0;
  std::array<StartupError, kRefusals> refusals_;  // the last ones
  std::size_t refusal_count_ = 0;            // ever
  std::size_t refused_in_a_row_ = 0;         // by the device, each for another peer, and no GSO message since
  std::uint64_t gso_paused_until_ = 0;       // Counters::datagrams_sent
  Counters counters_;
};

}  // namespace kcptun
