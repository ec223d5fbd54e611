// Which destinations the flows of clients may reach.
#pragma once

#include "core/base/path.h"
#include "core/proxy/socks5_address.h"

namespace kcptun {

/// Asked once for each destination of a flow. A name is resolved once, and each of its addresses is asked
/// about.
class FlowPolicy {
 public:
  virtual ~FlowPolicy() = default;
  /// False: no address of the name could be permitted, so that it is not resolved.
  virtual bool may_resolve(const Socks5Address& name) const = 0;
  /// `address`: the target's, or one that its name resolves to.
  virtual bool permits(const Socks5Address& target, const IpEndpoint& address) const = 0;
};

/// Nothing may be reached: the policy of a server without rules.
class DenyAll final : public FlowPolicy {
 public:
  bool may_resolve(const Socks5Address&) const override { return false; }
  bool permits(const Socks5Address&, const IpEndpoint&) const override { return false; }
};

}  // namespace kcptun
