// Tells that this host's addresses or routes may have changed.
#pragma once

#include <uv.h>

#include <functional>
#include <memory>

#include "daemon/io/uv_handles.h"
#include "daemon/system/file_descriptor.h"

namespace kcptun {

/// Listens to the kernel's announcements (rtnetlink(7): links, addresses, routes) and says that there were
/// some, kSettle after the first of a burst. What they say is not read: whoever is told asks the kernel for
/// what he needs.
class NetworkWatch {
 public:
  /// A change comes as many announcements: the old address goes, its routes, then the new ones come.
  static constexpr std::uint64_t kSettleMs = 100;

  /// Where the kernel has no such socket or no watch to give, nothing is ever told: see works().
  NetworkWatch(uv_loop_t& loop, std::function<void()> changed);
  bool works() const { return socket_.valid(); }

 private:
  void drain();

  FileDescriptor socket_;
  std::unique_ptr<TimerHandle> settle_;
  std::unique_ptr<PollHandle> poll_;  // goes before the socket
  bool settling_ = false;
};

}  // namespace kcptun
