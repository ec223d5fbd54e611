// What a connection of a forward carries besides its bytes.
#pragma once

#include <optional>
#include <string>

#include "core/proxy/proxy_request.h"
#include "core/proxy/socks5_client.h"
#include "daemon/metrics/forward_counters.h"

namespace kcptun {

/// The request that the first bytes of the stream are, and the reader of its replies. Belongs to the
/// LocalConnection and then to the Connection, and returns if the stream restarts.
struct ForwardedRequest {
  // Where the forward listens, as in the profile: "tcp://127.0.0.1:5432"; at a server the listener's address.
  std::string entrance;
  std::string target;  // host:port, with control bytes escaped; at a server the connecting host
  // How the application asked for the target and waits for the reply; none: it did not, and sees only the
  // answer.
  std::optional<RequestProtocol> asked_by;
  Socks5ReplyReader reply;
  bool settled = false;                 // the final reply was acted on
  ForwardCounters* counters = nullptr;  // of the forward; null: a server's
};

}  // namespace kcptun
