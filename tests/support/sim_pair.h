// A client link and a server's demultiplexer, connected by a simulated network and driven in virtual time.
#pragma once

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/crypt/noise_suite.h"
#include "core/link/demux.h"
#include "tests/support/noise_ends.h"
#include "tests/support/sim_flows.h"
#include "tests/support/sim_network.h"
#include "tests/support/suites.h"

namespace kcptun::test {

struct SimSettings {
  LinkSettings client;
  LinkSettings server;
  Cipher cipher = Cipher::kAes128;
  bool noise = false;  // the suite noise in its place
  bool qpp = false;
  SimPath to_server;
  SimPath to_client;
};

/// Key derivation takes milliseconds, so all simulations share the keys.
inline const MasterKey& sim_master_key() {
  static const MasterKey key("simulated");
  return key;
}
inline const QppPads& sim_pads() {
  static const QppPads pads("simulated", 61);
  return pads;
}

inline std::unique_ptr<Suite> make_noise_suite() {
  return std::make_unique<NoiseSuite>(noise_credentials(noise::Pattern::kNNpsk0).client);
}

/// One machine: its engine's state and its applications.
struct SimEnd {
  SimEnd(Role end_role, const SimSettings& sim, const LinkSettings& settings,
         const std::vector<FlowPlan>& plans, std::uint64_t seed)
      : role(end_role),
        suite(sim.noise ? make_noise_suite() : make_suite(sim.cipher, sim_master_key(), seed)),
        secrets(seed),
        context(settings),
        flows(end_role, plans, seed ^ 0x5555),
        arena(kReadPackets * kPacketStride) {
    context.set_overhead(*suite);
    context.secrets = &secrets;
    context.wall = UnixTime(seconds(1700000000));
    if (sim.qpp) context.qpp = &sim_pads();
  }

  static constexpr std::size_t kReadPackets = 64;
  Role role;
  std::unique_ptr<Suite> suite;
  SeededSecrets secrets;
  LinkContext context;
  TransmitBatch batch;
  SimFlows flows;
  std::vector<std::uint8_t> arena;
  std::vector<Packet> packets;
  std::uint64_t rejected = 0;
  std::uint64_t wakeups = 0;
};

/// Uses the links beside the flows of streams.
struct SimCompanion {
  virtual ~SimCompanion() = default;
  virtual std::optional<TimePoint> next_timeout(Role at) const = 0;
  /// The link's events were drained.
  virtual void act(TimePoint now, Role at, Link& link) = 0;
};

class SimPair {
 public:
  SimPair(const SimSettings& settings, std::vector<FlowPlan> flow_plans, std::uint64_t seed)
      : plans_(std::move(flow_plans)),
        network_(seed, settings.to_server, settings.to_client),
        client_(Role::kClient, settings, settings.client, plans_, seed * 4 + 1),
        server_(Role::kServer, settings, settings.server, plans_, seed * 4 + 2),
        link_(std::make_unique<Link>(Role::kClient, Random(seed).next32(), client_.context, now_)),
        demux_(std::make_unique<Demux>(server_.context, 16, place())) {
    path_to_server_.remote.port = 29900;
    path_to_client_.remote.port = 40000;
    wake_client(false);
  }

  /// `companion` outlives the pair's runs.
  void accompany(SimCompanion& companion) { companion_ = &companion; }

  /// Runs until `stop()` or the deadline. False if the deadline came first or an error occurred.
  template <typename Stop>
  bool run(TimePoint deadline, Stop stop) {
    while (failure_.empty() && !stop()) {
      const std::optional<TimePoint> next = next_event();
      if (!next || *next > deadline) {
        now_ = deadline;
        return false;
      }
      step(*next);
    }
    return failure_.empty();
  }

  /// The applications of both ends are done and no data is left anywhere.
  bool settled() const {
    return client_.flows.done() && server_.flows.done() && empty(*link_) && session_entry_ &&
           empty(session_entry_->link);
  }

  TimePoint now() const { return now_; }
  const std::string& failure() const { return failure_; }
  std::string progress() const {
    return "client" + client_.flows.progress() + "; server" + server_.flows.progress();
  }
  SimNetwork& network() { return network_; }
  SimEnd& client() { return client_; }
  SimEnd& server() { return server_; }
  Link& client_link() { return *link_; }
  Link& server_link() { return session_entry_->link; }
  Demux& demux() { return *demux_; }
  /// The server loses its state. Packets in flight still reach it.
  void restart_server() {
    session_entry_ = nullptr;
    replay_cache_.emplace(now_);
    demux_ = std::make_unique<Demux>(server_.context, 16, place());
    std::destroy_at(&server_.flows);
    std::construct_at(&server_.flows, Role::kServer, plans_, 1);
  }

 private:
  DemuxSettings place() {
    DemuxSettings place;
    place.admission = &*replay_cache_;
    return place;
  }
  static bool empty(const Link& link) {
    return link.smux().streams() == 0 && link.smux().buffered() == 0 && link.kcp().send_window().empty() &&
           !link.kcp().readable();
  }

