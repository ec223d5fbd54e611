#include "config/tunnel_clashes.h"

#include <map>
#include <string>
#include <utility>
#include <variant>

#include "config/address.h"
#include "config/forwards.h"

namespace kcptun {
namespace {

std::string name_of(std::span<const ConfiguredTunnel> tunnels, std::size_t i) {
  return "tunnels[" + std::to_string(i) + "] (" + tunnels[i].profile.name + ")";
}

std::optional<TunnelClash> find_shared_file(std::span<const ConfiguredTunnel> tunnels, OptionId option,
                                            std::string Profile::*file) {
  std::map<std::string_view, std::size_t> seen;
  for (std::size_t i = 0; i < tunnels.size(); ++i) {
    const std::string& path = tunnels[i].profile.*file;
    if (path.empty()) continue;
    const auto [first, is_new] = seen.emplace(path, i);
    if (!is_new) return TunnelClash{i, {option, "is written by " + name_of(tunnels, first->second) + " too"}};
  }
  return std::nullopt;
}

/// An address at which a tunnel listens, with the protocol.
std::string place_of(bool udp, const Address& address) { return (udp ? "udp " : "tcp ") + to_text(address); }

bool is_chosen_by_kernel(const Address& address) {
  const auto* host = std::get_if<HostPort>(&address);
  return host && host->port_min == 0;
}

/// Addresses at which earlier tunnels listen.
class Places {
 public:
  explicit Places(std::span<const ConfiguredTunnel> tunnels) : tunnels_(tunnels) {}

  /// The name of the earlier tunnel that listens there; "" if none does.
  std::string add(std::size_t tunnel, bool udp, const Address& address) {
    if (is_chosen_by_kernel(address)) return {};
    const auto [first, is_new] = seen_.emplace(place_of(udp, address), tunnel);
    return is_new ? std::string() : name_of(tunnels_, first->second);
  }

 private:
  std::span<const ConfiguredTunnel> tunnels_;
  std::map<std::string, std::size_t> seen_;
};

std::optional<TunnelClash> find_shared_listener(std::span<const ConfiguredTunnel> tunnels) {
  Places places(tunnels);
  for (std::size_t i = 0; i < tunnels.size(); ++i) {
    const Profile& profile = tunnels[i].profile;
    const bool is_server = profile.role == Role::kServer;
    if (profile.listens_at_local_address) {
      const std::string other = places.add(i, is_server, profile.local_address);
      const OptionId option = is_server ? OptionId::kListen : OptionId::kLocalAddr;
      if (!other.empty()) return TunnelClash{i, {option, "is where " + other + " listens"}};
    }
    for (const Forward& forward : profile.forwards) {
      const std::string other = places.add(i, forward.kind == ForwardKind::kUdp, forward.listen);
      if (!other.empty())
        return TunnelClash{i,
                           {OptionId::kForward, "listens where " + other + " does: " + listen_text(forward)}};
    }
  }
  return std::nullopt;
}

}  // namespace

std::optional<TunnelClash> find_clash(std::span<const ConfiguredTunnel> tunnels) {
  if (auto clash = find_shared_file(tunnels, OptionId::kSnmpLog, &Profile::snmplog)) return clash;
  if (auto clash = find_shared_file(tunnels, OptionId::kQuotaFile, &Profile::quota_file)) return clash;
  return find_shared_listener(tunnels);
}

}  // namespace kcptun
