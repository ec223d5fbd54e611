// A bulk stream on a simulated path, measured in intervals.
#pragma once

#include <catch2/catch.hpp>
#include <cstddef>
#include <cstdint>

#include "tests/support/sim_paths.h"

namespace kcptun::test {

/// More bytes than any test carries.
inline FlowPlan endless_bulk(std::uint64_t salt = 1) {
  FlowPlan plan;
  plan.salt = salt;
  plan.request = std::size_t{1} << 32;
  plan.opens_at = kBegin;
  return plan;
}

/// What a sender did in an interval.
struct BulkFacts {
  double goodput = 0;  // Mbit/s of the stream's bytes
  double dropped = 0;  // share of the datagrams that were sent
  double sent = 0;     // bytes on the wire, headers and parity included, for each byte of the stream
};

struct Bulk {
  explicit Bulk(const SimSettings& settings) : pair(settings, {endless_bulk()}, 1) {}

  SimNetwork& network() { return pair.network(); }
  /// Mbit/s over the next `time`.
  double run(Duration time) {
    const std::uint64_t before = pair.server().flows.received();
    pair.run(pair.now() + time, [] { return false; });
    CHECK(pair.failure() == "");
    return static_cast<double>(pair.server().flows.received() - before) * 8 /
           static_cast<double>(time.count());
  }
  /// The facts of the next `time`.
  BulkFacts measure(Duration time) {
    const SimNetwork::Counters before = network().sent_to(Role::kServer);
    const double goodput = run(time);
    const SimNetwork::Counters& after = network().sent_to(Role::kServer);
    const auto packets = static_cast<double>(after.packets - before.packets);
    const double bytes = static_cast<double>(after.bytes - before.bytes) + packets * kIpUdpHeaders;
    return {goodput, static_cast<double>(after.dropped - before.dropped) / packets,
            bytes * 8 / (goodput * static_cast<double>(time.count()))};
  }

  static constexpr double kIpUdpHeaders = 28;  // bytes, as in settings_on()
  SimPair pair;
};

}  // namespace kcptun::test
