// Where a server's streams go.
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

/// Knows the addresses of the target's name, learns them anew in the background while they are used, and remembers
/// which of them a connection was made to last: the next dialer begins with that one.
/// Bounds: dialers that wait for addresses are connections of open streams, and wait for Dialer::kDialTimeout at most.
class Target {
 public:
  /// `loop` outlives it. `addresses`: those known at the start; none for a unix path, and where the name could not be
  /// resolved yet.
  Target(Engine& engine, Address address, std::vector<IpEndpoint> addresses);
  Target(const Target&) = delete;
  Target& operator=(const Target&) = delete;

  /// Gives the dialer the addresses: at once if they are known, else when they are.
  void dial(Dialer& dialer);
  /// Looks the name up before anybody asks; a failure is a line of the log.
  void look_up_early(EventLog log);
  /// Another target from now on, also for dialers that still wait for the addresses of the old one.
  void replace(Address address, std::vector<IpEndpoint> addresses);

 private:
  struct Waiting {
    Dialer* dialer;
    std::weak_ptr<bool> alive;
  };

  void look_up(TimePoint now);
  bool is_name() const;
  void handle_resolved(NameLookup::Addresses addresses);
  void begin(Dialer& dialer);
  std::vector<IpEndpoint> in_order() const;

  Engine& engine_;
  Address address_;
  std::vector<IpEndpoint> addresses_;
  std::optional<IpEndpoint> reached_;  // the last one, while it is one of addresses_
  std::vector<Waiting> waiting_;
  std::optional<EventLog> early_log_;   // of a lookup that nobody waits for
  std::unique_ptr<NameLookup> lookup_;  // while one is under way
  TimePoint fresh_until_{};
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // for dialers that outlive it, or the name it had
};

}  // namespace kcptun
