// What requests to listen, and the connections of listeners, need from their end.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/proxy/proxy_request.h"
#include "daemon/metrics/forward_counters.h"
#include "daemon/system/file_descriptor.h"

namespace kcptun {

class Target;

/// A server's: decides where its clients may listen.
class ListenPolicy {
 public:
  struct Answer {
    FileDescriptor listening;  // invalid: refused
    ReplyCode code = ReplyCode::kSucceeded;
    std::string error{};  // the reason, unless the rules are
  };

  virtual ~ListenPolicy() = default;
  /// Listens on TCP `address` if the rules permit it.
  virtual Answer listen(const Socks5Address& address) = 0;
};

/// A client's: where the connections lead that its server has accepted.
class ReverseTargets {
 public:
  struct Found {
    Target& target;
    std::string text;  // "tcp://127.0.0.1:80"
    ForwardCounters* counters;
  };

  virtual ~ReverseTargets() = default;
  /// `listener`: the sid of the stream that asked to listen. Nothing if the session has no such stream.
  virtual std::optional<Found> find_reverse(std::uint32_t listener) = 0;
};

}  // namespace kcptun
