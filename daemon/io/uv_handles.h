// libuv handles with one C++ owner each. The close callback frees them; they make no callback after their
// owner is gone.
#pragma once

#include <uv.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "core/base/result.h"
#include "daemon/io/poller.h"

namespace kcptun {

/// A libuv loop with a Poller.
class UvLoop {
 public:
  /// The error names the resource that the system refused.
  static Result<std::unique_ptr<UvLoop>> open();
  /// Runs the loop until all handles are closed. REQUIRES: all handles are closing or closed.
  ~UvLoop();
  UvLoop(const UvLoop&) = delete;
  UvLoop& operator=(const UvLoop&) = delete;

  uv_loop_t& get() { return uv_; }

 private:
  UvLoop() = default;
  Result<bool> start();

  uv_loop_t uv_{};
  std::unique_ptr<Poller> poller_;
  bool initialised_ = false;
};

/// Watches a file descriptor that it does not own. Destroy it before the descriptor is closed.
class PollHandle {
 public:
  /// `events`: UV_READABLE | UV_WRITABLE | UV_DISCONNECT | UV_PRIORITIZED. After an error or a hang-up, all
  /// watched events are set, so that the next system call reports the cause.
  using Callback = std::function<void(int events)>;

  /// `loop` belongs to a UvLoop.
  PollHandle(uv_loop_t& loop, int fd, Callback callback);
  ~PollHandle();
  PollHandle(const PollHandle&) = delete;
  PollHandle& operator=(const PollHandle&) = delete;

  /// Replaces the callback from the next event on. May be called from within the callback that it replaces.
  void set_callback(Callback callback) { next_callback_ = std::move(callback); }
  /// Watches these events from now on; 0 stops. Costs nothing if they are already watched. False, with errno:
  /// the system refuses to watch the descriptor (ENOSPC: fs.epoll.max_user_watches; ENOMEM), and nothing is
  /// watched. After the first success it always returns true.
  [[nodiscard]] bool watch(int events);

 private:
  friend class Poller;
  /// `events`: flags of epoll_wait(2). An error stops the watch; the next watch() restarts it.
  void handle_events(std::uint32_t events);
  /// Runs after the callback. If an error stopped the watch and the callback did not restart it, disables its
  /// events.
  void settle();
  void set_events(int events);

  Poller& poller_;
  const int fd_;
  Callback callback_;
  Callback next_callback_;
  int events_ = 0;
  bool added_ = false;
  bool stopped_ = false;  // by an error, and not yet disabled in the poller
};

/// A one-shot timer with the loop's resolution of 1 ms; times are rounded up.
class TimerHandle {
 public:
  using Callback = std::function<void()>;

  TimerHandle(uv_loop_t& loop, Callback callback);
  ~TimerHandle();
  TimerHandle(const TimerHandle&) = delete;
  TimerHandle& operator=(const TimerHandle&) = delete;

  void start(std::uint64_t timeout_ms);
  void stop();

 private:
  uv_timer_t* handle_;
  Callback callback_;
};

/// Runs a callback in each iteration of the loop, after the poll callbacks.
class CheckHandle {
 public:
  using Callback = std::function<void()>;
  CheckHandle(uv_loop_t& loop, Callback callback);
  ~CheckHandle();
  CheckHandle(const CheckHandle&) = delete;
  CheckHandle& operator=(const CheckHandle&) = delete;

 private:
  uv_check_t* handle_;
  Callback callback_;
};

/// The only channel between threads: tasks posted to a loop run there in order.
class Mailbox {
 public:
  using Task = std::function<void()>;
  explicit Mailbox(uv_loop_t& loop);
  ~Mailbox();
  Mailbox(const Mailbox&) = delete;
  Mailbox& operator=(const Mailbox&) = delete;

  /// Callable from any thread while the mailbox exists.
  void post(Task task);

 private:
  void run();
  uv_async_t* handle_;
  std::mutex mutex_;
  std::vector<Task> tasks_;
};

}  // namespace kcptun
