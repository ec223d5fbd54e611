#include "daemon/net/listening_sockets.h"

#include <fcntl.h>

namespace kcptun {

void ListeningSockets::add(const std::string& key, int fd) {
  FileDescriptor copy(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
  if (copy.valid()) sockets_[key].push_back(std::move(copy));
}

std::vector<FileDescriptor> ListeningSockets::take(const std::string& key) {
  const auto it = sockets_.find(key);
  if (it == sockets_.end()) return {};
  std::vector<FileDescriptor> taken = std::move(it->second);
  sockets_.erase(it);
  return taken;
}

std::shared_ptr<SocketFile> ListeningSockets::file(const std::string& key) const {
  const auto it = files_.find(key);
  return it == files_.end() ? nullptr : it->second;
}

}  // namespace kcptun
