// A listening TCP or unix socket, and opening connections.
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

/// A non-blocking listening socket on the address. With `share_port`, each loop may open one of its own on the same
/// port (SO_REUSEPORT); whether somebody else has the port is found out all the same.
/// The error names the address.
Result<FileDescriptor> listen_tcp(const IpEndpoint& address, bool share_port);
/// Who a unix socket's file is for; what is not set is as the umask and the process say.
struct UnixAccess {
  std::optional<mode_t> mode;
  std::optional<uid_t> owner;
  std::optional<gid_t> group;
};
/// As above; a stale socket file that nobody listens on any more is replaced. The file is as `access` says before anybody
/// can connect. REQUIRES: with a mode, no other thread makes files meanwhile.
Result<FileDescriptor> listen_unix(const UnixPath& path, const UnixAccess& access = {});

/// The file of a listening unix socket, removed at the end unless another one is there by then. Of an abstract name,
/// which has no file, it does nothing.
class SocketFile {
 public:
  /// REQUIRES: the path is bound.
  explicit SocketFile(const UnixPath& path);
  ~SocketFile();
  SocketFile(const SocketFile&) = delete;
  SocketFile& operator=(const SocketFile&) = delete;

 private:
  std::string path_;  // "": nothing to remove
  std::uint64_t device_ = 0;
  std::uint64_t inode_ = 0;
};

/// Of a listener's addresses those that this machine has; all of them if it has none, so that listening says why not.
std::vector<IpEndpoint> own_addresses(std::vector<IpEndpoint> addresses);

/// Begins a non-blocking connection; invalid with errno set when it fails at once.
FileDescriptor begin_connect(const IpEndpoint& address);
FileDescriptor begin_connect(const UnixPath& path);

/// Who is at the other end: "127.0.0.1:51000", "unix", "" if the connection is gone.
std::string peer_name(int fd);

/// What every connection gets: no delay for small writes, and TCP's keepalive.
void prepare_connection(int fd);

/// Accepts while the loop runs. When descriptors or the system's watches run out it pauses, says so once a minute at most,
/// and goes on when there are some.
class Listener {
 public:
  using ServerSession = std::function<void(FileDescriptor)>;
  /// `tunnel`: its name in the log; outlives the listener.
  Listener(uv_loop_t& loop, FileDescriptor fd, ServerSession accepted, std::string_view tunnel = {});

 private:
  void watch();
  void accept_some();
  void pause(int error);

  uv_loop_t& loop_;
  FileDescriptor fd_;
  ServerSession accepted_;
  std::string_view tunnel_;
  std::optional<std::uint64_t> logged_at_;  // ms of the loop: when a pause was last logged
  std::unique_ptr<PollHandle> poll_;
  std::unique_ptr<TimerHandle> resume_;
};

}  // namespace kcptun
