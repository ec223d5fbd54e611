// Where one worker of a server listens for its clients.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <unordered_set>

#include "config/profile.h"
#include "core/base/path.h"
#include "daemon/engine/reverse_requests.h"
#include "daemon/engine/session.h"
#include "daemon/server/listener_registry.h"

namespace kcptun {

class ReverseListener;

/// Decides where clients may listen (Profile::listen_rules), and knows the listeners that its worker has.
/// A listener belongs to the session that asked for it. If another session asks for the same address, the
/// first keeps it as long as its client lives: the holder is asked for a sign of life, and loses the address
/// without one. So a client that returns under another session gets its address back.
/// Bounds: kMaxListeners; kMaxReverses of a session.
class ListenerTable final : public ListenPolicy {
 public:
  /// Of a worker. Each has a descriptor.
  static constexpr std::size_t kMaxListeners = 1024;

  struct Counters {
    std::uint64_t opened = 0;
    std::uint64_t denied = 0;    // by the rules
    std::uint64_t failed = 0;    // the address is in use, or the bound is reached
    std::uint64_t accepted = 0;  // connections
    std::uint64_t refused = 0;   // connections beyond a listener's bound
  };
  /// Asks the worker of that number to check the listener at the address.
  using AskHolder = std::function<void(std::size_t worker, const IpEndpoint& address)>;

  /// `profile` and `registry` outlive the table. The profile may change between calls.
  ListenerTable(const Profile& profile, ListenerRegistry& registry, std::size_t worker, AskHolder ask_holder)
      : profile_(profile), registry_(registry), worker_(worker), ask_holder_(std::move(ask_holder)) {}

  Answer listen(const Socks5Address& address) override;
  /// The session's stream `sid` has asked for a listener and got it: attaches the stream's end, or resets the
  /// stream.
  void open(Session& session, std::uint32_t sid, HandedOver stream);
  /// Another session wants the address.
  void check(const IpEndpoint& address);
  /// The rules have changed: ends the listeners that they do not permit any more.
  void apply_rules();

  // --- called by listeners ---
  void add(ReverseListener& listener);
  void remove(ReverseListener& listener);
  Counters& counters() { return counters_; }
  const Counters& counters() const { return counters_; }
  std::size_t size() const { return listeners_.size(); }

 private:
  std::size_t listeners_of(const Session& session) const;

  const Profile& profile_;
  ListenerRegistry& registry_;
  const std::size_t worker_;
  AskHolder ask_holder_;
  std::unordered_set<ReverseListener*> listeners_;  // sessions own them
  Counters counters_;
};

}  // namespace kcptun
