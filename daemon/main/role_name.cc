#include "daemon/main/role_name.h"

namespace kcptun {

std::optional<Role> role_of_name(std::string_view path) {
  const std::string_view name = path.substr(path.rfind('/') + 1);  // npos + 1 is 0
  const bool client = name.find("client") != name.npos;
  const bool server = name.find("server") != name.npos;
  if (client == server) return std::nullopt;
  return client ? Role::kClient : Role::kServer;
}

}  // namespace kcptun
