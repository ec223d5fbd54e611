#include "daemon/main/role_name.h"

#include <catch2/catch.hpp>

namespace kcptun::role_name_test {

TEST_CASE("a program that is both takes its role from the last component of its name") {
  CHECK(role_of_name("kcptun-client") == Role::kClient);
  CHECK(role_of_name("/usr/bin/kcptun-server") == Role::kServer);
  CHECK(role_of_name("/bin/client") == Role::kClient);
  CHECK(role_of_name("./server_linux_arm7") == Role::kServer);
  CHECK(role_of_name("/srv/client/kcptun-server") == Role::kServer);
}

TEST_CASE("a name with neither word or with both gives no role") {
  CHECK_FALSE(role_of_name(""));
  CHECK_FALSE(role_of_name("kcptun"));
  CHECK_FALSE(role_of_name("/opt/server/"));
  CHECK_FALSE(role_of_name("client-server"));
}

}  // namespace kcptun::role_name_test
