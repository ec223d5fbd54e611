#include "daemon/io/worker_threads.h"

#include <condition_variable>
#include <mutex>
#include <string>
#include <utility>

#include "daemon/system/thread.h"

namespace kcptun {
namespace {

// Stops threads while another one works alone.
class Barrier {
 public:
  /// Called on a stopped thread.
  void arrive_and_wait() {
    std::unique_lock lock(mutex_);
    ++inside_;
    changed_.notify_all();
    changed_.wait(lock, [this] { return open_; });
  }
  void wait_for(std::size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this, count] { return inside_ == count; });
  }
  void release() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::size_t inside_ = 0;
  bool open_ = false;
};

}  // namespace

Result<std::unique_ptr<WorkerThreads>> WorkerThreads::open(std::size_t count) {
  std::unique_ptr<WorkerThreads> threads(new WorkerThreads);
  for (std::size_t i = 0; i < count; ++i) {
    Result<std::unique_ptr<UvLoop>> uv = UvLoop::open();
    if (!uv) return Error{uv.error()};
    Thread& thread = threads->threads_.emplace_back();
    thread.uv = std::move(*uv);
    thread.mailbox = std::make_unique<Mailbox>(thread.uv->get());
  }
  return threads;
}

WorkerThreads::~WorkerThreads() {
  end_threads();
  for (Thread& thread : threads_) thread.mailbox.reset();
}

Result<bool> WorkerThreads::start() {
  for (std::size_t i = 1; i < threads_.size(); ++i) {
    Result<std::thread> started =
        start_thread("loop " + std::to_string(i), [uv = &uv(i)] { uv_run(uv, UV_RUN_DEFAULT); });
    if (!started) {
      end_threads();
      return Error{started.error()};
    }
    threads_[i].thread = std::move(*started);
  }
  running_ = true;
  return true;
}

void WorkerThreads::end_threads() {
  for (Thread& thread : threads_) {
    if (!thread.thread.joinable()) continue;
    thread.mailbox->post([uv = &thread.uv->get()] { uv_stop(uv); });
    thread.thread.join();
  }
}

void WorkerThreads::run() {
  uv_run(&uv(0), UV_RUN_DEFAULT);
  for (std::size_t i = 1; i < threads_.size(); ++i) threads_[i].thread.join();
  running_ = false;
}

void WorkerThreads::stop() {
  for (Thread& thread : threads_) thread.mailbox->post([uv = &thread.uv->get()] { uv_stop(uv); });
}

void WorkerThreads::run_exclusive(const std::function<void()>& work) {
  if (!running_) return work();
  auto barrier = std::make_shared<Barrier>();  // shared: a thread may still read it after all have resumed
  for (std::size_t i = 1; i < threads_.size(); ++i)
    threads_[i].mailbox->post([barrier] { barrier->arrive_and_wait(); });
  barrier->wait_for(threads_.size() - 1);
  work();
  barrier->release();
}

}  // namespace kcptun
