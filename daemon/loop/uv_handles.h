// libuv handles with one C++ owner each: freed by their close callback, silent once their owner is gone.
#pragma once

#include <uv.h>

#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "core/base/result.h"

namespace kcptun {

/// A libuv loop that is ready for any handle. The error says what the system would not give. Close it with
/// uv_loop_close() when all handles are gone.
Result<std::unique_ptr<uv_loop_t>> open_uv_loop();

/// Watches a file descriptor that somebody else owns. Stop or destroy it before the descriptor is closed.
class PollHandle {
 public:
  /// `events`: UV_READABLE | UV_WRITABLE; both after an error, so that a system call finds out which.
  using Callback = std::function<void(int events)>;

  PollHandle(uv_loop_t& loop, int fd, Callback callback);
  ~PollHandle();
  PollHandle(const PollHandle&) = delete;
  PollHandle& operator=(const PollHandle&) = delete;

  /// Watches for these events from now on; 0 stops. Costs nothing when they are watched already.
  void watch(int events);

 private:
  static void on_poll(uv_poll_t* handle, int status, int events);

  uv_poll_t* handle_;
  Callback callback_;
  int events_ = 0;
};

/// A one-shot timer with the loop's resolution of 1 ms, rounded up.
class TimerHandle {
 public:
  using Callback = std::function<void()>;

  TimerHandle(uv_loop_t& loop, Callback callback);
  ~TimerHandle();
  TimerHandle(const TimerHandle&) = delete;
  TimerHandle& operator=(const TimerHandle&) = delete;

  void start(std::uint64_t milliseconds);
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

/// The one way from thread to thread: tasks posted to a loop run on it, in order.
class Mailbox {
 public:
  using Task = std::function<void()>;
  explicit Mailbox(uv_loop_t& loop);
  ~Mailbox();
  Mailbox(const Mailbox&) = delete;
  Mailbox& operator=(const Mailbox&) = delete;

  /// From any thread, while the mailbox lives.
  void post(Task task);

 private:
  void run();
  uv_async_t* handle_;
  std::mutex mutex_;
  std::vector<Task> tasks_;
};

}  // namespace kcptun
