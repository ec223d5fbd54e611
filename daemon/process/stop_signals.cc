#include "daemon/process/stop_signals.h"

#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <string_view>
#include <utility>

#include "core/base/check.h"

namespace kcptun {
namespace {

constexpr std::array<int, 2> kStopSignals{SIGINT, SIGTERM};
constexpr std::string_view kLate = "kcptun: not ended after 8 s, given up\n";
static_assert(kStopTimeoutSeconds == 8);

// A signal handler can reach the loop only through a global.
std::atomic<uv_async_t*> stop_async{nullptr};
static_assert(std::atomic<uv_async_t*>::is_always_lock_free);

// Signal handlers: async-signal-safe calls only (signal-safety(7)); libuv documents uv_async_send as safe.

void handle_timeout(int) {
  pollfd entry{STDERR_FILENO, POLLOUT, 0};
  if (poll(&entry, 1, 0) == 1 && write(STDERR_FILENO, kLate.data(), kLate.size()) < 0) _exit(1);
  _exit(1);
}

void handle_stop(int) {
  const int error = errno;
  alarm(kStopTimeoutSeconds);
  if (uv_async_t* async = stop_async.load()) uv_async_send(async);
  errno = error;
}

void set_handler(int number, void (*handler)(int)) {
  struct sigaction action {};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;
  sigfillset(&action.sa_mask);
  KCPTUN_CHECK(sigaction(number, &action, nullptr) == 0);
}

}  // namespace

void start_stop_deadline() {
  set_handler(SIGALRM, handle_timeout);
  alarm(kStopTimeoutSeconds);
}

void cancel_stop_deadline() { alarm(0); }

void stop_at_once() {
  for (const int number : kStopSignals) set_handler(number, [](int) { _exit(0); });
}

StopSignals::StopSignals(uv_loop_t& loop, std::function<void()> stop)
    : async_(new uv_async_t), stop_(std::move(stop)) {
  KCPTUN_CHECK(uv_async_init(&loop, async_, [](uv_async_t* handle) {
                 if (auto* self = static_cast<StopSignals*>(handle->data)) self->stop_();
               }) == 0);
  async_->data = this;
  stop_async = async_;
  set_handler(SIGALRM, handle_timeout);
  for (const int number : kStopSignals) set_handler(number, handle_stop);
}

StopSignals::~StopSignals() {
  for (const int number : kStopSignals) set_handler(number, SIG_DFL);
  stop_async = nullptr;
  async_->data = nullptr;
  uv_close(reinterpret_cast<uv_handle_t*>(async_),
           [](uv_handle_t* closed) { delete reinterpret_cast<uv_async_t*>(closed); });
}

}  // namespace kcptun
