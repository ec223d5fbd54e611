// libuv handles with one C++ owner each: freed by their close callback, silent once their owner is gone.
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

/// A libuv loop that is ready for any handle.
class UvLoop {
 public:
  /// The error says what the system would not give.
  static Result<std::unique_ptr<UvLoop>> open();
  /// Lets the closed handles go. REQUIRES: all handles are closing or closed.
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

/// Watches a file descriptor that somebody else owns. Destroy it before the descriptor is closed.
class PollHandle {
 public:
  /// `events`: UV_READABLE | UV_WRITABLE | UV_DISCONNECT | UV_PRIORITIZED; all that are watched after an error or a hang-up, so
  /// that a system call finds out which.
  using Callback = std::function<void(int events)>;

  /// `loop`: a UvLoop's.
  PollHandle(uv_loop_t& loop, int fd, Callback callback);
  ~PollHandle();
  PollHandle(const PollHandle&) = delete;
  PollHandle& operator=(const PollHandle&) = delete;

  /// Calls this one from the next event on. May be called from inside the callback that it replaces.
  void set_callback(Callback callback) { next_callback_ = std::move(callback); }
  /// Watches for these events from now on; 0 stops. Costs nothing when they are watched already. False, with
  /// errno: the system refuses to watch the descriptor (ENOSPC: fs.epoll.max_user_watches; ENOMEM); nothing is
  /// watched then. Once it was true it stays true.
  [[nodiscard]] bool watch(int events);

 private:
  friend class Poller;
  /// Of epoll_wait(2). An error stops the watching; the next watch() starts it again.
  void handle_events(std::uint32_t events);
  /// After the callback: what an error has stopped and nobody started again reports nothing more.
  void settle();
  void set_events(int events);

  Poller& poller_;
  const int fd_;
  Callback callback_;
  Callback next_callback_;
  int events_ = 0;
  bool added_ = false;
  bool stopped_ = false;  // by an error; the poller does not know yet
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
