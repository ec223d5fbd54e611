// Finds the addresses at which a client's one server is dialled.
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

/// Looks the server's name up, lets its addresses race where there are several and none has answered before, and keeps
/// trying where there is no network yet: after 1, 2, 4, then every 8 s, and at once when the network changes. Says once
/// why it waits.
/// Bounds: one lookup, then one race at a time.
class ServerFinder {
 public:
  static constexpr Duration kFirstRetry = seconds(1);
  static constexpr Duration kMaxRetry = seconds(8);

  /// `found` is called from the loop: the server is to be dialled. What is referred to outlives the finder.
  ServerFinder(const Profile& profile, Engine& engine, Random& random, OpenSocket open, std::function<void()> found);

  /// Looks the name up again and calls `found`; sooner or later, if no address is known.
  void find();
  /// The addresses known, the one that answered last first, then from the next one on that has not stayed silent.
  std::vector<IpEndpoint> in_order() const;
  /// None of them could be dialled, for this reason: `found` is called again later.
  void handle_failure(const std::string& error);
  void handle_connected();
  /// A session to this address is over, and was heard from: it is the first to be tried from now on.
  void handle_answered(IpEndpoint address);
  /// A session to one of the addresses was never heard from: the next ones are tried first.
  void handle_silence();
  /// Why nothing can be dialled yet; empty: nothing hinders.
  const std::string& failure() const { return logged_; }
  /// This host's addresses or routes may have changed.
  void handle_network_change();
  /// The profile has another server, whose addresses are these.
  void replace(std::vector<IpEndpoint> addresses);
  /// Nothing is called any more.
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
  std::optional<IpEndpoint> answered_;  // the last one that did; one of addresses_
  std::size_t first_ = 0;               // of addresses_: moves on when one stays silent
  std::unique_ptr<NameLookup> lookup_;  // while one is under way
  std::unique_ptr<AddressRace> race_;   // while one is under way
  std::string logged_;                    // the last failure that the log knows of
  Duration retry_after_ = kFirstRetry;
  std::optional<TimePoint> retry_at_;
  Alarm retry_;
};

}  // namespace kcptun
