#include "daemon/client/server_finder.h"

#include <algorithm>
#include <utility>

#include "config/address.h"
#include "daemon/net/address.h"

namespace kcptun {

ServerFinder::ServerFinder(const Profile& profile, Engine& engine, Random& random, OpenSocket open,
                           std::function<void()> found)
    : profile_(profile),
      engine_(engine),
      random_(random),
      open_(std::move(open)),
      found_(std::move(found)),
      retry_(engine, [this](TimePoint now) {
        if (retry_at_ && now < *retry_at_) return retry_.schedule_at(*retry_at_);
        if (std::exchange(retry_at_, std::nullopt)) find();
      }) {}

void ServerFinder::find() {
  if (lookup_ || race_ || retry_at_) return;
  const HostPort& server = std::get<HostPort>(profile_.remote);
  lookup_ = std::make_unique<NameLookup>(
      engine_.uv(), dialled_host(server), server.port_min,
      [this](NameLookup::Addresses addresses) { handle_resolved(std::move(addresses)); });
}

void ServerFinder::handle_resolved(NameLookup::Addresses addresses) {
  lookup_.reset();
  if (!addresses && addresses_.empty()) return handle_failure(addresses.error());
  if (addresses) {
    addresses_ = std::move(*addresses);
  } else {
    log().warning("name lookup failed, using the previous addresses", {{"error", addresses.error()}});
  }
  if (answered_ && std::ranges::find(addresses_, *answered_) == addresses_.end()) answered_.reset();
  if (addresses_.size() < 2 || answered_) return found_();
  race_ = std::make_unique<AddressRace>(
      profile_, engine_, random_, open_, std::get<HostPort>(profile_.remote), in_order(),
      [this](std::optional<IpEndpoint> winner) { handle_race(std::move(winner)); });
}

// If no address answered, dials the first one as if it were the only one: it may still answer.
void ServerFinder::handle_race(std::optional<IpEndpoint> winner) {
  race_.reset();
  answered_ = std::move(winner);
  found_();
}

std::vector<IpEndpoint> ServerFinder::in_order() const {
  std::vector<IpEndpoint> addresses = addresses_;
  if (addresses.empty()) return addresses;
  const auto first = answered_ ? std::ranges::find(addresses, *answered_)
                               : addresses.begin() + static_cast<std::ptrdiff_t>(first_ % addresses.size());
  std::rotate(addresses.begin(), first, addresses.end());
  return addresses;
}

// If several slots fail in one round, only the first failure counts.
void ServerFinder::handle_failure(const std::string& error) {
  if (retry_at_) return;
  if (std::exchange(logged_, error) != error)
    log().warning("the server cannot be dialled yet, trying again",
                  {{"remote", remote_text(profile_)}, {"error", error}});
  retry_at_ = engine_.now() + retry_after_;
  retry_after_ = std::min(2 * retry_after_, kMaxRetry);
  retry_.schedule_at(*retry_at_);
}

void ServerFinder::handle_connected() {
  logged_.clear();
  retry_after_ = kFirstRetry;
}

void ServerFinder::handle_answered(IpEndpoint address) {
  address.port = std::get<HostPort>(profile_.remote).port_min;
  if (std::ranges::find(addresses_, address) != addresses_.end()) answered_ = address;
}

void ServerFinder::handle_no_answer() {
  answered_.reset();
  ++first_;
}

void ServerFinder::handle_network_change() {
  answered_.reset();  // another path may prefer another address
  if (lookup_) {      // it queries the name servers of the old network
    lookup_.reset();
    retry_at_.reset();
    return find();
  }
  if (!std::exchange(retry_at_, std::nullopt)) return;
  retry_after_ = kFirstRetry;
  find();
}

void ServerFinder::replace(std::vector<IpEndpoint> addresses) {
  shut_down();
  addresses_ = std::move(addresses);
  answered_.reset();
  first_ = 0;
  handle_connected();
}

void ServerFinder::shut_down() {
  lookup_.reset();
  race_.reset();
  retry_at_.reset();
}

}  // namespace kcptun
