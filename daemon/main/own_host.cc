#include "daemon/main/own_host.h"

#include "daemon/net/address.h"
#include "daemon/net/own_address.h"

namespace kcptun {

Result<std::string> own_host() {
  if (const auto address = own_address()) return ip_to_string(*address);
  return Error{
      "this machine has no address but its own loopback; --public-address says where clients find it"};
}

}  // namespace kcptun
