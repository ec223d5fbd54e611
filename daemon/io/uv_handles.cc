#include "daemon/io/uv_handles.h"

#include <sys/eventfd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include "core/base/check.h"
#include "daemon/system/file_descriptor.h"

namespace kcptun {
namespace {

// The owner is gone: make no more callbacks, and free the handle when libuv has closed it.
template <typename Handle>
void close_handle(Handle* handle) {
  handle->data = nullptr;
  uv_close(reinterpret_cast<uv_handle_t*>(handle),
           [](uv_handle_t* closed) { delete reinterpret_cast<Handle*>(closed); });
}

Error loop_error(const char* text) { return Error{std::string("cannot create an event loop: ") + text}; }

template <typename Owner, typename Handle>
Owner* owner_of(Handle* handle) {
  return static_cast<Owner*>(handle->data);
}

// libuv registers its two internal descriptors, for signals and for tasks, at its first wait, and aborts if
// that fails. False, with errno: the system does not grant two more watches.
bool can_watch_two_more(uv_loop_t& loop) {
  std::array<FileDescriptor, 2> probes;
  for (FileDescriptor& probe : probes) {
    probe = FileDescriptor(::eventfd(0, EFD_CLOEXEC));
    epoll_event event{};
    if (!probe.valid() || ::epoll_ctl(uv_backend_fd(&loop), EPOLL_CTL_ADD, probe.get(), &event) != 0)
      return false;
  }
  return true;  // closing the descriptors removes their watches
}

}  // namespace

Result<std::unique_ptr<UvLoop>> UvLoop::open() {
  std::unique_ptr<UvLoop> loop(new UvLoop);
  if (const Result<bool> started = loop->start(); !started) return Error{started.error()};
  return loop;
}

Result<bool> UvLoop::start() {
  int status = uv_loop_init(&uv_);
  if (status == 0) {
    initialised_ = true;
    Result<std::unique_ptr<Poller>> poller = Poller::open(uv_);
    if (!poller) return Error{poller.error()};
    poller_ = std::move(*poller);
    uv_.data = poller_.get();
    if (!can_watch_two_more(uv_)) return loop_error(std::strerror(errno));
    uv_async_t probe;  // the first uv_async_t of a loop opens a descriptor
    status = uv_async_init(&uv_, &probe, nullptr);
    if (status == 0) uv_close(reinterpret_cast<uv_handle_t*>(&probe), nullptr);
    uv_run(&uv_, UV_RUN_NOWAIT);
  }
  if (status != 0) return loop_error(uv_strerror(status));
  return true;
}

UvLoop::~UvLoop() {
  if (!initialised_) return;
  uv_run(&uv_, UV_RUN_DEFAULT);  // closing handles may still hold watches
  poller_.reset();
  uv_run(&uv_, UV_RUN_DEFAULT);
  KCPTUN_CHECK(uv_loop_close(&uv_) == 0);
}

PollHandle::PollHandle(uv_loop_t& loop, int fd, Callback callback)
    : poller_(Poller::of(loop)), fd_(fd), callback_(std::move(callback)) {}

PollHandle::~PollHandle() {
  set_events(0);
  if (added_) poller_.remove(*this, fd_);
}

void PollHandle::set_events(int events) {
  poller_.count_active((events != 0) - (events_ != 0));
  events_ = events;
}

bool PollHandle::watch(int events) {
  if (events == events_) return true;
  if (!added_ && !(added_ = poller_.add(*this, fd_))) return false;
  poller_.change(*this, fd_,
                 (events & UV_READABLE ? EPOLLIN : 0u) | (events & UV_WRITABLE ? EPOLLOUT : 0u) |
                     (events & UV_DISCONNECT ? EPOLLRDHUP : 0u) | (events & UV_PRIORITIZED ? EPOLLPRI : 0u));
  stopped_ = false;
  set_events(events);
  return true;
}

void PollHandle::handle_events(std::uint32_t events) {
  if (events_ == 0) return;  // an unwatched hang-up
  if (next_callback_) callback_ = std::exchange(next_callback_, nullptr);
  const int wanted = events_;
  int seen = (events & EPOLLIN ? UV_READABLE : 0) | (events & EPOLLOUT ? UV_WRITABLE : 0) |
             (events & EPOLLRDHUP ? UV_DISCONNECT : 0) | (events & EPOLLPRI ? UV_PRIORITIZED : 0);
  if (events & EPOLLERR) {
    stopped_ = true;
    set_events(0);
    seen = wanted;
  } else if (seen == 0) {
    seen = wanted;  // EPOLLHUP only
  }
  callback_(seen);
}

void PollHandle::settle() {
  if (std::exchange(stopped_, false)) poller_.change(*this, fd_, 0);
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

void TimerHandle::start(std::uint64_t timeout_ms) {
  uv_timer_start(
      handle_,
      [](uv_timer_t* handle) {
        if (auto* self = owner_of<TimerHandle>(handle)) self->callback_();
      },
      timeout_ms, 0);
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
