#include "daemon/client/health_checker.h"

#include <algorithm>
#include <deque>
#include <utility>

#include "config/address.h"
#include "daemon/engine/hints.h"
#include "daemon/net/address.h"
#include "daemon/worker/tunnel_sockets.h"

namespace kcptun {

// A session without streams.
struct HealthChecker::Watched final : PacketReceiver {
  Watched(HealthChecker& owner, Engine& on_loop, SessionName id, const Path& path, const Profile& profile)
      : watch(owner),
        engine(on_loop),
        dialled_at(on_loop.now()),
        link(Role::kClient, id, on_loop.context(), dialled_at),
        session(on_loop, link, owner, path, profile),
        socket(path.socket) {}
  ~Watched() override { engine.remove_socket(socket); }

  void handle_run(TimePoint now, const Path&, std::span<const Packet> packets) override {
    const bool owed = link.unanswered_since().has_value();
    link.handle_packets(now, packets);
    engine.wake(session);
    if (is_open && owed && !link.unanswered_since()) take_answer(now);
    watch.handle_packet(now);
  }
  void ask(TimePoint now) {
    asked_at = now;
    is_open = true;
    link.probe_liveness(now);
    engine.wake(session);
  }

  void take_answer(TimePoint now) {
    is_open = false;
    answers.push_back(std::max(now - asked_at, Duration(1)));
    if (answers.size() > kAnswers) answers.pop_front();
  }
  /// None before the first answer.
  std::optional<Duration> round_trip() const {
    if (answers.empty()) return std::nullopt;
    return *std::ranges::min_element(answers);
  }

