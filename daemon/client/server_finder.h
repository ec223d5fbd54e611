// Finds the addresses of a client's single server.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "config/profile.h"
#include "core/base/random.h"
#include "daemon/client/address_race.h"
#include "daemon/engine/alarm.h"
#include "daemon/io/name_lookup.h"
#include "daemon/log/log.h"

namespace kcptun {

/// Resolves the server's name. If there are several addresses and none has answered before, an AddressRace
/// chooses one. Without a network it retries after 1, 2, 4, then every 8 s, and immediately when the network
/// changes. Logs the reason for waiting once.
/// Bounds: one lookup, then one race at a time.
class ServerFinder {
 public:
  static constexpr Duration kFirstRetry = seconds(1);
  static constexpr Duration kMaxRetry = seconds(8);

  /// `found` is called from the loop when the server can be dialled. All references outlive the finder.
  ServerFinder(const Profile& profile, Engine& engine, Random& random, OpenSocket open,
               std::function<void()> found);

  /// Resolves the name again and calls `found`. If no address is known, that happens after a later attempt.
  void find();
  /// The known addresses: the last one that answered first, then the others from the first that has not timed
  /// out.
  std::vector<IpEndpoint> in_order() const;
  /// No address could be dialled, because of `error`. `found` is called again later.
  void handle_failure(const std::string& error);
  void handle_connected();
  /// A session to this address has ended after it received packets. The address becomes the first to try.
  void handle_answered(IpEndpoint address);
  /// A session to one of the addresses never received a packet. The next addresses are tried first.
  void handle_no_answer();
  /// The reason why no server can be dialled; empty if one can.
  const std::string& failure() const { return logged_; }
  /// This host's addresses or routes may have changed.
  void handle_network_change();
  /// The profile has another server with these addresses.
  void replace(std::vector<IpEndpoint> addresses);
  /// Makes no further calls.
  void shut_down();

 private:
  void handle_resolved(NameLookup::Addresses addresses);
  void handle_race(std::optional<IpEndpoint> winner);
  EventLog log() const { return EventLog(profile_.name); }

  const Profile& profile_;
  Engine& engine_;
  Random& random_;
  OpenSocket open_;
  std::function<void()> found_;
  std::vector<IpEndpoint> addresses_;
  std::optional<IpEndpoint> answered_;  // the last address that answered; one of addresses_
  std::size_t first_ = 0;               // index in addresses_; advances when an address does not answer
  std::unique_ptr<NameLookup> lookup_;  // while a lookup is in progress
  std::unique_ptr<AddressRace> race_;   // while a race is in progress
  std::string logged_;                  // the last failure logged
  Duration retry_after_ = kFirstRetry;
  std::optional<TimePoint> retry_at_;
  Alarm retry_;
};

}  // namespace kcptun
