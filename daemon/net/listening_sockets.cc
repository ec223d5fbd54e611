#include "daemon/net/listening_sockets.h"

#include <fcntl.h>

namespace kcptun {

void ListeningSockets::add(const std::string& place, int fd) {
  FileDescriptor copy(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
  if (copy.valid()) sockets_[place].push_back(std::move(copy));
}

std::vector<FileDescriptor> ListeningSockets::take(const std::string& place) {
  const auto it = sockets_.find(place);
  if (it == sockets_.end()) return {};
  std::vector<FileDescriptor> taken = std::move(it->second);
  sockets_.erase(it);
  return taken;
}

std::shared_ptr<SocketFile> ListeningSockets::file(const std::string& place) const {
  const auto it = files_.find(place);
  return it == files_.end() ? nullptr : it->second;
}

}  // namespace kcptun
