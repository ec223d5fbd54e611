#include "daemon/io/poller.h"

#include <cerrno>
#include <cstring>
#include <span>
#include <string>
#include <utility>

#include "core/base/check.h"
#include "daemon/io/uv_handles.h"

namespace kcptun {
namespace {

Error poller_error(const char* text) { return Error{std::string("cannot create an event loop: ") + text}; }

// The kernel always reports errors and hang-ups. With EPOLLONESHOT it does so only once.
std::uint32_t oneshot_if_none(std::uint32_t events) {
  return events == 0 ? std::uint32_t{EPOLLONESHOT} : events;
}

}  // namespace

Result<std::unique_ptr<Poller>> Poller::open(uv_loop_t& loop) {
  FileDescriptor epoll(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll.valid()) return poller_error(std::strerror(errno));
  std::unique_ptr<Poller> poller(new Poller(std::move(epoll)));
  if (const Result<bool> started = poller->start(loop); !started) return Error{started.error()};
  return poller;
}

// libuv registers the descriptor before its next wait, and aborts if that fails. It accepts an existing
// registration, so register here, where an error can be returned.
Result<bool> Poller::start(uv_loop_t& loop) {
  auto handle = std::make_unique<uv_poll_t>();
  if (const int status = uv_poll_init(&loop, handle.get(), epoll_.get()); status != 0)
    return poller_error(uv_strerror(status));
  handle_ = handle.release();
  handle_->data = this;
  uv_poll_start(handle_, UV_READABLE, [](uv_poll_t* poll, int, int) {
    if (auto* self = static_cast<Poller*>(poll->data)) self->dispatch();
  });
  uv_unref(reinterpret_cast<uv_handle_t*>(handle_));
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = epoll_.get();
  if (::epoll_ctl(uv_backend_fd(&loop), EPOLL_CTL_ADD, epoll_.get(), &event) != 0)
    return poller_error(std::strerror(errno));
  return true;
}

Poller::~Poller() {
  if (!handle_) return;
  handle_->data = nullptr;
  uv_poll_stop(handle_);
  uv_close(reinterpret_cast<uv_handle_t*>(handle_),
           [](uv_handle_t* closed) { delete reinterpret_cast<uv_poll_t*>(closed); });
}

Poller& Poller::of(uv_loop_t& loop) {
  KCPTUN_CHECK(loop.data);
  return *static_cast<Poller*>(loop.data);
}

bool Poller::add(PollHandle& handle, int fd) {
  epoll_event event{};
  event.events = oneshot_if_none(0);
  event.data.ptr = &handle;
  return ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) == 0;
}

void Poller::change(PollHandle& handle, int fd, std::uint32_t events) {
  epoll_event event{};
  event.events = oneshot_if_none(events);
  event.data.ptr = &handle;
  KCPTUN_CHECK(::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event) == 0);
}

void Poller::remove(PollHandle& handle, int fd) {
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
  for (epoll_event& event : std::span(batch_).first(batch_size_))
    if (event.data.ptr == &handle) event.data.ptr = nullptr;
}

void Poller::count_active(int change) {
  const bool was_active = active_ > 0;
  active_ += change;
  if (was_active == (active_ > 0)) return;
  auto* handle = reinterpret_cast<uv_handle_t*>(handle_);
  active_ > 0 ? uv_ref(handle) : uv_unref(handle);
}

// A callback may destroy any handle. remove() takes the destroyed handles out of the current batch.
void Poller::dispatch() {
  const int count = ::epoll_wait(epoll_.get(), batch_.data(), kBatch, 0);
  batch_size_ = count > 0 ? static_cast<std::size_t>(count) : 0;
  for (const epoll_event& event : std::span(batch_).first(batch_size_)) {
    if (event.data.ptr) static_cast<PollHandle*>(event.data.ptr)->handle_events(event.events);
    if (event.data.ptr) static_cast<PollHandle*>(event.data.ptr)->settle();
  }
  batch_size_ = 0;
}

}  // namespace kcptun
