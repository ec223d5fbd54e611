#include "daemon/probe/probe_report.h"

#include <fmt/format.h>

#include <algorithm>

#include "daemon/net/address.h"

namespace kcptun {
namespace {

using enum OptionId;

double milliseconds_of(Duration duration) { return static_cast<double>(duration.count()) / 1000.0; }

/// REQUIRES: `sorted` is not empty.
Duration quantile(const std::vector<Duration>& sorted, double share) {
  return sorted[static_cast<std::size_t>(share * static_cast<double>(sorted.size() - 1))];
}

std::string percent(const LossCount& count) {
  return fmt::format("{:.2f} % ({} of {})", 100 * count.share(), count.lost, count.total());
}

std::string_view on_or_off(bool on) { return on ? "on" : "off"; }

std::string shards_text(const FecSettings& shards) {
  return fmt::format("{}/{}", shards.data_shards, shards.parity_shards);
}

/// Packets that must be under way to use `bits` per second at that round trip, with half as many again for
/// losses.
std::int64_t window_for(double bits, Duration round_trip, std::uint32_t payload) {
  const double packets = bits / 8 * milliseconds_of(round_trip) / 1000 / payload * 1.5;
  std::int64_t window = 128;
  while (static_cast<double>(window) < packets && window < 32768) window *= 2;
  return window;
}

/// With more loss more parity; a server that sends FEC has chosen already, and a kcptun of 2021 wants equal
/// counts.
FecSettings shards_for(const PathQuality& quality) {
  if (quality.server_shards) return *quality.server_shards;
  const double loss = std::max(quality.up.share(), quality.down.share());
  if (loss < 0.001) return {0, 0};
  return loss < 0.05 ? FecSettings{10, 3} : FecSettings{10, 5};
}

}  // namespace

std::string describe_quality(const PathReport& report) {
  const PathQuality& quality = report.quality;
  std::string text;
  if (!quality.round_trips.empty()) {
    text += fmt::format(
        "round trip   min {:.1f} ms, median {:.1f} ms, p99 {:.1f} ms, jitter {:.1f} ms ({} samples)\n",
        milliseconds_of(quality.round_trips.front()), milliseconds_of(quantile(quality.round_trips, 0.5)),
        milliseconds_of(quantile(quality.round_trips, 0.99)), milliseconds_of(quality.jitter),
        quality.round_trips.size());
  }
  // A server whose packets have no numbers may say everything twice: then what is lost once does not show.
  const std::string_view bound = quality.server_shards ? "" : "at least ";
  text += fmt::format("loss         to the server {}, back {}{}\n", percent(quality.up), bound, percent(quality.down));
  text += "server       window " + std::to_string(report.greeting.window) +
          " packets, forward error correction " +
          (quality.server_shards ? shards_text(*quality.server_shards) : "off or unknown") + '\n';
  return text;
}

std::string describe_mtu(const PathReport& report) {
  const std::uint32_t whole = report.payload + ip_overhead(report.remote);
  return fmt::format("path MTU     {}{} bytes (UDP payload {})\n", report.payload_is_most ? "at least " : "",
                     whole, report.payload);
}

std::string describe_bandwidth(const Bandwidth& bandwidth) {
  return fmt::format("bandwidth    to the server {} {:.1f} Mbit/s\n",
                     bandwidth.limited ? "about" : "at least", bandwidth.bits_per_second / 1e6);
}

std::string describe_streams(const PathReport& report, const Settings& asked) {
  if (!report.streams) return "streams      the server's compression and smux version could not be told\n";
  const StreamSettings& found = *report.streams;
  std::string text = fmt::format("streams      compression {}, smux version {}", on_or_off(found.compress),
                                 found.smux_version);
  if (asked.on(kNoComp) == found.compress) {
    text += fmt::format("; yours differs: nocomp must be {}", found.compress ? "false" : "true");
  }
  if (asked.number(kSmuxVersion) != found.smux_version) {
    text += fmt::format("; yours differs: smuxver must be {}", found.smux_version);
  }
  return text + '\n';
}

std::string describe_silence(const Handshake& greeting, const IpEndpoint& remote, const Settings& asked) {
  const std::string address = to_string(remote);
  std::string text = address + " does not answer.\n";
  if (greeting.rejected > 0) {
    return text + fmt::format(
                      "But {} packets came that do not open: key or crypt differs from the server's.\n"
                      "  --key     must be the same text at both ends, its case and spaces too\n"
                      "  --crypt   is {} here\n",
                      greeting.rejected, asked.text(kCrypt));
  }
  if (greeting.refusals > 0) {
    return text +
           "The network says so itself (ICMP): no server listens on that UDP port, or a firewall rejects "
           "it.\n"
           "  server    is kcptun-server running there, with this port in --listen?\n"
           "  address   is " +
           address +
           " the right host and port?\n"
           "  firewall  does one on the way, or the server's, reject UDP?\n";
  }
  return text +
         fmt::format(
             "A kcptun server does not answer what it cannot read. To check, likeliest first:\n"
             "  1. address   is {} right, and kcptun-server running there with this port in --listen?\n"
             "  2. firewall  is UDP port {} open at the server (its firewall, its hoster's rules), and UDP\n"
             "               allowed out of this network?\n"
             "  3. --key     must be the same text at both ends, its case and spaces too\n"
             "  4. --crypt   is {} here, and must be the server's\n"
             "With a wrong key or crypt the server counts InCsumErrors: kill -USR1 there writes them to its "
             "log.\n",
             address, remote.port, asked.text(kCrypt));
}

Settings fitting_settings(const PathReport& report, const Settings& asked) {
  Settings fit = asked;
  const auto choose = [&fit](OptionId id, Value value) { fit.set(id, std::move(value), Source::kFlag); };
  const auto [mtu_min, mtu_max] = option_of(kMtu).range;
  choose(kMtu, std::clamp<std::int64_t>(report.payload, mtu_min, mtu_max));
  const FecSettings shards = shards_for(report.quality);
  choose(kDataShard, std::int64_t{shards.data_shards});
  choose(kParityShard, std::int64_t{shards.parity_shards});
  if (report.streams) {
    choose(kNoComp, !report.streams->compress);
    choose(kSmuxVersion, std::int64_t{report.streams->smux_version});
  }
  const double loss = std::max(report.quality.up.share(), report.quality.down.share());
  choose(kMode, std::string(loss > 0.005 ? "fast3" : "fast2"));
  std::int64_t window = 1024;
  if (report.bandwidth && !report.quality.round_trips.empty()) {
    window = window_for(report.bandwidth->bits_per_second, quantile(report.quality.round_trips, 0.99),
                        report.payload);
  }
  choose(kSendWindow, window);
  choose(kReceiveWindow, std::max<std::int64_t>(window, 1024));
  return fit;
}

}  // namespace kcptun
