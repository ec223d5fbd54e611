#include "daemon/server/reverse_listener.h"

#include <utility>

#include "core/proxy/socks5_client.h"
#include "daemon/engine/lingering_resets.h"
#include "daemon/engine/session.h"
#include "daemon/net/address.h"
#include "daemon/server/listener_table.h"

namespace kcptun {
namespace {

// Between two log lines about refused connections.
constexpr Duration kRefusalLogInterval = seconds(60);

}  // namespace

ReverseListener::ReverseListener(Session& session, std::uint32_t sid, const At& at, FileDescriptor listening)
    : StreamEnd(sid),
      table_(at.table),
      session_(session),
      stream_(session, sid),
      address_(at.address),
      listener_(std::make_unique<Listener>(session.engine().uv(), std::move(listening),
                                           [this](FileDescriptor fd) { accept(std::move(fd)); })) {
  table_.add(*this);
  log("listening for a client", {});
}

ReverseListener::~ReverseListener() {
  if (!ended_) table_.remove(*this);
  stream_.engine().deadlines().set(*this, std::nullopt);
}

void ReverseListener::log(std::string_view event, std::string_view reason) const {
  std::vector<LogField> fields{{"conv", hex_id(session_.link().conv())},
                               {"client", to_string(session_.path().remote)},
                               {"listen", to_string(address_)}};
  if (!reason.empty()) fields.push_back({"reason", reason});
  session_.log().write(LogLevel::kInfo, event, fields);
}

// --- connections ---

void ReverseListener::accept(FileDescriptor fd) {
  const std::optional<IpEndpoint> from = peer_endpoint(fd.get());
  if (!from) return;  // it is gone again
  Link& link = session_.link();
  const auto opened = pending_is_full() ? std::nullopt : link.open_stream();
  if (!opened) return refuse(fd.get());
  ++table_.counters().accepted;
  pending_.push_back(*opened);
  LocalConnection connection(std::move(fd));
  connection.unsent = accepted_opening(*from, sid());
  connection.request = std::make_unique<ForwardedRequest>(
      ForwardedRequest{to_string(address_), to_string(*from), std::nullopt, Socks5ReplyReader(), false});
  session_.attach(std::make_unique<Connection>(session_, *opened, std::move(connection)));
}

bool ReverseListener::pending_is_full() {
  if (pending_.size() < kMaxPending) return false;
  const auto& open = session_.open_connections();
  std::erase_if(pending_, [&open](std::uint32_t sid) {
    const auto it = open.find(sid);
    return it == open.end() || !it->second->forwarded() || it->second->forwarded()->settled;
  });
  return pending_.size() >= kMaxPending;
}

void ReverseListener::refuse(int fd) {
  ++table_.counters().refused;
  set_reset_on_close(fd);
  const TimePoint now = session_.engine().now();
  if (refusal_logged_at_ && now - *refusal_logged_at_ < kRefusalLogInterval) return;
  refusal_logged_at_ = now;
  log("connections to a listener are reset", "too many wait for its client");
}

// --- its life ---

void ReverseListener::check_client() {
  if (checked_segments_ || ended_) return;
  Link& link = session_.link();
  checked_segments_ = link.kcp().counters().in_segments;
  const TimePoint now = session_.engine().now();
  link.probe_liveness(now);
  session_.engine().wake(session_);
  session_.engine().deadlines().set(*this, now + kCheckTime);
}

void ReverseListener::handle_deadline(TimePoint) {
  if (session_.link().kcp().counters().in_segments == std::exchange(checked_segments_, std::nullopt))
    end("its client does not answer, and another one asks for the address");
}

// Closes the socket now: another session may ask for the address before this object is destroyed.
void ReverseListener::leave(std::string_view reason) {
  if (std::exchange(ended_, true)) return;
  log("no longer listening for a client", reason);
  table_.remove(*this);
  listener_.reset();
}

void ReverseListener::end(std::string_view reason) {
  if (ended_) return;
  leave(reason);
  session_.link().reset_stream(sid());
  session_.detach(*this);
}

}  // namespace kcptun
