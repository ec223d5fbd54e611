#include "tests/sim/random_settings.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace kcptun::test {
namespace {

/// About the same number of values from each power of two.
std::uint32_t log_uniform(Random& random, std::uint32_t least, std::uint32_t most) {
  const double unit = static_cast<double>(random.below(1u << 20)) / (1u << 20);
  const double value = std::exp(std::log(least) + unit * (std::log(most + 1.0) - std::log(least)));
  return std::clamp(static_cast<std::uint32_t>(value), least, most);
}

double up_to(Random& random, double most) { return most * random.below(1u << 20) / (1u << 20); }
Duration up_to(Random& random, Duration most) {
  return Duration(static_cast<std::int64_t>(up_to(random, static_cast<double>(most.count()))));
}

constexpr std::array<FecSettings, 10> kShards{
    {{0, 0}, {0, 0}, {10, 3}, {10, 3}, {5, 5}, {1, 1}, {3, 2}, {20, 10}, {2, 30}, {10, 0}}};
constexpr std::array<std::uint32_t, 5> kFrameSizes{100, 1024, 4096, 8192, 65535};

KcpTuning random_tuning(Random& random) {
  if (random.chance(0.7)) return kModePresets[random.below(kModePresets.size())].tuning;
  return {random.chance(0.5), milliseconds(10 + random.below(41)), random.below(4), random.chance(0.5)};
}

// The settings that each end chooses independently.
LinkSettings random_own_settings(Random& random) {
  LinkSettings settings;
  settings.kcp.tuning = random_tuning(random);
  settings.kcp.mtu = random.chance(0.3) ? 1350 : 128 + random.below(1500 - 128 + 1);
  settings.kcp.send_window = log_uniform(random, 2, 4096);
  settings.kcp.receive_window = log_uniform(random, 2, 4096);
  settings.fec = kShards[random.below(kShards.size())];
  settings.smux.frame_size = kFrameSizes[random.below(kFrameSizes.size())];
  settings.smux.receive_buffer = random.chance(0.5) ? 4194304 : 4096 + random.below(60000);
  settings.smux.stream_buffer = random.chance(0.5) ? 2097152 : 4096 + random.below(60000);
  return settings;
}

SimPath random_path(Random& random) {
  SimPath path;
  path.delay = milliseconds(log_uniform(random, 1, 150));
  if (random.chance(0.5)) path.jitter = up_to(random, path.delay / 2 + milliseconds(5));
  if (random.chance(0.6)) path.loss = up_to(random, 0.15);
  if (random.chance(0.3)) {
    path.burst_begin = 0.002 + up_to(random, 0.02);
    path.burst_end = 0.2 + up_to(random, 0.5);
  }
  if (random.chance(0.3)) {
    path.reorder = up_to(random, 0.1);
    path.reorder_by = up_to(random, milliseconds(50));
  }
  if (random.chance(0.3)) path.duplicate = up_to(random, 0.05);
  if (random.chance(0.3)) path.flip = up_to(random, 0.03);
  if (random.chance(0.3)) {
    path.rate = log_uniform(random, 50000, 5000000);
    path.queue = 1500 * log_uniform(random, 10, 300);
  }
  if (random.chance(0.6)) path.arrival_granularity = milliseconds(1 + random.below(10));
  return path;
}

// Parity takes its share of a narrow path. The rest must be enough for the stream; otherwise a flood (nc 1)
// starves it until the session times out.
void widen_for_parity(SimPath& path, FecSettings fec) {
  if (fec.enabled()) path.rate += path.rate * fec.parity_shards / fec.data_shards;
}

std::vector<FlowPlan> random_plans(Random& random, std::size_t budget) {
  std::vector<FlowPlan> plans(log_uniform(random, 1, 12));
  for (FlowPlan& plan : plans) {
    plan.salt = random.next();
    const std::uint32_t share = static_cast<std::uint32_t>(budget / plans.size() / 2 + 1);
    plan.request = random.chance(0.1) ? 0 : random.below(2 * share);
    plan.answer = random.chance(0.1) ? 0 : random.below(2 * share);
    plan.answer_waits = random.chance(0.3);
    if (random.chance(0.3)) {
      plan.pause = up_to(random, 0.3);
      plan.longest_pause = up_to(random, milliseconds(400));
    }
    if (random.chance(0.08))
      plan.client_abandons = random.below(static_cast<std::uint32_t>(plan.request) + 1);
    if (random.chance(0.08)) plan.server_abandons = random.below(static_cast<std::uint32_t>(plan.answer) + 1);
    plan.opens_at = TimePoint(seconds(1) + up_to(random, seconds(2)));
  }
  plans.front().opens_at = TimePoint(seconds(1));
  std::sort(plans.begin(), plans.end(),
            [](const FlowPlan& a, const FlowPlan& b) { return a.opens_at < b.opens_at; });
  return plans;
}

std::string text_of(const LinkSettings& s) {
  const KcpTuning& t = s.kcp.tuning;
  return "nodelay " + std::to_string(t.nodelay) + " interval " + std::to_string(t.interval.count() / 1000) +
         " resend " + std::to_string(t.resend) + " nc " + std::to_string(t.no_congestion_control) + " mtu " +
         std::to_string(s.kcp.mtu) + " windows " + std::to_string(s.kcp.send_window) + "/" +
         std::to_string(s.kcp.receive_window) + " fec " + std::to_string(s.fec.data_shards) + "/" +
         std::to_string(s.fec.parity_shards) + " frame " + std::to_string(s.smux.frame_size) + " buffers " +
         std::to_string(s.smux.receive_buffer) + "/" + std::to_string(s.smux.stream_buffer);
}

std::string text_of(const SimPath& p) {
  return "delay " + std::to_string(p.delay.count()) + "+" + std::to_string(p.jitter.count()) + " us loss " +
         std::to_string(p.loss) + " burst " + std::to_string(p.burst_begin) + ":" +
         std::to_string(p.burst_end) + " reorder " + std::to_string(p.reorder) + " duplicate " +
         std::to_string(p.duplicate) + " flip " + std::to_string(p.flip) + " rate " + std::to_string(p.rate) +
         " queue " + std::to_string(p.queue);
}

}  // namespace

