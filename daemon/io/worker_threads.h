// The process's event loops, one a thread. Tunnels put their share of each on them.
#pragma once

#include <uv.h>

#include <cstddef>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "core/base/result.h"
#include "daemon/io/uv_handles.h"

namespace kcptun {

/// The first loop is the caller's thread's. Everything but post() is for that thread.
class WorkerThreads {
 public:
  /// The error says what the system would not give. REQUIRES: count > 0.
  static Result<std::unique_ptr<WorkerThreads>> open(std::size_t count);
  /// What was put on the loops is gone, or closing.
  ~WorkerThreads();
  WorkerThreads(const WorkerThreads&) = delete;
  WorkerThreads& operator=(const WorkerThreads&) = delete;

  std::size_t size() const { return threads_.size(); }
  /// REQUIRES: index < size().
  uv_loop_t& uv(std::size_t index) { return threads_[index].uv->get(); }
  /// Runs the task on that loop, from any thread.
  void post(std::size_t index, Mailbox::Task task) { threads_[index].mailbox->post(std::move(task)); }

  /// Starts the other threads, whose loops run at once. The error says why the system gives none; none runs then.
  /// REQUIRES: called once.
  Result<bool> start();
  /// The first loop, until stop(). Returns when all have stopped. REQUIRES: start() succeeded.
  void run();
  /// All loops return soon.
  void stop();

  /// Calls `work` while all other threads wait between two callbacks of theirs: it may touch what is theirs.
  /// They wait as long as it takes, so it must not block. Begins when the slowest thread has finished what it
  /// does. REQUIRES: stop() was not called.
  void run_exclusive(const std::function<void()>& work);

 private:
  struct Thread {
    std::unique_ptr<UvLoop> uv;
    std::unique_ptr<Mailbox> mailbox;
    std::thread thread;  // not of the first
  };
  WorkerThreads() = default;
  void end_threads();

  std::vector<Thread> threads_;
  bool running_ = false;
};

}  // namespace kcptun
