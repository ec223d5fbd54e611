#include "tests/lab/tun_device.h"

#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "core/base/check.h"

namespace kcptun::lab {

namespace {

Error system_error(const std::string& what) { return Error{what + ": " + std::strerror(errno)}; }

/// A device belongs to the namespace in which /dev/net/tun was opened.
Result<FileDescriptor> open_there(const std::string& name_space) {
  const FileDescriptor home(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
  const FileDescriptor there(::open(name_space.c_str(), O_RDONLY | O_CLOEXEC));
  if (!home.valid() || !there.valid()) return system_error(name_space);
  if (::setns(there.get(), CLONE_NEWNET) < 0) return system_error("entering " + name_space);
  FileDescriptor opened(::open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC));
  const int fault = errno;
  KCPTUN_CHECK(::setns(home.get(), CLONE_NEWNET) == 0);
  errno = fault;
  if (!opened.valid()) return system_error("/dev/net/tun");
  return opened;
}

}  // namespace

Result<TunDevice> TunDevice::make(const std::string& name_space, const std::string& name) {
  Result<FileDescriptor> opened = open_there(name_space);
  if (!opened) return Error{opened.error()};
  ifreq request{};
  if (name.empty() || name.size() >= sizeof request.ifr_name) return Error{"bad device name '" + name + "'"};
  std::copy(name.begin(), name.end(), request.ifr_name);
  // Without IFF_VNET_HDR the device offers no offloads: the kernel segments and sums before it hands packets
  // over.
  request.ifr_flags = IFF_TUN | IFF_NO_PI;
  if (::ioctl(opened->get(), TUNSETIFF, &request) < 0) return system_error("making device " + name);
  return TunDevice(std::move(opened.value()));
}

std::size_t TunDevice::read(std::span<std::uint8_t> into) {
  const ssize_t size = ::read(descriptor_.get(), into.data(), into.size());
  return size > 0 ? static_cast<std::size_t>(size) : 0;
}

bool TunDevice::write(std::span<const std::uint8_t> packet) {
  return ::write(descriptor_.get(), packet.data(), packet.size()) == static_cast<ssize_t>(packet.size());
}

}  // namespace kcptun::lab
