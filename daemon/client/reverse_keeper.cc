#include "daemon/client/reverse_keeper.h"

#include <algorithm>
#include <utility>

#include "config/reverses.h"
#include "core/base/check.h"
#include "daemon/client/reverse_control.h"
#include "daemon/net/address.h"

namespace kcptun {
namespace {

// While something is missing. Short beside a round trip and a dial.
constexpr Duration kCheckInterval = milliseconds(200);

std::vector<IpEndpoint> known_addresses(const Address& target) {
  const auto* host = std::get_if<HostPort>(&target);
  const auto literal = host && !host->host.empty() ? parse_ip(host->host, host->port_min) : std::nullopt;
  return literal ? std::vector{*literal} : std::vector<IpEndpoint>{};
}

Socks5Address address_of(const Reverse& reverse) {
  IpEndpoint endpoint{.port = reverse.listen.port_min};
  if (!reverse.listen.host.empty()) {
    const auto literal = parse_ip(reverse.listen.host, reverse.listen.port_min);
    KCPTUN_CHECK(literal.has_value());  // parse_reverse() accepts no other host
    endpoint = *literal;
  }
  return socks5_endpoint(endpoint);
}

}  // namespace

ReverseKeeper::ReverseKeeper(const Profile& profile, Engine& engine, Sessions& sessions,
                             std::span<ForwardCounters> counters)
    : profile_(profile),
      engine_(engine),
      sessions_(sessions),
      alarm_(engine, [this](TimePoint now) { check(now); }) {
  for (const Reverse& reverse : profile.reverses) {
    Entry& entry = entries_.emplace_back();
    entry.counters = &counters[entries_.size() - 1];
    entry.listen = listen_text(reverse);
    entry.target_name = target_text(reverse);
    entry.target = std::make_unique<Target>(engine, reverse.target, known_addresses(reverse.target));
  }
}

ReverseKeeper::~ReverseKeeper() = default;

void ReverseKeeper::start() { alarm_.schedule_at(engine_.now()); }

void ReverseKeeper::handle_session_changed() {
  if (!stopped_) alarm_.schedule_at(engine_.now());
}

ReverseTargets::Found ReverseKeeper::target(std::size_t number) {
  const Entry& entry = entries_.at(number);
  return {*entry.target, entry.target_name, entry.counters};
}

// --- asking ---

void ReverseKeeper::check(TimePoint now) {
  if (stopped_) return;
  const std::optional<Host> host = sessions_.host_for_reverses();
  if (!host) {
    if (now >= dial_at_) {
      dial_at_ = now + dial_after_;
      dial_after_ = std::min(2 * dial_after_, kMaxRetry);
      sessions_.dial_for_reverses();
    }
    return alarm_.schedule_at(now + kCheckInterval);
  }
  Link& link = host->session.link();
  link.announce();
  engine_.wake(host->session);
  if ((link.smux().peer_capabilities() & kServerStreams) == 0) return wait_for_server(now, *host);
  unable_since_.reset();
  unable_logged_ = false;
  dial_after_ = kFirstRetry;
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    Entry& entry = entries_[i];
    if (entry.control && &entry.control->session() != &host->session) {
      std::exchange(entry.control, nullptr)->close();
      entry.listening = false;
      entry.retry_at = now;
    }
    if (!entry.control && now >= entry.retry_at) ask(i, *host);
  }
  check_later(now);
}

// A session that outlives autoexpire takes no more streams, and only a check finds out.
void ReverseKeeper::check_later(TimePoint now) {
  std::optional<TimePoint> next;
  for (const Entry& entry : entries_)
    if (!entry.control) next = earliest(next, entry.retry_at);
  if (profile_.autoexpire.count() > 0) next = earliest(next, now + profile_.autoexpire);
  if (next) alarm_.schedule_at(std::max(*next, now + kCheckInterval));
}

void ReverseKeeper::wait_for_server(TimePoint now, const Host& host) {
  if (!host.session.link().heard()) {
    unable_since_.reset();
  } else if (!unable_since_) {
    unable_since_ = now;
  }
  const bool unable = unable_since_ && now - *unable_since_ >= kAnswerTime;
  if (unable && !std::exchange(unable_logged_, true))
    log().warning("the server cannot listen for this client",
                  {{"reason", "it is not of this project, or older than this client"},
                   {"listen", entries_.front().listen}});
  alarm_.schedule_at(now + (unable ? Duration(kMaxRetry) : Duration(kCheckInterval)));
}

void ReverseKeeper::ask(std::size_t number, const Host& host) {
  const auto sid = host.session.link().open_stream(StreamKind::kRequest);
  Entry& entry = entries_[number];
  entry.retry_at = engine_.now() + entry.retry_after;
  if (!sid) return;
  auto control = std::make_unique<ReverseControl>(*this, host.session, *sid, number);
  entry.control = control.get();
  host.listeners.emplace_back(*sid, number);
  host.session.attach(std::move(control));
  entry.control->ask(address_of(profile_.reverses[number]));
}

// --- answers ---

void ReverseKeeper::handle_listening(const ReverseControl& control) {
  Entry& entry = entries_[control.number()];
  entry.listening = true;
  entry.retry_after = kFirstRetry;
  entry.logged_reason.clear();
  log().info("the server listens for this client", {{"conv", hex_id(control.session().link().conv())},
                                                    {"listen", entry.listen},
                                                    {"target", entry.target_name}});
}

// The rules of a server may change, so a denied request is repeated, too.
void ReverseKeeper::handle_refused(ReverseControl& control, ReplyCode code, const std::string& reason) {
  Entry& entry = entries_[control.number()];
  entry.control = nullptr;
  entry.listening = false;
  const TimePoint now = engine_.now();
  entry.retry_at = now + (code == ReplyCode::kNotAllowed ? Duration(kMaxRetry) : entry.retry_after);
  entry.retry_after = std::min(2 * entry.retry_after, Duration(kMaxRetry));
  if (std::exchange(entry.logged_reason, reason) != reason)
    log().warning("the server does not listen for this client",
                  {{"listen", entry.listen}, {"target", entry.target_name}, {"reason", reason}});
  alarm_.schedule_at(entry.retry_at);
}

void ReverseKeeper::handle_gone(ReverseControl& control) {
  Entry& entry = entries_[control.number()];
  entry.control = nullptr;
  entry.listening = false;
  entry.retry_at = engine_.now();
  handle_session_changed();
}

}  // namespace kcptun
