#include "daemon/client/address_race.h"

#include <algorithm>
#include <utility>

#include "daemon/worker/tunnel_sockets.h"

namespace kcptun {

// A session without streams.
struct AddressRace::Attempt final : PacketReceiver {
  Attempt(AddressRace& owner, const IpEndpoint& at, SessionName id, const Path& path)
      : race(owner),
        address(at),
        link(Role::kClient, id, owner.engine_.context(), owner.engine_.now()),
        session(owner.engine_, link, owner, path, owner.profile_),
        socket(path.socket) {}
  ~Attempt() override { race.engine_.remove_socket(socket); }

  void handle_run(TimePoint now, const Path&, std::span<const Packet> packets) override {
    link.handle_packets(now, packets);
    race.engine_.wake(session);
    if (answered()) race.alarm_.schedule_at(now);
  }
  bool answered() const { return link.kcp().counters().in_segments > 0; }

  AddressRace& race;
  IpEndpoint address;  // as resolved
  Link link;
  Session session;
  std::uint32_t socket;
};

AddressRace::AddressRace(const Profile& profile, Engine& engine, Random& random, const OpenSocket& open,
                         HostPort server, std::vector<IpEndpoint> addresses, Done done)
    : profile_(profile),
      engine_(engine),
      random_(random),
      open_(open),
      server_(std::move(server)),
      addresses_(std::move(addresses)),
      done_(std::move(done)),
      alarm_(engine, [this](TimePoint now) { handle_alarm(now); }) {
  if (addresses_.size() > kMaxAttempts) addresses_.resize(kMaxAttempts);
  begin_next(engine_.now());
}

AddressRace::~AddressRace() = default;

void AddressRace::handle_stream(Session& session, std::uint32_t sid) { session.link().reset_stream(sid); }

// The server may speak another smux version, but it is reachable.
void AddressRace::handle_closed(Session&, std::string_view) {}

const AddressRace::Attempt* AddressRace::answered() const {
  const auto first = std::ranges::find_if(attempts_, [](const auto& attempt) { return attempt->answered(); });
  return first == attempts_.end() ? nullptr : first->get();
}

void AddressRace::handle_alarm(TimePoint now) {
  const Attempt* winner = answered();
  if (!winner && now < next_at_) return alarm_.schedule_at(next_at_);
  if (!winner && next_ < addresses_.size()) return begin_next(now);
  const std::optional<IpEndpoint> address = winner ? std::optional(winner->address) : std::nullopt;
  const Done done = std::move(done_);
  done(address);
}

// Skips addresses without a route immediately.
void AddressRace::begin_next(TimePoint now) {
  bool begun = false;
  while (!begun && next_ < addresses_.size()) begun = begin(addresses_[next_++]);
  next_at_ = now;
  if (begun) next_at_ += next_ < addresses_.size() ? kAttemptDelay : kAnswerTimeout;
  if (!begun && !attempts_.empty()) next_at_ += kAnswerTimeout;
  alarm_.schedule_at(next_at_);
}

bool AddressRace::begin(const IpEndpoint& address) {
  IpEndpoint remote = address;
  remote.port = random_port(server_, random_);
  Result<std::unique_ptr<DatagramSocket>> socket = open_(remote, engine_.next_socket_index());
  if (!socket) return false;
  const SessionName id = new_session_name(random_);
  auto& attempt =
      attempts_.emplace_back(std::make_unique<Attempt>(*this, address, id, path_from(**socket, remote)));
  engine_.add_socket(std::move(*socket), *attempt);
  attempt->link.probe_liveness(engine_.now());
  engine_.wake(attempt->session);
  return true;
}

}  // namespace kcptun
