// One program that is the client or the server: by its name, which may be a link's, or by its first argument.
#include <cstdio>
#include <optional>
#include <string_view>

#include "config/settings.h"
#include "daemon/main/program.h"
#include "daemon/main/role_name.h"

int main(int argc, char** argv) {
  using namespace std::literals;
  std::optional<kcptun::Role> role = argc > 0 ? kcptun::role_of_name(argv[0]) : std::nullopt;
  if (!role && argc > 1 && (argv[1] == "client"sv || argv[1] == "server"sv)) {
    role = kcptun::role_of_name(argv[1]);
    ++argv;
    --argc;
  }
  if (role) return kcptun::run_program(*role, argc, argv);
  std::fputs(
      "kcptun: call it kcptun-client or kcptun-server, or give client or server as the first argument\n",
      stderr);
  return kcptun::kExitUsage;
}
