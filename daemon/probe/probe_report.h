// The words of a probe.
#pragma once

#include <optional>
#include <string>

#include "config/settings.h"
#include "daemon/probe/measurements.h"

namespace kcptun {

/// Everything that was found out about a server that answers.
struct PathReport {
  IpEndpoint remote;
  Handshake greeting;
  PathQuality quality;
  std::uint32_t payload = 0;     // the largest UDP payload
  bool payload_is_most = false;  // no larger one may be sent, so the path may carry more
  std::optional<StreamSettings> streams;
  std::optional<Bandwidth> bandwidth;
};

std::string describe_quality(const PathReport& report);
std::string describe_mtu(const PathReport& report);
std::string describe_bandwidth(const Bandwidth& bandwidth);
/// What the server's streams are like, and which of the settings differ.
std::string describe_streams(const PathReport& report, const Settings& asked);

/// The likeliest cause first, when nothing answered. `found`: the cipher that the server does answer, with
/// this key.
std::string describe_silence(const PathReport& report, const Settings& asked, std::optional<Cipher> found);

/// The settings that suit the path, and what the server has. Windows and forward error correction only for a
/// server of Go's: ours and this client fit them to the path while they run.
Settings fitting_settings(const PathReport& report, const Settings& asked);

}  // namespace kcptun
