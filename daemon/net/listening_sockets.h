// Sockets that listen already, on their way from tunnels that end to the tunnels that take their places.
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

/// An address is never free in between: nothing that another program does, or that the process may no more do, keeps the
/// new tunnel from it, and no connection that waits to be accepted is lost.
class ListeningSockets {
 public:
  /// What is listened on, as it was asked for.
  static std::string place(PortKind kind, const IpEndpoint& address) {
    return (kind == PortKind::kUdp ? "udp " : "tcp ") + to_string(address);
  }
  static std::string place(const UnixPath& path) { return "unix " + path.path; }

  /// Duplicates the descriptor, whose owner keeps it. One that cannot be duplicated is left out: the place looks taken
  /// then.
  void add(const std::string& place, int fd);
  void add_file(const std::string& place, std::shared_ptr<SocketFile> file) { files_[place] = std::move(file); }
  bool has(const std::string& place) const { return sockets_.contains(place); }
  /// All of the place; none if it has none.
  std::vector<FileDescriptor> take(const std::string& place);
  /// The file of a unix socket's place, or null.
  std::shared_ptr<SocketFile> file(const std::string& place) const;

 private:
  std::map<std::string, std::vector<FileDescriptor>> sockets_;
  std::map<std::string, std::shared_ptr<SocketFile>> files_;
};

}  // namespace kcptun
