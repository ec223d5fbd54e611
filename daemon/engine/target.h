// The target of a server's streams.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "config/profile.h"
#include "core/base/path.h"
#include "daemon/engine/dialer.h"
#include "daemon/engine/engine.h"
#include "daemon/io/name_lookup.h"
#include "daemon/log/log.h"

namespace kcptun {

/// Holds the addresses of the target's name, resolves the name again in the background while it is used, and
/// remembers the address of the last successful connection. The next dialer starts with that address.
/// Bounds: the dialers that wait for addresses belong to open streams and wait for Dialer::kDialTimeout at
/// most.
class Target {
 public:
  /// `engine` outlives it. `addresses`: those known at the start; empty for a unix path or a name not yet
  /// resolved.
  Target(Engine& engine, Address address, std::vector<IpEndpoint> addresses);
  Target(const Target&) = delete;
  Target& operator=(const Target&) = delete;

  /// Gives the dialer the addresses: immediately if they are known, otherwise after the lookup.
  void dial(Dialer& dialer);
  /// Resolves the name before the first dial. A failure is logged.
  void look_up_early(EventLog log);
  /// Replaces the target, also for dialers that still wait for the old target's addresses.
  void replace(Address address, std::vector<IpEndpoint> addresses);

 private:
  struct Waiting {
    Dialer* dialer;
    std::weak_ptr<bool> alive;
  };

  void look_up(TimePoint now);
  bool is_name() const;
  void handle_resolved(NameLookup::Addresses addresses);
  void start(Dialer& dialer);
  std::vector<IpEndpoint> in_order() const;

  Engine& engine_;
  Address address_;
  std::vector<IpEndpoint> addresses_;
  std::optional<IpEndpoint> last_reached_;  // while it is in addresses_
  std::vector<Waiting> waiting_;
  std::optional<EventLog> early_log_;   // of a lookup that no dialer waits for
  std::unique_ptr<NameLookup> lookup_;  // while a lookup is in progress
  TimePoint fresh_until_{};
  // Detects callbacks that outlive this object or the name.
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace kcptun
