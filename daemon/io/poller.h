// The descriptors that one libuv loop watches.
#pragma once

#include <sys/epoll.h>
#include <uv.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "core/base/result.h"
#include "daemon/system/file_descriptor.h"

namespace kcptun {

class PollHandle;

/// An epoll instance that a libuv loop watches as one descriptor. libuv's own uv_poll_t removes and re-adds
/// its watch at each change, and aborts the process if the system has no watch left
/// (fs.epoll.max_user_watches, kernel memory). With this class only the first request can fail. A granted
/// watch remains until its descriptor is removed, and changing it cannot fail. Used by PollHandle only, on
/// the loop's thread. Owned by UvLoop.
class Poller {
 public:
  /// The error names the resource that the system refused.
  static Result<std::unique_ptr<Poller>> open(uv_loop_t& loop);
  ~Poller();
  Poller(const Poller&) = delete;
  Poller& operator=(const Poller&) = delete;

  /// The poller of a loop that is owned by a UvLoop.
  static Poller& of(uv_loop_t& loop);

  /// Adds a watch without events. False, with errno: the system refused it.
  bool add(PollHandle& handle, int fd);
  /// `events`: flags of epoll_ctl(2); 0 reports none. REQUIRES: add() succeeded.
  void change(PollHandle& handle, int fd, std::uint32_t events);
  /// REQUIRES: add() succeeded.
  void remove(PollHandle& handle, int fd);
  /// Keeps the loop alive while any handle watches events.
  void count_active(int change);

 private:
  // Descriptors per wake-up; the remaining ones follow in the next.
  static constexpr std::size_t kBatch = 512;

  explicit Poller(FileDescriptor epoll) : epoll_(std::move(epoll)) {}
  Result<bool> start(uv_loop_t& loop);
  void dispatch();

  FileDescriptor epoll_;
  uv_poll_t* handle_ = nullptr;
  int active_ = 0;
  std::array<epoll_event, kBatch> batch_;
  std::size_t batch_size_ = 0;  // while callbacks run
};

}  // namespace kcptun
