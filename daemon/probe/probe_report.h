// Formats the results of a probe.
#pragma once

#include <optional>
#include <string>

#include "config/settings.h"
#include "daemon/probe/measurements.h"

namespace kcptun {

/// The results for a server that answers.
struct PathReport {
  IpEndpoint remote;
  Handshake greeting;
  PathQuality quality;
  std::uint32_t payload = 0;     // the largest UDP payload
  bool payload_is_most = false;  // the sender's limit was reached, so the path may carry more
  std::optional<StreamSettings> streams;
  std::optional<Bandwidth> bandwidth;
};

std::string describe_quality(const PathReport& report);
std::string describe_mtu(const PathReport& report);
std::string describe_bandwidth(const Bandwidth& bandwidth);
/// Describes the server's stream settings, and which of `asked` differ from them.
std::string describe_streams(const PathReport& report, const Settings& asked);

/// Describes why nothing answered, the likeliest cause first. `found` is the cipher that the server does
/// answer with this key.
std::string describe_silence(const PathReport& report, const Settings& asked, std::optional<Cipher> found);

/// The settings that fit the path and the server. Sets windows and forward error correction only for a Go
/// server, because two ends of this project adapt them at run time.
Settings fitting_settings(const PathReport& report, const Settings& asked);

}  // namespace kcptun
