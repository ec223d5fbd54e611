// Which destinations clients may reach through the server.
#pragma once

#include "core/base/path.h"

namespace kcptun {

/// Asked for each destination of a flow, by its address: a name was resolved before.
class DialPolicy {
 public:
  virtual ~DialPolicy() = default;
  virtual bool allows_udp(const IpEndpoint& destination) const = 0;
};

/// Nothing may be reached: the policy of a server without rules.
class DenyAll final : public DialPolicy {
 public:
  bool allows_udp(const IpEndpoint&) const override { return false; }
};

}  // namespace kcptun
