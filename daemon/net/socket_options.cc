#include "daemon/net/socket_options.h"

#include "daemon/system/file_descriptor.h"

namespace kcptun {

// Measured on a temporary socket.
int grantable_buffer(int plain_name, int bytes) {
  const FileDescriptor probe(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!probe.valid() || !set_option(probe.get(), SOL_SOCKET, plain_name, bytes)) return 0;
  return granted_buffer(probe.get(), plain_name);
}

void set_buffer(int fd, int force_name, int plain_name, int bytes) {
  if (set_option(fd, SOL_SOCKET, force_name, bytes)) return;
  const int now = granted_buffer(fd, plain_name);
  const int grantable = grantable_buffer(plain_name, bytes);
  if (bytes < now ? grantable >= bytes : grantable > now) set_option(fd, SOL_SOCKET, plain_name, bytes);
}

}  // namespace kcptun
