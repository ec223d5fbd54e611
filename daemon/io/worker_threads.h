// The process's event loops, one per thread. Each tunnel runs one engine on each loop.
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

/// The first loop runs on the caller's thread. All members except post() are for that thread.
class WorkerThreads {
 public:
  /// The error names the resource that the system refused. REQUIRES: count > 0.
  static Result<std::unique_ptr<WorkerThreads>> open(std::size_t count);
  /// REQUIRES: all users of the loops are destroyed or closing.
  ~WorkerThreads();
  WorkerThreads(const WorkerThreads&) = delete;
  WorkerThreads& operator=(const WorkerThreads&) = delete;

  std::size_t size() const { return threads_.size(); }
  /// REQUIRES: index < size().
  uv_loop_t& uv(std::size_t index) { return threads_[index].uv->get(); }
  /// Runs the task on that loop. Callable from any thread.
  void post(std::size_t index, Mailbox::Task task) { threads_[index].mailbox->post(std::move(task)); }

  /// Starts the other threads and their loops. If the system refuses a thread, the error gives the reason and
  /// none runs.
  /// REQUIRES: called once.
  Result<bool> start();
  /// Runs the first loop until stop(). Returns when all loops have stopped. REQUIRES: start() succeeded.
  void run();
  /// Makes all loops return soon.
  void stop();

  /// Calls `work` while all other threads are stopped between two callbacks, so it may access their data.
  /// `work` must not block, because the other threads wait for it. It starts when the last thread has
  /// finished its current callback.
  /// REQUIRES: stop() was not called.
  void run_exclusive(const std::function<void()>& work);

 private:
  struct Thread {
    std::unique_ptr<UvLoop> uv;
    std::unique_ptr<Mailbox> mailbox;
    std::thread thread;  // unused for the first loop
  };
  WorkerThreads() = default;
  void end_threads();

  std::vector<Thread> threads_;
  bool running_ = false;
};

}  // namespace kcptun
