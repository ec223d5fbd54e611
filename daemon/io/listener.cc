#include "daemon/io/listener.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "daemon/log/log.h"
#include "daemon/net/address.h"
#include "daemon/net/original_destination.h"

namespace kcptun {
namespace {

constexpr int kBacklog = 4096;  // the kernel clamps it to net.core.somaxconn
constexpr int kAcceptsPerWakeUp = 64;
constexpr std::uint64_t kPauseMs = 100;
// In ms. Minimum interval between two log lines about exhausted resources.
constexpr std::uint64_t kLogAgainMs = 60 * 1000;
// In seconds, as in Go's programs. A peer that vanished without closing is detected after some minutes.
constexpr int kKeepaliveSeconds = 15;

Error system_error(const std::string& what, int error) { return {what + ": " + std::strerror(error)}; }

void set_option(int fd, int level, int name, int value) { setsockopt(fd, level, name, &value, sizeof value); }

int family_of(const IpEndpoint& address) { return is_ipv4(address) ? AF_INET : AF_INET6; }

// Binds and listens. On failure errno is set.
enum class Destinations : std::uint8_t { kOwn, kForeignToo };
FileDescriptor try_listen(const IpEndpoint& address, bool share_port, Destinations destinations) {
  const int family = family_of(address);
  FileDescriptor fd(::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return fd;
  set_option(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1);
  if (share_port) set_option(fd.get(), SOL_SOCKET, SO_REUSEPORT, 1);
  if (family == AF_INET6) set_option(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, 0);
  const SocketAddress name = to_sockaddr(address, family);
  const bool foreign = destinations == Destinations::kForeignToo;
  prepare_connection(fd.get());  // accepted connections inherit these options
  if ((foreign && !accept_foreign_addresses(fd.get(), family)) ||
      ::bind(fd.get(), name.get(), name.size) != 0 || ::listen(fd.get(), kBacklog) != 0) {
    const int error = errno;
    fd = FileDescriptor();
    errno = error;
  }
  return fd;
}

sockaddr_un unix_name(const UnixPath& path, socklen_t& size) {
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  std::memcpy(name.sun_path, path.path.data(), path.path.size());
  size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.path.size() + 1);
  // Linux's abstract namespace: a leading NUL; the address size ends the name
  if (path.path.front() == '@') {
    name.sun_path[0] = '\0';
    --size;
  }
  return name;
}

FileDescriptor unix_socket() {
  return FileDescriptor(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
}

// True if the path is a socket on which no process listens.
bool is_stale(const UnixPath& path) {
  struct stat info {};
  if (path.path.front() == '@' || ::stat(path.path.c_str(), &info) != 0 || !S_ISSOCK(info.st_mode))
    return false;
  socklen_t size;
  const sockaddr_un name = unix_name(path, size);
  const FileDescriptor probe = unix_socket();
  return ::connect(probe.get(), reinterpret_cast<const sockaddr*>(&name), size) != 0 && errno == ECONNREFUSED;
}

}  // namespace

Result<FileDescriptor> listen_tcp(const IpEndpoint& wanted, bool share_port) {
  const IpEndpoint address = usable_wildcard(wanted);
  FileDescriptor fd = try_listen(address, share_port, Destinations::kOwn);
  if (!fd.valid()) return system_error("cannot listen on TCP " + to_string(address), errno);
  return fd;
}

Result<FileDescriptor> listen_tproxy(const IpEndpoint& wanted, bool share_port) {
  const IpEndpoint address = usable_wildcard(wanted);
  FileDescriptor fd = try_listen(address, share_port, Destinations::kForeignToo);
  if (!fd.valid())
    return system_error("cannot listen for TPROXY (needs CAP_NET_ADMIN) on TCP " + to_string(address), errno);
  return fd;
}

namespace {

// bind() creates the file with the mode of the socket. No chmod of a path is needed, which another process
// could exchange.
bool bind_unix(int fd, const UnixPath& path, std::optional<mode_t> mode) {
  socklen_t size;
  const sockaddr_un name = unix_name(path, size);
  if (!mode) return ::bind(fd, reinterpret_cast<const sockaddr*>(&name), size) == 0;
  if (::fchmod(fd, *mode) != 0) return false;
  const mode_t before = ::umask(0);
  const bool bound = ::bind(fd, reinterpret_cast<const sockaddr*>(&name), size) == 0;
  const int error = errno;
  ::umask(before);
  errno = error;
  return bound;
}

bool transfer_to(const UnixPath& path, const UnixAccess& access) {
  if (!access.owner && !access.group) return true;
  const auto same = static_cast<uid_t>(-1);
  return ::lchown(path.path.c_str(), access.owner.value_or(same), access.group.value_or(same)) == 0;
}

}  // namespace

Result<FileDescriptor> listen_unix(const UnixPath& path, const UnixAccess& access) {
  if (is_stale(path)) ::unlink(path.path.c_str());
  FileDescriptor fd = unix_socket();
  if (!fd.valid() || !bind_unix(fd.get(), path, access.mode))
    return system_error("cannot listen on unix socket " + path.path, errno);
  if (!transfer_to(path, access) || ::listen(fd.get(), kBacklog) != 0) {
    const int error = errno;
    ::unlink(path.path.c_str());
    return system_error("cannot listen on unix socket " + path.path + " for its group", error);
  }
  return fd;
}

SocketFile::SocketFile(const UnixPath& path) {
  struct stat info {};
  if (path.path.front() == '@' || ::lstat(path.path.c_str(), &info) != 0) return;
  path_ = path.path;
  device_ = info.st_dev;
  inode_ = info.st_ino;
}

SocketFile::~SocketFile() {
  struct stat info {};
  if (path_.empty() || ::lstat(path_.c_str(), &info) != 0) return;
  if (S_ISSOCK(info.st_mode) && info.st_dev == device_ && info.st_ino == inode_) ::unlink(path_.c_str());
}

namespace {

bool is_own(IpEndpoint address) {
  address.port = 0;
  const SocketAddress name = to_sockaddr(address);
  const FileDescriptor probe(::socket(name.storage.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!probe.valid()) return errno != EAFNOSUPPORT;
  return ::bind(probe.get(), name.get(), name.size) == 0 || errno != EADDRNOTAVAIL;
}

}  // namespace

std::vector<IpEndpoint> own_addresses(std::vector<IpEndpoint> addresses) {
  if (addresses.size() < 2 || std::ranges::none_of(addresses, is_own)) return addresses;
  std::erase_if(addresses, [](const IpEndpoint& address) { return !is_own(address); });
  return addresses;
}

namespace {

FileDescriptor begin(FileDescriptor fd, const sockaddr* name, socklen_t size) {
  if (!fd.valid() || ::connect(fd.get(), name, size) == 0 || errno == EINPROGRESS) return fd;
  const int error = errno;
  fd = FileDescriptor();
  errno = error;
  return fd;
}

}  // namespace

FileDescriptor begin_connect(const IpEndpoint& address) {
  const SocketAddress name = to_sockaddr(address);
  FileDescriptor fd(::socket(name.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  return begin(std::move(fd), name.get(), name.size);
}

FileDescriptor begin_connect(const UnixPath& path) {
  socklen_t size;
  const sockaddr_un name = unix_name(path, size);
  return begin(unix_socket(), reinterpret_cast<const sockaddr*>(&name), size);
}

std::optional<IpEndpoint> peer_endpoint(int fd) {
  SocketAddress address{};
  address.size = sizeof address.storage;
  if (::getpeername(fd, reinterpret_cast<sockaddr*>(&address.storage), &address.size) != 0)
    return std::nullopt;
  return from_sockaddr(address.get(), address.size);
}

std::string peer_name(int fd) {
  SocketAddress address{};
  address.size = sizeof address.storage;
  if (::getpeername(fd, reinterpret_cast<sockaddr*>(&address.storage), &address.size) != 0) return {};
  const auto endpoint = from_sockaddr(address.get(), address.size);
  return endpoint ? to_string(*endpoint) : "unix";
}

void prepare_connection(int fd) {
  set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, kKeepaliveSeconds);
  set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, kKeepaliveSeconds);
}

Listener::Listener(uv_loop_t& loop, FileDescriptor fd, OnAccepted accepted, std::string_view tunnel)
    : loop_(loop), fd_(std::move(fd)), on_accepted_(std::move(accepted)), tunnel_(tunnel) {
  poll_ = std::make_unique<PollHandle>(loop, fd_.get(), [this](int) { accept_some(); });
  resume_ = std::make_unique<TimerHandle>(loop, [this] { watch(); });
  watch();
}

void Listener::watch() {
  if (!poll_->watch(UV_READABLE)) pause(errno);
}

void Listener::accept_some() {
  for (int i = 0; i < kAcceptsPerWakeUp; ++i) {
    FileDescriptor fd(::accept4(fd_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (fd.valid()) {
      on_accepted_(std::move(fd));
    } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
      return pause(errno);
    } else if (errno != ECONNABORTED && errno != EINTR) {
      return;
    }
  }
}

void Listener::pause(int error) {
  const std::uint64_t now = uv_now(&loop_);
  if (!logged_at_ || now - *logged_at_ >= kLogAgainMs) {
    EventLog(tunnel_).warning("accepting pauses until there are resources again",
                              {{"error", std::strerror(error)}});
    logged_at_ = now;
  }
  (void)poll_->watch(0);
  resume_->start(kPauseMs);
}

}  // namespace kcptun
