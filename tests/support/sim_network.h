// A network between one client and one server in virtual time. It delays, modifies, duplicates or drops
// datagrams. The same seed gives the same network.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <queue>
#include <utility>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/random.h"
#include "core/base/settings.h"
#include "core/base/time.h"

namespace kcptun::test {

/// The impairments of one direction. Probabilities are per datagram.
struct SimPath {
  Duration delay{milliseconds(10)};
  Duration jitter{0};  // uniform, added to the delay; reorders if larger than the gaps
  double loss = 0;     // independent
  // Gilbert model: probability of good to bad; in the bad state every datagram is lost
  double burst_begin = 0;
  double burst_end = 1;  // probability of bad to good
  double reorder = 0;    // probability of a delay of up to `reorder_by`
  Duration reorder_by{0};
  double duplicate = 0;
  double flip = 0;           // probability that one to three bits are flipped
  std::uint64_t rate = 0;    // bytes per second, 0: no limit
  std::uint32_t mtu = 0;     // drops larger datagrams with DF; 0: no limit
  bool fragments = true;     // false: drops all larger datagrams
  std::uint64_t queue = 0;   // in bytes: the bottleneck's queue; further datagrams are dropped
  std::uint64_t header = 0;  // bytes of headers per datagram on the wire
  Duration arrival_granularity{
      0};  // rounds arrivals up to multiples of this; the receiver then reads batches
};

class SimNetwork {
 public:
  struct Counters {
    std::uint64_t packets = 0;
    std::uint64_t bytes = 0;
    std::uint64_t dropped = 0;
  };

  SimNetwork(std::uint64_t seed, const SimPath& to_server, const SimPath& to_client)
      : directions_{Direction(seed * 2 + 1, to_server), Direction(seed * 2 + 2, to_client)} {}

  /// Sends a datagram to `to`.
  void send(TimePoint now, Role to, Bytes bytes, bool whole = false) {
    Direction& d = direction(to);
    ++d.counters.packets;
    d.counters.bytes += bytes.size();
    digest(static_cast<std::uint64_t>(now.time_since_epoch().count()) * 2 + (to == Role::kServer));
    digest(bytes);
    const bool too_large = d.path.mtu > 0 && bytes.size() > d.path.mtu && (whole || !d.path.fragments);
    if (now < drop_until_ || lost(d) || too_large) {
      ++d.counters.dropped;
      return;
    }
    const bool beyond = d.policer && !d.policer->take(now, bytes.size() + d.path.header);
    const std::optional<TimePoint> out =
        beyond ? std::nullopt : through_bottleneck(d, now, bytes.size() + d.path.header);
    if (!out) {
      ++d.counters.dropped;
      return;
    }
    deliver(d, *out, bytes);
    if (d.path.duplicate > 0 && d.random.chance(d.path.duplicate)) deliver(d, *out, bytes);
  }

  /// Both networks share their bottlenecks from now on. `other` outlives this network, and its paths are
  /// equal.
  void share_bottlenecks(SimNetwork& other) {
    for (std::size_t i = 0; i < directions_.size(); ++i)
      directions_[i].free_at = other.directions_[i].free_at;
  }
  void set_mtu(std::uint32_t mtu) {
    for (Direction& d : directions_) d.path.mtu = mtu;
  }
  /// Sets the one-way delay of both directions.
  void set_delay(Duration delay) {
    for (Direction& d : directions_) d.path.delay = delay;
  }
  /// Adds a policer in each direction: it drops, and never queues, traffic beyond `rate` and a bucket of
  /// `bucket` bytes.
  void police(std::uint64_t rate, std::uint64_t bucket) {
    for (Direction& d : directions_) d.policer = Policer{rate, bucket, static_cast<double>(bucket), {}};
  }
  /// Removes the policers.
  void lift_policer() {
    for (Direction& d : directions_) d.policer.reset();
  }
  /// Sets the bottleneck's rate in both directions. What waits in a queue leaves at the old rate.
  void set_rate(std::uint64_t rate) {
    for (Direction& d : directions_) d.path.rate = rate;
  }
  void refuse_fragments() {
    for (Direction& d : directions_) d.path.fragments = false;
  }
  /// Drops everything sent before `until`.
  void drop_until(TimePoint until) { drop_until_ = until; }

  std::optional<TimePoint> next_arrival(Role at) const {
    const Direction& d = direction(at);
    return d.arrivals.empty() ? std::nullopt : std::optional(d.arrivals.top().at);
  }
  /// The next datagram that has arrived by `now`.
  std::optional<std::vector<std::uint8_t>> receive(TimePoint now, Role at) {
    Direction& d = direction(at);
    if (d.arrivals.empty() || d.arrivals.top().at > now) return std::nullopt;
    std::vector<std::uint8_t> bytes = std::move(const_cast<Arrival&>(d.arrivals.top()).bytes);
    d.arrivals.pop();
    return bytes;
  }

