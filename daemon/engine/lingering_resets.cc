#include "daemon/engine/lingering_resets.h"

#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <utility>

namespace kcptun {
namespace {

constexpr Duration kFirstPoll = milliseconds(1);
constexpr Duration kMaxInterval = milliseconds(100);

// A unix socket loses nothing: written data is already in the peer's queue.
bool all_arrived(int fd) {
  int queued = 0;
  if (::ioctl(fd, SIOCOUTQ, &queued) != 0 || queued == 0) return true;
  tcp_info info{};
  socklen_t size = sizeof info;
  return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0 || info.tcpi_state == TCP_CLOSE;
}

}  // namespace

void set_reset_on_close(int fd) {
  const linger hard{1, 0};
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
}

void LingeringResets::add(TimePoint now, FileDescriptor fd, Duration timeout) {
  set_reset_on_close(fd.get());
  if (all_arrived(fd.get()) || waiting_.size() >= kMaxConnections) return;
  waiting_.push_back({std::move(fd), now + timeout});
  interval_ = kFirstPoll;
  deadlines_.set(*this, now + interval_);
}

void LingeringResets::handle_deadline(TimePoint now) {
  std::erase_if(waiting_,
                [now](const Waiting& one) { return now >= one.give_up_at || all_arrived(one.fd.get()); });
  interval_ = std::min(2 * interval_, kMaxInterval);
  if (!waiting_.empty()) deadlines_.set(*this, now + interval_);
}

}  // namespace kcptun
