#include "daemon/probe/probe_command.h"

#include <algorithm>
#include <cstdio>
#include <string>

#include "config/address.h"
#include "config/init.h"
#include "daemon/io/name_lookup.h"
#include "daemon/net/address.h"
#include "daemon/probe/measurements.h"
#include "daemon/probe/probe_report.h"

namespace kcptun {
namespace {

void say(const std::string& text) {
  std::fputs(text.c_str(), stdout);
  std::fflush(stdout);
}

int report_probe_failure(const std::string& error) {
  std::fprintf(stderr, "kcptun-client: probe: %s\n", error.c_str());
  return kExitFailure;
}

std::string crypt_value(Cipher cipher) {
  return std::string(kCipherNames[static_cast<std::size_t>(cipher)].name);
}

/// The first of the server's addresses that answers, else the first address.
struct Reached {
  IpEndpoint remote;
  Handshake greeting;
};

Result<Reached> reach(const Profile& profile, const TunnelKeys& keys,
                      const std::vector<IpEndpoint>& remotes) {
  std::optional<Reached> first;
  std::string error = "no address";
  for (const IpEndpoint& remote : remotes) {
    say("asking " + to_string(remote) + " with crypt " + crypt_value(profile.crypt) + " ...\n");
    const auto greeting = greet({profile, keys, remote});
    if (!greeting) {
      error = greeting.error();
      continue;
    }
    if (greeting.value().answered) return Reached{remote, greeting.value()};
    if (!first) first = Reached{remote, greeting.value()};
  }
  if (!first) return Error{error};
  return *first;
}

constexpr std::uint64_t kBytesPerMegabit = 1'000'000 / 8;

/// Runs all measurements after the handshake and prints each result as it arrives. The error names the
/// operation that the system refused.
Result<bool> measure(const ProbePeer& peer, const Settings& asked, PathReport& report) {
  const std::string longer = std::to_string(asked.number(OptionId::kDuration));
  say("measuring loss and round trips for " + longer + " s (--duration) ...\n");
  auto quality = measure_quality(peer, report.greeting.window, seconds(asked.number(OptionId::kDuration)));
  if (!quality) return Error{quality.error()};
  report.quality = std::move(quality.value());
  say(describe_quality(report));
  const Duration longest =
      report.quality.round_trips.empty() ? report.greeting.round_trip : report.quality.round_trips.back();
  say("searching for the largest packet ...\n");
  const auto payload = measure_mtu(peer, longest);
  if (!payload) return Error{payload.error()};
  report.payload = payload.value();
  report.payload_is_most = report.payload == kMaxDatagram;
  say(describe_mtu(report));
  say("trying smux versions and compression ...\n");
  const auto streams = detect_streams(peer, longest);
  if (!streams) return Error{streams.error()};
  report.streams = streams.value();
  say(describe_streams(report, asked));
  const auto most = static_cast<std::uint64_t>(asked.number(OptionId::kBandwidth)) * kBytesPerMegabit;
  if (most == 0) return true;
  say("trying higher rates, up to " + std::to_string(asked.number(OptionId::kBandwidth)) + " Mbit/s ...\n");
  const auto bandwidth = measure_bandwidth(peer, report.payload, most, longest);
  if (!bandwidth) return Error{bandwidth.error()};
  report.bandwidth = bandwidth.value();
  say(describe_bandwidth(*report.bandwidth));
  return true;
}

/// Looks for the reason why nothing answers and prints it. Returns the exit code.
int explain_silence(const Profile& profile, const PathReport& report, const Settings& settings) {
  std::optional<Cipher> cipher;
  if (report.greeting.rejected == 0 && report.greeting.refusals == 0) {
    say("no answer; trying the other ciphers ...\n");
    auto found = find_cipher(profile, report.remote);
    if (!found) return report_probe_failure(found.error());
    cipher = found.value();
  }
  say(describe_silence(report, settings, cipher));
  return kExitFailure;
}

/// Probes one server and prints the results. Returns the exit code.
int probe_server(const RunSubcommand& run, const HostPort& server, const TunnelKeys& keys,
                 Settings settings) {
  const auto remotes = resolve(dialled_host(server), server.port_min);
  if (!remotes) return report_probe_failure(remotes.error());
  const auto reached = reach(run.profile, keys, remotes.value());
  if (!reached) return report_probe_failure(reached.error());
  PathReport report;
  report.remote = reached.value().remote;
  report.greeting = reached.value().greeting;
  if (!report.greeting.answered) return explain_silence(run.profile, report, settings);
  const auto measured = measure({run.profile, keys, report.remote}, settings, report);
  if (!measured) return report_probe_failure(measured.error());
  say("\nA profile that fits (it has the key in it):\n\n" +
      render_profile(fitting_settings(report, settings), default_path(Role::kClient)));
  return 0;
}

/// Probes each of several servers on its own. Fails if one of them fails.
int probe_each(const RunSubcommand& run, const TunnelKeys& keys) {
  int worst = 0;
  for (const HostPort& server : run.profile.servers) {
    const std::string name = to_text(server);
    say((server == run.profile.servers.front() ? "--- " : "\n--- ") + name + " ---\n");
    Settings only = run.settings;
    only.set(OptionId::kRemoteAddr, name, run.settings.source(OptionId::kRemoteAddr));
    worst = std::max(worst, probe_server(run, server, keys, std::move(only)));
  }
  return worst;
}

}  // namespace

int run_probe(const RunSubcommand& run) {
  const Result<TunnelKeys> derived = TunnelKeys::derive(run.profile);
  if (!derived) return report_probe_failure(derived.error());
  if (run.profile.servers.size() > 1) return probe_each(run, derived.value());
  return probe_server(run, run.profile.servers.front(), derived.value(), run.settings);
}

}  // namespace kcptun
