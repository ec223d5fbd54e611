#include "daemon/loop/uv_handles.h"

#include <string>
#include <utility>

#include "core/base/check.h"

namespace kcptun {
namespace {

// The owner is gone: the handle must not call it any more, and frees itself when libuv lets go of it.
template <typename Handle>
void close_handle(Handle* handle) {
  handle->data = nullptr;
  uv_close(reinterpret_cast<uv_handle_t*>(handle),
           [](uv_handle_t* closed) { delete reinterpret_cast<Handle*>(closed); });
}

template <typename Owner, typename Handle>
Owner* owner_of(Handle* handle) {
  return static_cast<Owner*>(handle->data);
}

}  // namespace

Result<std::unique_ptr<uv_loop_t>> open_uv_loop() {
  auto uv = std::make_unique<uv_loop_t>();
  int status = uv_loop_init(uv.get());
  if (status == 0) {
    uv_async_t probe;  // the first one of a loop opens a descriptor
    status = uv_async_init(uv.get(), &probe, nullptr);
    if (status == 0) uv_close(reinterpret_cast<uv_handle_t*>(&probe), nullptr);
    uv_run(uv.get(), UV_RUN_NOWAIT);
    if (status != 0) uv_loop_close(uv.get());
  }
  if (status != 0) return Error{std::string("cannot create an event loop: ") + uv_strerror(status)};
  return uv;
}

PollHandle::PollHandle(uv_loop_t& loop, int fd, Callback callback)
    : handle_(new uv_poll_t), callback_(std::move(callback)) {
  KCPTUN_CHECK(uv_poll_init(&loop, handle_, fd) == 0);
  handle_->data = this;
}

PollHandle::~PollHandle() {
  uv_poll_stop(handle_);
  close_handle(handle_);
}

void PollHandle::watch(int events) {
  if (events == events_) return;
  events_ = events;
  if (events == 0) {
    uv_poll_stop(handle_);
  } else {
    KCPTUN_CHECK(uv_poll_start(handle_, events, &PollHandle::on_poll) == 0);
  }
}

void PollHandle::on_poll(uv_poll_t* handle, int status, int events) {
  auto* self = owner_of<PollHandle>(handle);
  if (!self) return;
  if (status < 0) {
    // libuv stops the handle when epoll reports an error; the next watch() starts it again. The callback's system
    // calls learn what it is.
    const int wanted = std::exchange(self->events_, 0);
    self->callback_(wanted);
    return;
  }
  self->callback_(events);
}

TimerHandle::TimerHandle(uv_loop_t& loop, Callback callback)
    : handle_(new uv_timer_t), callback_(std::move(callback)) {
  KCPTUN_CHECK(uv_timer_init(&loop, handle_) == 0);
  handle_->data = this;
}

TimerHandle::~TimerHandle() {
  uv_timer_stop(handle_);
  close_handle(handle_);
}

void TimerHandle::start(std::uint64_t milliseconds) {
  uv_timer_start(
      handle_,
      [](uv_timer_t* handle) {
        if (auto* self = owner_of<TimerHandle>(handle)) self->callback_();
      },
      milliseconds, 0);
}

void TimerHandle::stop() { uv_timer_stop(handle_); }

CheckHandle::CheckHandle(uv_loop_t& loop, Callback callback)
    : handle_(new uv_check_t), callback_(std::move(callback)) {
  KCPTUN_CHECK(uv_check_init(&loop, handle_) == 0);
  handle_->data = this;
  uv_check_start(handle_, [](uv_check_t* handle) {
    if (auto* self = owner_of<CheckHandle>(handle)) self->callback_();
  });
}

CheckHandle::~CheckHandle() {
  uv_check_stop(handle_);
  close_handle(handle_);
}

Mailbox::Mailbox(uv_loop_t& loop) : handle_(new uv_async_t) {
  KCPTUN_CHECK(uv_async_init(&loop, handle_, [](uv_async_t* handle) {
                 if (auto* self = owner_of<Mailbox>(handle)) self->run();
               }) == 0);
  handle_->data = this;
}

Mailbox::~Mailbox() { close_handle(handle_); }

void Mailbox::post(Task task) {
  {
    const std::lock_guard lock(mutex_);
    tasks_.push_back(std::move(task));
  }
  uv_async_send(handle_);
}

void Mailbox::run() {
  std::vector<Task> tasks;
  {
    const std::lock_guard lock(mutex_);
    tasks.swap(tasks_);
  }
  for (Task& task : tasks) task();
}

}  // namespace kcptun
