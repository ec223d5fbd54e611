// Reports that this host's addresses or routes may have changed.
#pragma once

#include <uv.h>

#include <functional>
#include <memory>

#include "daemon/io/uv_handles.h"
#include "daemon/system/file_descriptor.h"

namespace kcptun {

/// Subscribes to the kernel's notifications (rtnetlink(7): links, addresses, routes) and calls `changed`
/// kSettleMs after the first of a burst. It does not parse them: the callback queries the kernel for the
/// state it needs.
class NetworkWatch {
 public:
  /// A change causes a burst: the old address and its routes go, then the new ones appear.
  static constexpr std::uint64_t kSettleMs = 100;

  /// If the kernel has no such socket or no epoll watch left, `changed` is never called: see works().
  NetworkWatch(uv_loop_t& loop, std::function<void()> changed);
  bool works() const { return socket_.valid(); }

 private:
  void drain();

  FileDescriptor socket_;
  std::unique_ptr<TimerHandle> settle_;
  std::unique_ptr<PollHandle> poll_;  // destroyed before the socket
  bool settling_ = false;
};

}  // namespace kcptun
