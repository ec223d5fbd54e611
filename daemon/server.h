// The server's share of one loop: conversations from anywhere, each stream joined to a connection to the target.
#pragma once

#include <cstdint>
#include <memory>
#include <unordered_set>
#include <vector>

#include "config/profile.h"
#include "core/link/demux.h"
#include "daemon/loop/loop.h"
#include "daemon/session/session.h"
#include "daemon/tunnel.h"

namespace kcptun {

/// Where streams go: addresses of a name, learnt anew in the background while they are used.
class Target {
 public:
  /// `addresses`: as resolved at start; none for a unix path.
  Target(uv_loop_t& loop, Address address, std::vector<IpEndpoint> addresses);
  /// Attempts at one connection to the target, address after address.
  Connection::NextAttempt attempts(TimePoint now);

 private:
  void refresh(TimePoint now);

  uv_loop_t& loop_;
  const Address address_;
  std::vector<IpEndpoint> addresses_;
  TimePoint fresh_until_{};
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // for answers that come when we are gone
};

class ServerPart final : public TunnelPart, private Session::Owner, private PacketReceiver {
 public:
  /// `profile` and `loop` outlive the part. `targets`: the target's addresses as resolved at start.
  ServerPart(const Profile& profile, Loop& loop, std::vector<IpEndpoint> targets);
  ~ServerPart() override;

  /// Listens on one more address; the error names it.
  Result<bool> listen(const IpEndpoint& address, bool share_port);

  Counters counters() const override;
  void shut_down() override;

  /// Conversations of one loop at once.
  static constexpr std::size_t kMaxConversations = 65536;

 private:
  struct Accepted;

  void handle_run(TimePoint now, const Path& path, std::span<const Packet> packets) override;
  void handle_stream(Session& session, std::uint32_t sid) override;
  void handle_closed(Session& session, std::string_view reason) override;
  void accept(Conversation& conversation);
  void retire(std::unique_ptr<Conversation> conversation, std::string_view reason);

  const Profile& profile_;
  Loop& loop_;
  Demux demux_;
  Target target_;
  std::unordered_set<Accepted*> accepted_;  // owned; also the tags of their conversations
  Counters past_;
  std::uint64_t most_ = 0;
  bool shut_down_ = false;
};

}  // namespace kcptun
