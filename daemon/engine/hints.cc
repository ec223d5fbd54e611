#include "daemon/engine/hints.h"

#include <fmt/format.h>

#include <algorithm>

#include "daemon/net/address.h"

namespace kcptun {
namespace {

std::string_view peer_of(const Profile& profile) {
  return profile.role == Role::kClient ? "the server" : "the client";
}

std::string_view cipher_name(Cipher cipher) {
  const auto row = std::ranges::find(kCipherNames, cipher, &CipherName::cipher);
  return row == kCipherNames.end() ? "?" : row->name;
}

std::string explain_mismatch(Mismatch mismatch, const Profile& profile) {
  const std::uint32_t version = profile.link.smux.version;
  switch (mismatch) {
    case Mismatch::kOnlyPeerCompresses:
      return fmt::format(
          "{} compresses and this end does not: nocomp must be the same at both ends (here true)",
          peer_of(profile));
    case Mismatch::kOnlyWeCompress:
      return fmt::format(
          "{} does not compress and this end does: nocomp must be the same at both ends (here false)",
          peer_of(profile));
    case Mismatch::kSmuxVersion:
      return fmt::format("{} uses smux version {}, and this end {}: smuxver must be the same at both ends",
                         peer_of(profile), 3 - version, version);
    case Mismatch::kNone:
      break;
  }
  return {};
}

/// True if any segment after the first is acknowledged.
bool acknowledged_later(const SendWindow& window) {
  const std::uint32_t sent_later = std::min(window.next() - window.una() - 1, FullSizeWatch::kMaxExamined);
  for (std::uint32_t i = 1; i <= sent_later; ++i)
    if (!window.awaits(window.una() + i)) return true;
  return false;
}

}  // namespace

bool HintLimiter::take(Hint hint, TimePoint now) {
  const std::lock_guard lock(mutex_);
  auto& logged = logged_[static_cast<std::size_t>(hint)];
  if (logged && now - *logged < kInterval) return false;
  logged = now;
  return true;
}

bool RejectedPeers::handle_rejected(const IpEndpoint& remote, std::size_t packets) {
  const auto end = entries_.begin() + static_cast<std::ptrdiff_t>(used_);
  auto entry = std::find_if(entries_.begin(), end, [&](const Entry& e) { return e.remote == remote; });
  if (entry == end) {
    entry = entries_.begin() + static_cast<std::ptrdiff_t>(next_);
    next_ = (next_ + 1) % kAddresses;
    used_ = std::min(used_ + 1, kAddresses);
    *entry = {remote, 0};
  }
  const std::uint32_t before = entry->packets;
  entry->packets = static_cast<std::uint32_t>(std::min<std::size_t>(before + packets, kThreshold));
  return before < kThreshold && entry->packets == kThreshold;
}

void RejectedPeers::handle_good(const IpEndpoint& remote) {
  for (std::size_t i = 0; i < used_; ++i) {
    if (entries_[i].remote == remote) entries_[i] = {};
  }
}

bool FullSizeWatch::handle_run(TimePoint now, const Kcp& kcp) {
  const SendWindow& window = kcp.send_window();
  const Kcp::Counters& counters = kcp.counters();
  if (window.una() == window.next()) {
    baseline_.reset();
    return false;
  }
  if (!baseline_ || baseline_->first != window.una()) baseline_ = Baseline{now, window.una(), counters};
  const Kcp::Counters& then = baseline_->counters;
  if (now - baseline_->at < kAnswerTimeout ||
      counters.retransmitted - then.retransmitted < kMinRetransmissions)
    return false;
  const bool heard =
      counters.in_segments - then.in_segments >= kMinNewSegments && counters.repeated == then.repeated;
  return heard || acknowledged_later(window);
}

std::string explain_end(const Link& link, const Profile& profile) {
  if (const auto text = explain_mismatch(link.mismatch(), profile); !text.empty()) return text;
  const bool ended_by_server = link.kcp().peer_restarted() && link.kcp().counters().stream_bytes_in == 0;
  if (profile.role != Role::kClient || !ended_by_server) return {};
  return fmt::format(
      "the server ends the session as soon as it has read from it: if it was not restarted, its nocomp (here "
      "{}) or "
      "smuxver (here {}) differs; kcptun-client probe reports which it has",
      !profile.link.compress, profile.link.smux.version);
}

std::string explain_rejected(const IpEndpoint& remote, const Profile& profile) {
  return fmt::format(
      "no packet from {} can be decrypted: its key or its crypt (here {}) differs, or it is no "
      "kcptun",
      to_string(remote), cipher_name(profile.crypt));
}

std::string explain_no_answer(const IpEndpoint& remote, const Profile& profile, bool refused) {
  if (refused && profile.tcp)
    return fmt::format(
        "{} refuses the TCP connection: its server runs without tcp (here on), which must be on there too, "
        "or it is not "
        "there; see remoteaddr",
        to_string(remote));
  if (refused) {
    return fmt::format(
        "{} refuses (ICMP): no server listens on that UDP port, or a firewall rejects it; see remoteaddr",
        to_string(remote));
  }
  return fmt::format(
      "no packet arrives from {}: check remoteaddr, firewalls for {}, then key and crypt (here "
      "{}), which "
      "must be the server's; kcptun-client probe reports more",
      to_string(remote), profile.tcp ? "TCP, tcp (here on), which must be on at the server too" : "UDP",
      cipher_name(profile.crypt));
}

std::string explain_full_size(const IpEndpoint& remote, const Profile& profile) {
  return fmt::format(
      "full-size packets (mtu {}) to {} appear to be dropped, while smaller ones arrive: mtu auto "
      "finds the size "
      "that the path carries, or set a smaller mtu",
      profile.link.kcp.mtu, to_string(remote));
}

}  // namespace kcptun
