// Listening TCP and unix sockets, and outgoing connections.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/profile.h"
#include "core/base/path.h"
#include "core/base/result.h"
#include "daemon/io/uv_handles.h"
#include "daemon/system/file_descriptor.h"

namespace kcptun {

/// Opens a non-blocking listening socket on the address. With `share_port`, each loop may open its own socket
/// on the same port (SO_REUSEPORT); a port that another program uses is still detected. The error names the
/// address.
Result<FileDescriptor> listen_tcp(const IpEndpoint& address, bool share_port);
/// The same on a port to which a firewall's TPROXY leads connections to other machines.
Result<FileDescriptor> listen_tproxy(const IpEndpoint& address, bool share_port);
/// Access to a unix socket's file. Unset members follow the umask and the process's own group.
struct UnixAccess {
  std::optional<mode_t> mode;
  std::optional<uid_t> owner;
  std::optional<gid_t> group;
};
/// Like listen_tcp() for a unix socket. Replaces a stale socket file that no process listens on. The file has
/// the permissions in `access` before any client can connect.
/// REQUIRES: if `access` has a mode, no other thread creates files during the call.
Result<FileDescriptor> listen_unix(const UnixPath& path, const UnixAccess& access = {});

/// The file of a listening unix socket. The destructor removes it unless another file has replaced it. Does
/// nothing for an abstract name, which has no file.
class SocketFile {
 public:
  /// REQUIRES: the path is bound.
  explicit SocketFile(const UnixPath& path);
  ~SocketFile();
  SocketFile(const SocketFile&) = delete;
  SocketFile& operator=(const SocketFile&) = delete;

 private:
  std::string path_;  // "": no file to remove
  std::uint64_t device_ = 0;
  std::uint64_t inode_ = 0;
};

/// The addresses that this machine has. Returns all of them if it has none, so that the later bind reports
/// the error.
std::vector<IpEndpoint> own_addresses(std::vector<IpEndpoint> addresses);

/// Starts a non-blocking connection. Invalid, with errno, if it fails immediately.
FileDescriptor begin_connect(const IpEndpoint& address);
FileDescriptor begin_connect(const UnixPath& path);

/// The address of the other end; none: of a unix socket, or the connection has ended.
std::optional<IpEndpoint> peer_endpoint(int fd);
/// The same as text: "127.0.0.1:51000", "unix", or "" if the connection has ended.
std::string peer_name(int fd);

/// Sets the options of every connection: TCP_NODELAY and TCP keepalive.
void prepare_connection(int fd);

/// Accepts connections while the loop runs. Pauses when descriptors or the system's epoll watches run out,
/// logs the pause at most once a minute, and resumes when resources are available.
class Listener {
 public:
  using OnAccepted = std::function<void(FileDescriptor)>;
  /// `tunnel`: its name in the log; outlives the listener.
  Listener(uv_loop_t& loop, FileDescriptor fd, OnAccepted accepted, std::string_view tunnel = {});

 private:
  void watch();
  void accept_some();
  void pause(int error);

  uv_loop_t& loop_;
  FileDescriptor fd_;
  OnAccepted on_accepted_;
  std::string_view tunnel_;
  std::optional<std::uint64_t> logged_at_;  // in ms of the loop's clock: when a pause was last logged
  std::unique_ptr<PollHandle> poll_;
  std::unique_ptr<TimerHandle> resume_;
};

}  // namespace kcptun
