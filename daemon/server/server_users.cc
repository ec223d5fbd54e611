// The users of a server: what their sessions may do, and when these end.
#include <algorithm>
#include <utility>

#include "config/static_key.h"
#include "daemon/server/server_session.h"
#include "daemon/worker/tunnel_sockets.h"

namespace kcptun {
namespace {

// Minimum interval between two log lines about refused clients.
constexpr Duration kClientRefusalLogInterval = seconds(60);
// Between two looks at the quota of a session that moves. A quota is exceeded by what its user's sessions
// carry meanwhile.
constexpr Duration kQuotaInterval = milliseconds(100);
// How long a session whose user may connect no more goes on, so that resets of its streams reach the client.
constexpr Duration kResetTime = milliseconds(300);

}  // namespace

RequestTargets& ServerWorker::targets_of(const ServerSession& accepted) {
  return accepted.user ? accepted.user->targets : request_targets_;
}

// A user's rate takes the place of the tunnel's, which is each session's own.
void ServerWorker::configure(ServerSession& accepted) {
  LinkSettings settings = link_settings(profile_);
  Link& link = accepted.conversation.link;
  if (accepted.user) {
    if (const std::uint64_t rate = accepted.user->user.ratelimit; rate > 0) {
      settings.rate_limit = 0;
      settings.kcp.tuning.rate = rate;
    }
    link.share_rate(accepted.user->rate);
  }
  link.update_settings(settings, engine_.now());
}

// Payload that has moved since the last call counts against the user's quota.
void ServerWorker::charge(ServerSession& accepted) {
  if (!accepted.user) return;
  const std::uint64_t moved = accepted.session.traffic().total();
  users_.charge(*accepted.user, moved - std::exchange(accepted.charged, moved));
}

void ServerWorker::charge_all() {
  for (ServerSession* accepted : accepted_) charge(*accepted);
}

// Follows the session's packets, so that an idle session costs nothing.
void ServerWorker::check_quota(ServerSession& accepted) {
  const TimePoint now = engine_.now();
  if (accepted.refused_at || now < accepted.charged_at + kQuotaInterval) return;
  accepted.charged_at = now;
  charge(accepted);
  if (!users_.may_stay(*accepted.conversation.client)) user_check_.schedule_at(now);
}

// In two steps: streams are reset now, and the session ends kResetTime later.
void ServerWorker::end_sessions_of_refused_users() {
  const TimePoint now = engine_.now();
  charge_all();
  std::vector<SessionEntry*> over;
  bool resets = false;
  for (ServerSession* accepted : accepted_) {
    if (!accepted->user || users_.may_stay(*accepted->conversation.client)) continue;
    if (accepted->refused_at && now >= *accepted->refused_at + kResetTime) {
      over.push_back(&accepted->conversation);
    } else if (!accepted->refused_at) {
      accepted->refused_at = now;
      accepted->session.shut_down();
      engine_.wake(accepted->session);
      resets = true;
    }
  }
  for (SessionEntry* conversation : over)
    retire(demux_.end(now, *conversation), "its user may connect no more");
  if (resets) user_check_.schedule_at(now + kResetTime);
  if (const auto left = users_.until_next_expiry()) user_check_.schedule_at(now + *left);
}

// The client gets no answer; only this line shows the cause.
void ServerWorker::log_refused_client(TimePoint now) {
  const auto refused = users_.take_refused();
  if (!refused) return;
  if (refused_client_logged_at_ != TimePoint{} && now - refused_client_logged_at_ < kClientRefusalLogInterval)
    return;
  refused_client_logged_at_ = now;
  log().warning("client refused", {{"why", to_text(refused->why)},
                                   {"user", refused->user},
                                   {"key", to_text(refused->key)},
                                   {"refused", users_.refused()}});
}

std::vector<UserSnapshot> ServerWorker::user_snapshots() const {
  std::vector<UserSnapshot> users = users_.snapshots();
  for (const ServerSession* accepted : accepted_) {
    if (!accepted->user) continue;
    const auto row = std::ranges::lower_bound(users, accepted->user->user.name, {}, &UserSnapshot::user);
    if (row != users.end() && row->user == accepted->user->user.name)
      row->traffic.add(accepted->session.traffic());
  }
  return users;
}

}  // namespace kcptun
