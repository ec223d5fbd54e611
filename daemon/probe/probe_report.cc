#include "daemon/probe/probe_report.h"

#include <fmt/format.h>

#include <algorithm>

#include "config/pairing.h"
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

/// The window in packets for `bits` per second at `round_trip`, plus half for losses, rounded up to a power
/// of two from 128 to 32768.
std::int64_t window_for(double bits, Duration round_trip, std::uint32_t payload) {
  const double packets = bits / 8 * milliseconds_of(round_trip) / 1000 / payload * 1.5;
  std::int64_t window = 128;
  while (static_cast<double>(window) < packets && window < 32768) window *= 2;
  return window;
}

/// A server that sends FEC has fixed its counts, and kcptun of 2021 requires equal counts at both ends.
/// Otherwise parity grows with the loss, and unknown loss keeps the default.
std::optional<FecSettings> shards_for(const PathQuality& quality) {
  if (quality.server_shards) return *quality.server_shards;
  const double loss = std::max(quality.up.share(), quality.down.share());
  if (loss < 0.05) return std::nullopt;  // the default, 10/3
  return FecSettings{10, 5};
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
  // Without packet numbers, a server that sends everything twice hides single losses.
  const std::string_view bound = quality.server_shards ? "" : "at least ";
  text += fmt::format("loss         to the server {}, back {}{}\n", percent(quality.up), bound,
                      percent(quality.down));
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
  std::string text = fmt::format("streams      compression {}, smux version {}{}", on_or_off(found.compress),
                                 found.smux_version, found.is_ours ? ", kcptun-uv" : "");
  if (asked.on(kNoComp) == found.compress) {
    text += fmt::format("; yours differs: nocomp must be {}", found.compress ? "false" : "true");
  }
  if (asked.number(kSmuxVersion) != found.smux_version) {
    text += fmt::format("; yours differs: smuxver must be {}", found.smux_version);
  }
  return text + '\n';
}

namespace {

std::string_view name_of(Cipher cipher) { return kCipherNames[static_cast<std::size_t>(cipher)].name; }

std::string describe_refusal(const std::string& address) {
  return fmt::format(
      "The network refuses it (ICMP): no program listens on that UDP port.\n"
      "To check, likeliest first:\n"
      "  1. server    does kcptun-server run there, with this port in --listen?\n"
      "  2. address   is {} the right host and port?\n"
      "  3. firewall  does the server's, or one on the way, reject UDP?\n",
      address);
}

std::string describe_rejected(std::uint64_t packets, std::string_view cipher) {
  return fmt::format(
      "But {} packets came that this key and cipher do not open. To check, likeliest\nfirst:\n"
      "  1. --key     must be the same text at both ends, its case and spaces too\n"
      "  2. --crypt   is {} here, and must be the server's\n",
      packets, cipher);
}

}  // namespace

std::string describe_silence(const PathReport& report, const Settings& asked, std::optional<Cipher> found) {
  const std::string address = to_string(report.remote);
  const std::string text = address + " does not answer.\n";
  const std::string& cipher = asked.text(kCrypt);
  if (found) {
    return fmt::format(
        "{} answers with crypt {}, and not with {}: set --crypt {}, or\ncrypt in the profile.\n", address,
        name_of(*found), cipher, name_of(*found));
  }
  if (report.greeting.rejected > 0) return text + describe_rejected(report.greeting.rejected, cipher);
  if (report.greeting.refusals > 0) return text + describe_refusal(address);
  return text +
         fmt::format(
             "It answers no other cipher with this key, either. A kcptun server does not\n"
             "answer what it cannot read. To check, likeliest first:\n"
             "  1. address   is {} right, and kcptun-server running\n"
             "               there with this port in --listen?\n"
             "  2. firewall  is UDP port {} open at the server (its firewall, its\n"
             "               hoster's rules), and UDP allowed out of this network?\n"
             "  3. --key     must be the same text at both ends, its case and spaces too\n"
             "  4. --tcp     a server with --tcp is measured without it; is UDP let through?\n"
             "With a wrong key the server counts InCsumErrors: kill -USR1 there writes them\nto its log.\n",
             address, report.remote.port);
}

Settings fitting_settings(const PathReport& report, const Settings& asked) {
  Settings fit = asked;
  const auto choose = [&fit](OptionId id, Value value) { fit.set(id, std::move(value), Source::kFlag); };
  if (fit.source(kLocalAddr) == Source::kDefault) choose(kLocalAddr, std::string(kOwnMachineOnly));
  const auto [mtu_min, mtu_max] = option_of(kMtu).range;
  choose(kMtu, std::clamp<std::int64_t>(report.payload, mtu_min, mtu_max));
  const double loss = std::max(report.quality.up.share(), report.quality.down.share());
  choose(kMode, std::string(loss > 0.005 ? "fast3" : "fast2"));
  if (!report.streams) return fit;
  choose(kNoComp, !report.streams->compress);
  choose(kSmuxVersion, std::int64_t{report.streams->smux_version});
  if (report.streams->is_ours) return fit;
  if (const auto shards = shards_for(report.quality)) {
    choose(kDataShard, std::int64_t{shards->data_shards});
    choose(kParityShard, std::int64_t{shards->parity_shards});
  }
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
