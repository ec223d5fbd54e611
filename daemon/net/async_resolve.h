// Name resolution that does not block the loop.
#pragma once

#include <uv.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/base/path.h"
#include "core/base/result.h"

namespace kcptun {

/// Calls `done` on the loop with all addresses of the host, or the error; from inside the call when `host` is a
/// literal. The loop must run until then.
void resolve_async(uv_loop_t& loop, const std::string& host, std::uint16_t port,
                   std::function<void(Result<std::vector<IpEndpoint>>)> done);

struct NameQuery {
  std::string host;
  std::uint16_t port;
};

/// The same for several names, in their order; the first error is the error of all. From inside the call when there is
/// nothing to ask.
void resolve_all_async(uv_loop_t& loop, const std::vector<NameQuery>& queries,
                       std::function<void(Result<std::vector<std::vector<IpEndpoint>>>)> done);

}  // namespace kcptun
