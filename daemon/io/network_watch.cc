#include "daemon/io/network_watch.h"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <utility>

namespace kcptun {
namespace {

FileDescriptor open_announcements() {
  FileDescriptor fd(socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_ROUTE));
  if (!fd.valid()) return fd;
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  address.nl_groups =
      RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE;
  if (bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return FileDescriptor();
  return fd;
}

}  // namespace

NetworkWatch::NetworkWatch(uv_loop_t& loop, std::function<void()> changed) : socket_(open_announcements()) {
  if (!works()) return;
  settle_ = std::make_unique<TimerHandle>(loop, [this, told = std::move(changed)] {
    settling_ = false;
    told();
  });
  poll_ = std::make_unique<PollHandle>(loop, socket_.get(), [this](int) { drain(); });
  if (!poll_->watch(UV_READABLE)) {  // without a watch, changes are never reported
    poll_.reset();
    socket_ = FileDescriptor();
  }
}

// ENOBUFS: notifications were lost. That counts as a notification, too.
void NetworkWatch::drain() {
  std::array<char, 8192> ignored;
  bool any = false;
  for (;;) {
    const ssize_t got = recv(socket_.get(), ignored.data(), ignored.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    any |= got > 0 || errno == ENOBUFS;
    if (got <= 0 && errno != ENOBUFS) break;
  }
  if (any && !std::exchange(settling_, true)) settle_->start(kSettleMs);
  (void)poll_->watch(UV_READABLE);  // an error event stops the watch; restarting a granted watch cannot fail
}

}  // namespace kcptun