RandomCase::RandomCase(std::uint64_t seed) {
  Random random(seed ^ 0x6b637074756e0000u);
  settings.cipher = kStandaloneCipherNames[random.below(kStandaloneCipherNames.size())].cipher;
  settings.client = random_own_settings(random);
  settings.server = random_own_settings(random);
  if (random.chance(0.5)) settings.server.fec = settings.client.fec;
  settings.client.smux.version = settings.server.smux.version = 1 + random.below(2);
  settings.client.compress = settings.server.compress = random.chance(0.5);
  settings.qpp = random.chance(0.3);
  settings.to_server = random_path(random);
  settings.to_client = random_path(random);
  widen_for_parity(settings.to_server, settings.client.fec);
  widen_for_parity(settings.to_client, settings.server.fec);
  // The null cipher does not detect modified packets.
  if (settings.cipher == Cipher::kNull) settings.to_server.flip = settings.to_client.flip = 0;
  const std::uint32_t mtu = std::min(settings.client.kcp.mtu, settings.server.kcp.mtu);
  const std::uint32_t window =
      std::min({settings.client.kcp.send_window, settings.client.kcp.receive_window,
                settings.server.kcp.send_window, settings.server.kcp.receive_window});
  // A few hundred packets of any size; fewer if each takes a round trip.
  const std::size_t packets = std::min<std::size_t>(600, 60 * std::size_t{window});
  plans = random_plans(random, packets * (mtu - 90));
}

std::string RandomCase::text() const {
  std::string cipher;
  for (const CipherName& row : kStandaloneCipherNames)
    if (row.cipher == settings.cipher) cipher = row.name;
  return cipher + " smux " + std::to_string(settings.client.smux.version) +
         (settings.client.compress ? " snappy" : "") + (settings.qpp ? " qpp" : "") + " " +
         std::to_string(plans.size()) + " streams\n client: " + text_of(settings.client) +
         "\n server: " + text_of(settings.server) + "\n to server: " + text_of(settings.to_server) +
         "\n to client: " + text_of(settings.to_client);
}

}  // namespace kcptun::test
