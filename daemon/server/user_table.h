// The users of a server with crypt noise, as one worker has them.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "config/profile.h"
#include "core/base/time.h"
#include "core/link/hello_gate.h"
#include "daemon/engine/stream_request.h"
#include "daemon/metrics/snapshot.h"
#include "daemon/metrics/traffic.h"
#include "daemon/server/rule_flow_policy.h"
#include "daemon/server/user_accounts.h"
#include "daemon/server/user_rates.h"

namespace kcptun {

/// One user, as long as it is in the table or has a session. Its requests name targets under its own rules.
struct UserState {
  UserState(Engine& engine, RequestTotals& totals, ListenPolicy* listens)
      : targets(engine, rules, totals), flow_policy(rules) {
    targets.listens = listens;
  }
  UserState(const UserState&) = delete;
  UserState& operator=(const UserState&) = delete;

  User user;
  DialRules rules;  // in force: the user's `allow`, or the tunnel's, and the tunnel's `deny`
  RequestTargets targets;
  RuleFlowPolicy flow_policy;
  std::shared_ptr<SharedRate> rate;  // of all its sessions, also those of other workers
  Traffic past;                      // of ended sessions
  std::uint64_t sessions = 0;        // open ones
};

/// Admits the clients whose key a user has, until the user's last day is over or its quota is used up.
class UserTable final : public ClientPolicy {
 public:
  /// Whether a client may connect, and if not, why.
  enum class Verdict : std::uint8_t { kAdmitted, kUnknown, kExpired, kUsedUp };
  struct RefusedClient {
    Verdict why = Verdict::kAdmitted;
    StaticKey key{};
    std::string user;  // "" if no user has the key
  };

  /// All outlive the table. Call apply() before use.
  UserTable(Engine& engine, RequestTotals& totals, ListenPolicy* listens, UserAccounts& accounts,
            UserRates& rates)
      : engine_(engine), totals_(totals), listens_(listens), accounts_(accounts), rates_(rates) {}

  /// Takes over the profile's users. States of users that stay are kept.
  void apply(const Profile& profile);
  bool empty() const { return users_.empty(); }

  /// Records the last refused client for take_refused().
  bool admits(const noise::PublicKey& client) const override;
  /// The client's user, who may be one who may connect no more; null if no user has the key.
  std::shared_ptr<UserState> find(const noise::PublicKey& client) const;
  /// The same as admits(), but records nothing.
  bool may_stay(const noise::PublicKey& client) const;
  std::optional<RefusedClient> take_refused();
  /// Clients refused so far.
  std::uint64_t refused() const { return refused_; }

  /// Counts the payload against the user's quota, if it has one.
  void charge(const UserState& state, std::uint64_t bytes);

  /// The time until the next user's last day is over; none if no user has one. At most kMaxCheckInterval,
  /// because the wall clock may jump.
  std::optional<Duration> until_next_expiry() const;
  static constexpr Duration kMaxCheckInterval = seconds(600);

  /// In the order of names. Traffic is that of ended sessions.
  std::vector<UserSnapshot> snapshots() const;

 private:
  Verdict judge(const UserState* state) const;

  Engine& engine_;
  RequestTotals& totals_;
  ListenPolicy* const listens_;
  UserAccounts& accounts_;
  UserRates& rates_;
  std::map<noise::PublicKey, std::shared_ptr<UserState>> users_;
  mutable std::optional<RefusedClient> last_refused_;
  mutable std::uint64_t refused_ = 0;
};

/// "no user has this key", "the user's last day is over".
std::string_view to_text(UserTable::Verdict refusal);

}  // namespace kcptun
