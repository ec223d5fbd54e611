#include "config/profile_warnings.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "config/forwards.h"
#include "config/options.h"
#include "config/text.h"

namespace kcptun {
namespace {

using enum OptionId;

// The minimum key bytes and pads that Go's qpp package recommends for 8 qubits.
constexpr std::size_t kQppLeastKey = 211;
constexpr std::uint16_t kQppLeastPads = 7;

/// Placeholders for the key in this project's and in kcptun's documentation.
constexpr std::array<std::string_view, 8> kPlaceholders{"replace-this-by-a-long-random-secret",
                                                        "SECRET",
                                                        "secret",
                                                        "KEY",
                                                        "PASSWORD",
                                                        "password",
                                                        "changeme",
                                                        kHiddenValue};
/// Minimum key length in bytes. 12 random letters and digits have 71 bits, and each guess costs 4096 rounds
/// of PBKDF2.
constexpr std::size_t kMinKey = 12;

void add_qpp_warnings(const Profile& profile, std::vector<std::string>& warnings) {
  if (profile.key.size() < kQppLeastKey) {
    warnings.push_back("QPP: the key has " + std::to_string(profile.key.size()) +
                       " bytes, it should have at least " + std::to_string(kQppLeastKey));
  }
  const std::string count = "QPP: QPPCount " + std::to_string(profile.qpp_count);
  if (profile.qpp_count < kQppLeastPads) {
    warnings.push_back(count + " is small, it should be at least " + std::to_string(kQppLeastPads));
  }
  if (profile.qpp_count % 2 == 0) warnings.push_back(count + " is even, it should be a prime number");
}

/// Of entrances where the application chooses the target: open to the network they are open proxies.
void add_forward_warnings(const Profile& profile, std::vector<std::string>& warnings) {
  for (const Forward& forward : profile.forwards) {
    const auto* host = std::get_if<HostPort>(&forward.listen);
    const bool proxy = forward.kind == ForwardKind::kSocks5 || forward.kind == ForwardKind::kHttp;
    if (!proxy || !host || !(host->host.empty() || host->host == "0.0.0.0" || host->host == "::")) continue;
    warnings.push_back("forward " + listen_text(forward) +
                       " serves whoever reaches this machine: listen at 127.0.0.1 unless that is meant");
  }
}

}  // namespace

std::vector<std::string> profile_warnings(const Profile& profile) {
  std::vector<std::string> warnings;
  if (profile.key == option_of(kKey).client_default) {
    warnings.emplace_back("the key is kcptun's public default, known to everyone: set --key or KCPTUN_KEY");
  } else if (profile.key.empty()) {
    warnings.emplace_back("the key is empty, so anyone can use this tunnel: set --key or KCPTUN_KEY");
  } else if (std::ranges::find(kPlaceholders, profile.key) != kPlaceholders.end()) {
    warnings.emplace_back(
        "the key is a placeholder that documents or --check print: --genkey prints a good one");
  } else if (profile.key.size() < kMinKey) {
    warnings.push_back("the key has " + std::to_string(profile.key.size()) +
                       " bytes, so it can be guessed from recorded packets: use at least " +
                       std::to_string(kMinKey) + "; --genkey prints a good one");
  }
  if (profile.crypt == Cipher::kNone || profile.crypt == Cipher::kNull) {
    warnings.emplace_back("crypt " + std::string(profile.crypt == Cipher::kNone ? "none" : "null") +
                          " encrypts nothing: anyone on the path can read and change the traffic");
  } else if (profile.crypt == Cipher::kXor) {
    warnings.emplace_back("crypt xor keeps no secret: anyone on the path can read and change the traffic");
  }
  add_forward_warnings(profile, warnings);
  if (profile.qpp) add_qpp_warnings(profile, warnings);
  if (profile.autoexpire > Duration::zero() &&
      (!profile.scavengettl || *profile.scavengettl > profile.autoexpire)) {
    warnings.emplace_back(
        "scavengettl is longer than autoexpire, so replaced sessions pile up beside new ones");
  }
  return warnings;
}

}  // namespace kcptun
