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

/// An epoll instance inside a libuv loop, which watches it as one descriptor. libuv's own uv_poll_t takes its
/// watch back and asks for it anew at each change, and aborts the process when the system then has none left
/// (fs.epoll.max_user_watches, kernel memory). Here a refusal is the answer to the first request; a watch that
/// was granted stays until its descriptor is removed, and changing it cannot fail.
/// Used by PollHandle alone, on the loop's thread. Owned by UvLoop.
class Poller {
 public:
  /// The error says what the system would not give.
  static Result<std::unique_ptr<Poller>> open(uv_loop_t& loop);
  ~Poller();
  Poller(const Poller&) = delete;
  Poller& operator=(const Poller&) = delete;

  /// The poller of a loop that a UvLoop owns.
  static Poller& of(uv_loop_t& loop);

  /// Asks for a watch that reports nothing yet. False, with errno: the system refuses.
  bool add(PollHandle& handle, int fd);
  /// `events` of epoll_ctl(2); 0: nothing is reported. REQUIRES: add() succeeded.
  void change(PollHandle& handle, int fd, std::uint32_t events);
  /// REQUIRES: add() succeeded.
  void remove(PollHandle& handle, int fd);
  /// As long as a handle wants events, the loop has something to wait for.
  void count_active(int change);

 private:
  static constexpr std::size_t kBatch = 512;  // descriptors in one wake-up; the others have their turn in the next

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
