// Client or server by the name under which a program was called, for the build that is both.
#pragma once

#include <optional>
#include <string_view>

#include "core/base/settings.h"

namespace kcptun {

/// By the last component of a path, like "/usr/bin/kcptun-server", "client" or "server_linux_arm7". None if
/// it has neither word, or both.
std::optional<Role> role_of_name(std::string_view path);

}  // namespace kcptun