  const Counters& sent_to(Role to) const { return direction(to).counters; }
  /// Over all datagrams sent and their times.
  std::uint64_t digest() const { return digest_; }

 private:
  struct Arrival {
    TimePoint at;
    std::uint64_t order;  // breaks ties: first sent, first received
    std::vector<std::uint8_t> bytes;
    bool operator<(const Arrival& other) const {  // for a heap with the earliest arrival on top
      return at != other.at ? at > other.at : order > other.order;
    }
  };
  struct Policer {
    std::uint64_t rate;
    std::uint64_t bucket;
    double tokens;
    TimePoint at;
    bool take(TimePoint now, std::size_t bytes) {
      const double gained = static_cast<double>(rate) * static_cast<double>((now - at).count()) * 1e-6;
      tokens = std::min(tokens + gained, static_cast<double>(bucket));
      at = now;
      if (tokens < static_cast<double>(bytes)) return false;
      tokens -= static_cast<double>(bytes);
      return true;
    }
  };
  struct Direction {
    Direction(const Direction&) = delete;
    Direction(std::uint64_t seed, const SimPath& sim_path) : path(sim_path), random(seed) {}
    SimPath path;
    Random random;
    bool bad = false;
    TimePoint own_free_at{};
    TimePoint* free_at = &own_free_at;  // the bottleneck is busy until then
    std::optional<Policer> policer;
    std::priority_queue<Arrival> arrivals;
    Counters counters;
  };

  Direction& direction(Role to) { return directions_[to == Role::kServer ? 0 : 1]; }
  const Direction& direction(Role to) const { return directions_[to == Role::kServer ? 0 : 1]; }

  static bool lost(Direction& d) {
    d.bad = d.bad ? !d.random.chance(d.path.burst_end) : d.random.chance(d.path.burst_begin);
    return d.bad || d.random.chance(d.path.loss);
  }

  /// When the datagram has passed the bottleneck; nothing if its queue was full.
  static std::optional<TimePoint> through_bottleneck(Direction& d, TimePoint now, std::size_t size) {
    if (d.path.rate == 0) return now;
    const auto time_of = [&d](std::uint64_t bytes) {
      return microseconds(static_cast<std::int64_t>(bytes * 1000000 / d.path.rate));
    };
    TimePoint& free_at = *d.free_at;
    free_at = std::max(free_at, now);
    if (free_at - now > time_of(d.path.queue)) return std::nullopt;
    free_at += time_of(size);
    return free_at;
  }

  static Duration up_to(Random& random, Duration most) {
    return Duration(static_cast<std::int64_t>(random.next() % static_cast<std::uint64_t>(most.count() + 1)));
  }

  void deliver(Direction& d, TimePoint out, Bytes bytes) {
    TimePoint at = out + d.path.delay + up_to(d.random, d.path.jitter);
    if (d.path.reorder > 0 && d.random.chance(d.path.reorder)) at += up_to(d.random, d.path.reorder_by);
    if (const std::int64_t arrival_granularity = d.path.arrival_granularity.count(); arrival_granularity > 0)
      at = TimePoint(Duration((at.time_since_epoch().count() + arrival_granularity - 1) /
                              arrival_granularity * arrival_granularity));
    Arrival arrival{at, ++transmit_number_, {bytes.begin(), bytes.end()}};
    if (d.path.flip > 0 && d.random.chance(d.path.flip)) {
      for (std::uint32_t flips = 1 + d.random.below(3); flips > 0; --flips) {
        const std::uint32_t bit = d.random.below(static_cast<std::uint32_t>(bytes.size() * 8));
        arrival.bytes[bit / 8] ^= static_cast<std::uint8_t>(1u << bit % 8);
      }
    }
    d.arrivals.push(std::move(arrival));
  }

  void digest(std::uint64_t word) { digest_ = (digest_ ^ word) * 0x100000001b3u + (digest_ >> 41); }
  void digest(Bytes bytes) {
    digest(bytes.size());
    for (; bytes.size() >= 8; bytes = bytes.subspan(8)) digest(load_u64(bytes.data()));
    for (const std::uint8_t byte : bytes) digest(std::uint64_t{byte});
  }

  std::array<Direction, 2> directions_;
  TimePoint drop_until_{};
  std::uint64_t transmit_number_ = 0;
  std::uint64_t digest_ = 0xcbf29ce484222325u;
};

}  // namespace kcptun::test