  HealthChecker& watch;
  Engine& engine;
  TimePoint dialled_at;
  Link link;
  Session session;
  std::uint32_t socket;
  TimePoint asked_at{};
  bool is_open = false;  // the state when the ping was sent
  std::deque<Duration> answers;
};

HealthChecker::HealthChecker(const Profile& profile, Engine& engine, Random& random, OpenSocket open,
                             std::function<void()> changed)
    : profile_(profile),
      engine_(engine),
      random_(random),
      open_(std::move(open)),
      changed_(std::move(changed)),
      choice_(profile.servers.size()) {
  for (const HostPort& name : profile.servers) servers_.emplace_back().name = name;
  for (std::size_t i = 0; i < servers_.size(); ++i) try_server(i);
  poll_timer_ = std::make_unique<Alarm>(engine_, [this](TimePoint now) { look(now); });
  polled_at_ = engine_.now();
  poll_timer_->schedule_at(polled_at_ + kPollInterval);
}

HealthChecker::~HealthChecker() = default;

std::optional<HealthChecker::Target> HealthChecker::target() {
  const auto at = [this](std::size_t index) -> std::optional<Target> {
    const Server& server = servers_[index];
    if (!server.address) return std::nullopt;
    Target target{index, *server.address};
    target.address.port = random_port(server.name, random_);
    return target;
  };
  if (auto chosen = at(choice_.chosen())) return chosen;
  for (std::size_t i = 0; i < servers_.size(); ++i)
    if (auto any = at(i)) return any;
  return std::nullopt;
}

std::optional<std::size_t> HealthChecker::best() const {
  if (!choice_.any_healthy()) return std::nullopt;
  return choice_.chosen();
}

void HealthChecker::follow_network() {
  for (std::size_t i = 0; i < servers_.size(); ++i) {
    Server& server = servers_[i];
    if (!server.session || !source_address_changed(server.session->session.path(), profile_)) continue;
    engine_.dispose(std::move(server.session));
    if (!dial(i)) fail(i, "cannot be dialled");
  }
}

void HealthChecker::update_settings() {
  for (Server& server : servers_) {
    if (!server.session) continue;
    server.session->link.update_settings(link_settings(profile_), engine_.now());
    engine_.wake(server.session->session);
  }
}

void HealthChecker::shut_down() {
  shut_down_ = true;
  poll_timer_.reset();
  for (Server& server : servers_) {
    server.lookup.reset();
    server.race.reset();
    if (server.session) server.session->session.shut_down();
  }
}

std::vector<ServerSnapshot> HealthChecker::snapshot() const {
  std::vector<ServerSnapshot> all;
  for (std::size_t i = 0; i < servers_.size(); ++i) {
    ServerSnapshot one;
    one.server = to_text(servers_[i].name);
    one.healthy = choice_.state(i) == ServerState::kHealthy;
    one.chosen = best() == i;
    if (const auto round_trip = choice_.round_trip(i))
      one.round_trip = std::chrono::duration<double>(*round_trip).count();
    all.push_back(std::move(one));
  }
  return all;
}

// --- checks ---

void HealthChecker::handle_stream(Session& session, std::uint32_t sid) { session.link().reset_stream(sid); }

void HealthChecker::handle_closed(Session& session, std::string_view reason) {
  for (std::size_t i = 0; i < servers_.size(); ++i) {
    if (!servers_[i].session || &servers_[i].session->session != &session) continue;
    fail(i, reason);
    return choose();
  }
}

// Connections may be waiting for the first server that answers.
void HealthChecker::handle_packet(TimePoint now) {
  if (poll_timer_ && !choice_.any_healthy()) poll_timer_->schedule_at(now);
}

void HealthChecker::look(TimePoint now) {
  const bool was_suspended = now - std::exchange(polled_at_, now) > 2 * kPollInterval;
  poll_timer_->schedule_at(now + kPollInterval);
  // Packets that arrived during the pause are read after this and must be counted first.
  if (was_suspended) return;
  const std::unique_ptr<Watched>& best = servers_[choice_.chosen()].session;
  const bool urgent = !best || best->link.unanswered_since();
  for (std::size_t i = 0; i < servers_.size(); ++i) {
    if (servers_[i].session) {
      check(i, now, urgent);
    } else if (now >= choice_.retry_at(i)) {
      try_server(i);
    }
  }
  choose();
}

void HealthChecker::check(std::size_t index, TimePoint now, bool urgent) {
  Watched& watched = *servers_[index].session;
  const auto round_trip = watched.round_trip();
  const auto owed = watched.link.unanswered_since();
  if (owed && now - *owed >= kAnswerTimeout + round_trip.value_or(Duration(0)))
    return fail(index, "owes an answer");
  if (round_trip && !owed) {
    choice_.handle_answer(index, *round_trip, now);
    if (!choice_.on_probation(index) && std::exchange(servers_[index].logged_healthy, true) != true)
      log().info("server answers",
                 {{"address", to_text(servers_[index].name)},
                  {"rtt_ms", std::chrono::duration_cast<milliseconds>(*round_trip).count()}});
  }
  const bool often = urgent || index == choice_.chosen() || choice_.on_probation(index);
  const Duration every = often ? kBestInterval : kOthersInterval;
  if (!owed && now - watched.asked_at >= every) watched.ask(now);
}

void HealthChecker::fail(std::size_t index, std::string_view reason) {
  Server& server = servers_[index];
  if (std::exchange(server.logged_healthy, false) != false) {
    const std::string why = server.session ? explain_end(server.session->link, profile_) : std::string();
    log().warning("server failed",
                  {{"address", to_text(server.name)}, {"reason", why.empty() ? reason : why}});
  }
  if (server.session && server.session->link.kcp().counters().in_segments == 0) ++server.next_address;
  server.answered.reset();
  engine_.dispose(std::move(server.session));
  choice_.handle_failure(index, engine_.now());
}

void HealthChecker::choose() {
  if (shut_down_) return;
  choice_.choose();
  if (const auto now = best(); now && now != std::exchange(announced_, now))
    log().info("server chosen", {{"address", to_text(servers_[*now].name)}});
  if (choice_.all_failed() && !std::exchange(all_failed_logged_, true))
    log().error("no server answers", {{"count", servers_.size()}});
  if (choice_.any_healthy()) {
    all_failed_logged_ = false;
  } else {
    announced_.reset();
  }
  changed_();
}

// --- dialling ---

void HealthChecker::try_server(std::size_t index) {
  Server& server = servers_[index];
  if (server.lookup || server.race) return;
  server.lookup = std::make_unique<NameLookup>(
      engine_.uv(), dialled_host(server.name), server.name.port_min,
      [this, index](NameLookup::Addresses addresses) { handle_resolved(index, std::move(addresses)); });
}

void HealthChecker::handle_resolved(std::size_t index, NameLookup::Addresses addresses) {
  Server& server = servers_[index];
  server.lookup.reset();
  if (addresses) server.addresses = std::move(*addresses);
  if (server.addresses.size() > 1 && !server.answered) {
    server.race = std::make_unique<AddressRace>(
        profile_, engine_, random_, open_, server.name, in_order(server),
        [this, index](std::optional<IpEndpoint> winner) { handle_race(index, std::move(winner)); });
    return;
  }
  if (!addresses && server.addresses.empty()) {
    fail(index, addresses.error());
  } else if (!dial(index)) {
    fail(index, "cannot be dialled");
  }
  choose();
}

void HealthChecker::handle_race(std::size_t index, std::optional<IpEndpoint> winner) {
  Server& server = servers_[index];
  server.race.reset();
  server.answered = std::move(winner);
  if (!server.answered) {
    ++server.next_address;
    fail(index, "none of its addresses answers");
  } else if (!dial(index)) {
    fail(index, "cannot be dialled");
  }
  choose();
}

// The race's winner first, else the addresses from the first that has not timed out.
std::vector<IpEndpoint> HealthChecker::in_order(const Server& server) {
  std::vector<IpEndpoint> addresses = server.addresses;
  if (addresses.empty()) return addresses;
  auto first = addresses.begin() + static_cast<std::ptrdiff_t>(server.next_address % addresses.size());
  if (server.answered) {
    const auto known = std::ranges::find(addresses, *server.answered);
    if (known != addresses.end()) first = known;
  }
  std::rotate(addresses.begin(), first, addresses.end());
  return addresses;
}

// Dials the first of its addresses that this host has a route to.
bool HealthChecker::dial(std::size_t index) {
  Server& server = servers_[index];
  for (IpEndpoint remote : in_order(server)) {
    remote.port = random_port(server.name, random_);
    Result<std::unique_ptr<DatagramSocket>> socket = open_(remote, engine_.next_socket_index());
    if (!socket) continue;
    server.address = remote;
    server.session = std::make_unique<Watched>(*this, engine_, new_session_name(random_),
                                               path_from(**socket, remote), profile_);
    engine_.add_socket(std::move(*socket), *server.session);
    server.session->ask(engine_.now());
    return true;
  }
  return false;
}

}  // namespace kcptun
