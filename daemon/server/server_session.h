// A session of the server: its connections, and its user.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include "core/base/check.h"
#include "daemon/server/server_worker.h"

namespace kcptun {

// The server's state of one session. The demux owns the SessionEntry, this worker owns the ServerSession.
struct ServerWorker::ServerSession final : Session::Owner {
  ServerSession(ServerWorker& owner, SessionEntry& of)
      : part(owner),
        conversation(of),
        user(of.client ? owner.users_.find(*of.client) : nullptr),
        session(owner.engine_, of.link, *this, of.path, owner.profile_) {
    KCPTUN_CHECK(!of.client || user != nullptr);  // the gate has found it in this wake-up
    if (user) ++user->sessions;
  }
  ~ServerSession() override {
    if (user) --user->sessions;
  }
  ServerSession(const ServerSession&) = delete;
  ServerSession& operator=(const ServerSession&) = delete;

  void handle_stream(Session&, std::uint32_t sid) override { part.handle_stream(*this, sid); }
  void handle_handed_over(Session&, std::uint32_t sid, HandedOver stream) override {
    part.handle_handed_over(*this, sid, std::move(stream));
  }
  void handle_closed(Session&, std::string_view reason) override {
    part.retire(part.demux_.end(part.engine_.now(), conversation), reason);
  }

  ServerWorker& part;
  SessionEntry& conversation;
  const std::shared_ptr<UserState> user;  // null without users; outlives the session, which uses its rules
  Session session;
  FullSizeWatch full_size;
  bool announced = false;
  std::uint64_t charged = 0;  // payload bytes that its user's account has
  TimePoint charged_at{};
  std::optional<TimePoint> refused_at;  // when its user turned out to be one who may connect no more
  std::uint64_t segments = 0;           // that had come from the client at heard_at
  TimePoint heard_at{};
};

}  // namespace kcptun
