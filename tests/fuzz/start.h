// A start of either program with texts from the fuzzer, and what must be true of its outcome.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "config/command.h"
#include "config/exit_codes.h"
#include "core/base/check.h"

namespace kcptun::test {

/// One line, printable, and the exit code of a failure.
inline void check_startup_error(const StartupError& refusal) {
  KCPTUN_CHECK(!refusal.line.empty());
  KCPTUN_CHECK(refusal.line.find('\n') == std::string::npos && refusal.line.find('\0') == std::string::npos);
  KCPTUN_CHECK(refusal.exit_code == kExitConfig || refusal.exit_code == kExitUsage);
}

/// What core and daemon rely on.
inline void check_profile(const Profile& profile) {
  const LinkSettings& link = profile.link;
  KCPTUN_CHECK(link.kcp.mtu >= 128 && link.kcp.mtu <= 1500);
  KCPTUN_CHECK(link.kcp.send_window >= 1 && link.kcp.receive_window >= 1);
  KCPTUN_CHECK(link.fec.data_shards + link.fec.parity_shards <= kMaxShards || !link.fec.enabled());
  KCPTUN_CHECK(link.smux.version == 1 || link.smux.version == 2);
  KCPTUN_CHECK(link.smux.keepalive >= seconds(1) && link.smux.stream_buffer <= link.smux.receive_buffer);
  KCPTUN_CHECK(link.smux.frame_size >= 1 && link.smux.frame_size <= 65535);
  KCPTUN_CHECK(profile.qpp_count >= 1 && profile.dscp <= 63 && profile.threads <= 256);
  const bool server = profile.role == Role::kServer;
  KCPTUN_CHECK(std::holds_alternative<HostPort>(server ? profile.local_address : profile.remote));
}

inline ParsedCommand start(CommandInput command, const std::string& file = {}) {
  command.read_file = [&file](const std::string&) -> Result<std::string> { return file; };
  command.read_key_file = [](const std::string& name) -> Result<std::string> {
    if (name.size() % 2) return Error{"there is no such file"};
    return "a key of " + name;
  };
  command.random_bytes = [] { return std::array<std::uint8_t, 32>{1, 2, 3}; };
  command.library_versions = "none";
  ParsedCommand parsed = parse_command(command);
  if (const auto* run = std::get_if<RunTunnels>(&parsed))
    for (const ConfiguredTunnel& tunnel : run->tunnels) check_profile(tunnel.profile);
  if (const auto* text = std::get_if<PrintText>(&parsed)) KCPTUN_CHECK(text->text.ends_with('\n'));
  if (const auto* refusal = std::get_if<StartupError>(&parsed)) check_startup_error(*refusal);
  return parsed;
}

}  // namespace kcptun::test
