// Listening sockets that a reload hands from the old tunnels to their replacements.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "config/profile.h"
#include "core/base/path.h"
#include "daemon/net/address.h"
#include "daemon/net/port_probe.h"
#include "daemon/system/file_descriptor.h"

namespace kcptun {

class SocketFile;

/// An address stays bound throughout a reload. No other program can take it, dropped privileges cannot
/// prevent the new tunnel from using it, and connections in the accept queue are not lost.
class ListeningSockets {
 public:
  /// The map key of a listening address, as the configuration gives it.
  static std::string key(PortKind kind, const IpEndpoint& address) {
    return (kind == PortKind::kUdp ? "udp " : "tcp ") + to_string(address);
  }
  static std::string key(const UnixPath& path) { return "unix " + path.path; }

  /// Adds a duplicate of the descriptor; the owner keeps the original. If duplication fails, the socket is
  /// omitted and the address then appears to be in use.
  void add(const std::string& key, int fd);
  void add_file(const std::string& key, std::shared_ptr<SocketFile> file) { files_[key] = std::move(file); }
  bool has(const std::string& key) const { return sockets_.contains(key); }
  /// All sockets of the key; empty if there are none.
  std::vector<FileDescriptor> take(const std::string& key);
  /// The file of the unix socket of this key, or null.
  std::shared_ptr<SocketFile> file(const std::string& key) const;

 private:
  std::map<std::string, std::vector<FileDescriptor>> sockets_;
  std::map<std::string, std::shared_ptr<SocketFile>> files_;
};

}  // namespace kcptun
