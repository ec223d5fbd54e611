// The memory that sockets receive into, and the message headers for it.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "core/base/packet.h"
#include "daemon/net/datagram_socket.h"

namespace kcptun {

/// The memory that receive() fills. Each loop has one, shared by its sockets. The kernel allocates pages on
/// first touch: a socket that receives single packets uses the first slot only, and an idle loop can release
/// all pages.
class ReceiveArena {
 public:
  /// Slots of one GRO message each; receive_arena.cc has the measurements behind the number.
  static constexpr std::size_t kGroSlots = 8;
  /// 64 KiB is the largest GRO message. The 5 extra cache lines keep slots from sharing L1 and L2 sets.
  static constexpr std::size_t kGroStride = 65536 + 5 * 64;
  /// Without GRO the same memory holds more, smaller slots. A datagram larger than a slot exceeds
  /// kMaxDatagram and cannot be a packet of this protocol.
  static constexpr std::size_t kPlainSlots = 64;
  static constexpr std::size_t kPlainStride = kPacketStride;

  ReceiveArena();
  ~ReceiveArena();
  ReceiveArena(const ReceiveArena&) = delete;
  ReceiveArena& operator=(const ReceiveArena&) = delete;

  /// Returns the pages to the system. Invalidates every view that receive() returned.
  void release();

  /// For sockets that fill the arena themselves: its bytes, and space for the runs that views refer to.
  MutableBytes memory() { return {memory_, kBytes}; }
  std::span<ReceivedRun> runs() { return runs_; }

 private:
  friend class UdpSocket;
  static constexpr std::size_t kBytes = kGroSlots * kGroStride;
  static constexpr std::size_t kSlots = kPlainSlots > kGroSlots ? kPlainSlots : kGroSlots;
  static_assert(kPlainSlots * kPlainStride <= kBytes);
  /// Space for UDP_GRO's int and the larger packet info.
  static constexpr std::size_t kControl = CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(in6_pktinfo));

  /// What a socket needs in the message headers.
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

  /// Prepares the headers for a call: all of them the first time, then only those that the last call used.
  void prepare(Layout layout);

  std::uint8_t* memory_;
  Layout layout_;
  std::size_t dirty_ = kSlots;  // headers that the kernel has written to
  std::array<mmsghdr, kSlots> headers_;
  std::array<iovec, kSlots> vectors_;
  std::array<sockaddr_in6, kSlots> names_;
  std::array<Control, kSlots> controls_;
  std::array<ReceivedRun, kSlots> runs_;
};

}  // namespace kcptun