  std::optional<TimePoint> next_event() const {
    std::optional<TimePoint> next =
        earliest(network_.next_arrival(Role::kClient), network_.next_arrival(Role::kServer));
    next = earliest(next, earliest(client_.flows.next_timeout(), link_->next_timeout()));
    if (session_entry_)
      next = earliest(next, earliest(server_.flows.next_timeout(), session_entry_->link.next_timeout()));
    next = earliest(next, companion_due(Role::kClient));
    if (session_entry_) next = earliest(next, companion_due(Role::kServer));
    return next;
  }

  std::optional<TimePoint> companion_due(Role at) const {
    return companion_ ? companion_->next_timeout(at) : std::nullopt;
  }
  static bool due(std::optional<TimePoint> at, TimePoint now) { return at && *at <= now; }

  void step(TimePoint next) {
    if (next > now_) {
      now_ = next;
      spins_ = 0;
    } else if (++spins_ > 10000) {
      return fail("time stands still: something is due for ever");
    }
    const bool to_client = due(network_.next_arrival(Role::kClient), now_);
    if (to_client || due(client_.flows.next_timeout(), now_) || due(link_->next_timeout(), now_) ||
        due(companion_due(Role::kClient), now_))
      wake_client(to_client);
    const bool to_server = due(network_.next_arrival(Role::kServer), now_);
    if (to_server || (session_entry_ && (due(server_.flows.next_timeout(), now_) ||
                                         due(session_entry_->link.next_timeout(), now_) ||
                                         due(companion_due(Role::kServer), now_))))
      wake_server(to_server);
  }

  void fail(const std::string& what) {
    if (failure_.empty()) failure_ = what;
  }

  void wake_client(bool arrivals) {
    if (arrivals) link_->handle_packets(now_, receive(client_));
    pump(client_, *link_, path_to_server_, Role::kServer);
  }

  void wake_server(bool arrivals) {
    if (arrivals) {
      demux_->handle_run(now_, path_to_client_, receive(server_));
      for (SessionEntry* conversation : demux_->take_touched()) {
        if (session_entry_ && session_entry_ != conversation)
          return fail("the server opened another conversation");
        session_entry_ = conversation;
      }
    }
    if (session_entry_) pump(server_, session_entry_->link, path_to_client_, Role::kClient);
  }

  std::span<const Packet> receive(SimEnd& end) {
    end.packets.clear();
    while (end.packets.size() < SimEnd::kReadPackets) {
      const auto datagram = network_.receive(now_, end.role);
      if (!datagram) break;
      std::uint8_t* const slot = end.arena.data() + end.packets.size() * kPacketStride;
      std::memcpy(slot, datagram->data(), datagram->size());
      end.packets.push_back({slot, static_cast<std::uint32_t>(datagram->size())});
    }
    end.rejected += end.suite->open(end.packets);
    return end.packets;
  }

  void pump(SimEnd& end, Link& link, const Path& path, Role to) {
    ++end.wakeups;
    if (due(link.next_timeout(), now_)) link.handle_timeout(now_);
    end.flows.act(now_, link);
    if (companion_) companion_->act(now_, end.role, link);
    transmit(end, link, path, to);
    // Poison: no view of received bytes may be used after this.
    std::memset(end.arena.data(), 0xdd, end.packets.size() * kPacketStride);
    end.packets.clear();
    if (!end.flows.failure().empty()) fail(end.flows.failure());
    if (!link.closed_reason().empty()) fail("a link closed: " + std::string(link.closed_reason()));
  }

  void transmit(SimEnd& end, Link& link, const Path& path, Role to) {
    do {
      end.batch.clear();
      link.poll_transmit(now_, path, end.batch);
      end.suite->seal(end.batch.packets());
      for (const TransmitBatch::Run& run : end.batch.runs()) {
        const bool whole = run.fragments == TransmitBatch::Fragments::kDontFragment;
        for (const Packet& packet : end.batch.packets().subspan(run.first, run.count)) {
          if (!end.context.settings.kcp.find_mtu && packet.size > end.context.settings.kcp.mtu)
            fail("a datagram beyond the MTU");
          network_.send(now_, to, packet.bytes(), whole);
        }
      }
      end.flows.act(now_, link);  // room may be available again
    } while (!end.batch.empty());
  }

  std::vector<FlowPlan> plans_;
  TimePoint now_{seconds(1)};
  std::uint32_t spins_ = 0;
  Path path_to_server_;
  Path path_to_client_;
  SimNetwork network_;
  SimEnd client_;
  SimEnd server_;
  std::unique_ptr<Link> link_;
  std::optional<ReplayCache> replay_cache_{now_ - seconds(600)};  // the server started long ago
  std::unique_ptr<Demux> demux_;
  SessionEntry* session_entry_ = nullptr;
  SimCompanion* companion_ = nullptr;
  std::string failure_;
};

}  // namespace kcptun::test
