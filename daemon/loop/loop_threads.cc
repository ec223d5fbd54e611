#include "daemon/loop/loop_threads.h"

#include <condition_variable>
#include <mutex>

#include "core/base/check.h"

namespace kcptun {
namespace {

// Where threads wait for one that works alone.
class Gate {
 public:
  /// From a thread that waits.
  void wait_inside() {
    std::unique_lock lock(mutex_);
    ++inside_;
    changed_.notify_all();
    changed_.wait(lock, [this] { return open_; });
  }
  void wait_for(std::size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this, count] { return inside_ == count; });
  }
  void open() {
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

Result<std::unique_ptr<LoopThreads>> LoopThreads::open(std::size_t count) {
  std::unique_ptr<LoopThreads> threads(new LoopThreads);
  for (std::size_t i = 0; i < count; ++i) {
    Result<std::unique_ptr<uv_loop_t>> uv = open_uv_loop();
    if (!uv) return Error{uv.error()};
    Thread& thread = threads->threads_.emplace_back();
    thread.uv = std::move(*uv);
    thread.mailbox = std::make_unique<Mailbox>(*thread.uv);
  }
  return threads;
}

LoopThreads::~LoopThreads() {
  for (Thread& thread : threads_) {
    thread.mailbox.reset();
    uv_run(thread.uv.get(), UV_RUN_DEFAULT);  // lets the closed handles go
    KCPTUN_CHECK(uv_loop_close(thread.uv.get()) == 0);
  }
}

void LoopThreads::run() {
  running_ = true;
  for (std::size_t i = 1; i < threads_.size(); ++i)
    threads_[i].thread = std::thread([uv = threads_[i].uv.get()] { uv_run(uv, UV_RUN_DEFAULT); });
  uv_run(threads_[0].uv.get(), UV_RUN_DEFAULT);
  for (std::size_t i = 1; i < threads_.size(); ++i) threads_[i].thread.join();
  running_ = false;
}

void LoopThreads::stop() {
  for (Thread& thread : threads_) thread.mailbox->post([uv = thread.uv.get()] { uv_stop(uv); });
}

void LoopThreads::with_all_still(const std::function<void()>& work) {
  if (!running_) return work();
  auto gate = std::make_shared<Gate>();  // a thread may look at it after all have gone on
  for (std::size_t i = 1; i < threads_.size(); ++i)
    threads_[i].mailbox->post([gate] { gate->wait_inside(); });
  gate->wait_for(threads_.size() - 1);
  work();
  gate->open();
}

}  // namespace kcptun
