// What one forward of a client has done.
#pragma once

#include <atomic>
#include <cstdint>

#include "daemon/metrics/traffic.h"

namespace kcptun {

/// Sums of a forward or reverse forward over all engines of its tunnel. They only increase. Any thread may
/// add and read: one connection's bytes are counted on its engine's thread.
class ForwardCounters {
 public:
  void add_connection() { add(connections_, 1); }
  void add_refused() { add(refused_, 1); }
  void add_flow() { add(flows_, 1); }
  void add_refused_flow() { add(refused_flows_, 1); }
  void add_traffic(const Traffic& moved) {
    add(sent_, moved.sent);
    add(received_, moved.received);
  }

  std::uint64_t connections() const { return connections_.load(std::memory_order_relaxed); }
  std::uint64_t refused() const { return refused_.load(std::memory_order_relaxed); }
  std::uint64_t flows() const { return flows_.load(std::memory_order_relaxed); }
  std::uint64_t refused_flows() const { return refused_flows_.load(std::memory_order_relaxed); }
  Traffic traffic() const {
    Traffic sum;
    sum.sent = sent_.load(std::memory_order_relaxed);
    sum.received = received_.load(std::memory_order_relaxed);
    return sum;
  }

 private:
  using Count = std::atomic<std::uint64_t>;
  static void add(Count& to, std::uint64_t n) {
    if (n > 0) to.fetch_add(n, std::memory_order_relaxed);
  }

  Count connections_{0};
  Count refused_{0};
  Count flows_{0};
  Count refused_flows_{0};
  Count sent_{0};
  Count received_{0};
};

}  // namespace kcptun
