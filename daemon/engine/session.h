// One conversation on its loop: joins the link's streams with connections.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "config/profile.h"
#include "core/link/link.h"
#include "daemon/engine/connection.h"
#include "daemon/engine/deadlines.h"
#include "daemon/engine/engine.h"
#include "daemon/log/log.h"

namespace kcptun {

/// Drives one link: drains its events into connections, pulls from connections that have something to read while the
/// link has room (round robin), and drains its packets into the loop's batch.
/// Owned by the client's or the server's part of the loop, which also owns the link.
class Session : public Deadline {
 public:
  class Owner {
   public:
    virtual ~Owner() = default;
    /// The peer opened a stream: attach() a connection, or abandon it.
    virtual void handle_stream(Session& session, std::uint32_t sid) = 0;
    /// The conversation is over. The owner takes back the connections that it has another session for, and disposes of
    /// the session, which resets the others.
    virtual void handle_closed(Session& session, std::string_view reason) = 0;
    /// The peer owes an answer; asked each time that the link has something due. A reason, which outlives the session,
    /// to end it; empty: it goes on.
    virtual std::string_view judge_unanswered(Session&, TimePoint) { return {}; }
  };
  /// All outlive the session. The profile may change while no call is under way.
  Session(Engine& engine, Link& link, Owner& owner, const Path& path, const Profile& profile);
  ~Session() override;

  void attach(std::unique_ptr<Connection> connection);
  void set_path(const Path& path) { path_ = path; }
  const Path& path() const { return path_; }

  // --- from the loop ---
  void pump(TimePoint now);
  void handle_deadline(TimePoint now) override;
  /// Returns what it was before.
  bool set_awake(bool awake) { return std::exchange(awake_, awake); }

  // --- from connections ---
  void mark_ready(Connection& connection);
  /// The connection is over and is disposed of.
  void detach(Connection& connection);
  /// The connection's first bytes were written at this position of the link's stream: it is told when they may have been
  /// passed on.
  void note_first_bytes(const Connection& connection, std::uint32_t position) {
    first_bytes_.push_back({connection.sid(), position});
  }
  Engine& engine() { return engine_; }
  /// How long a stream whose peer has finished may be stuck.
  Duration drain_limit() const;
  /// How long a half-closed stream may be idle whose peer may be gone.
  Duration half_closed_idle() const { return std::max<Duration>(profile_.closewait, profile_.half_closed_idle); }
  EventLog log() const { return EventLog(profile_.name); }
  /// Where the profile sends connections, for messages.
  std::string target() const;
  Link& link() { return link_; }
  void add_traffic(const Traffic& moved) { traffic_.add(moved); }

  std::size_t connections() const { return connections_.size(); }
  const std::unordered_map<std::uint32_t, std::unique_ptr<Connection>>& open_connections() const { return connections_; }
  const Link& link() const { return link_; }
  /// Of all its connections, past and present.
  const Traffic& traffic() const { return traffic_; }
  /// True if there are connections, and all of them are movable.
  bool all_movable() const;
  /// The connections that are movable, without their streams. REQUIRES: nothing is sent any more.
  std::vector<LocalConnection> take_back_connections();
  /// Resets all connections: the tunnel goes away under them.
  void close_all();
  /// The same, and tells the peer at once that its streams are over.
  void shut_down();

 private:
  void log_stream(std::string_view event, const Connection& connection, LogFieldList more) const;
  void drain_events(TimePoint now);
  void handle_event(const StreamEvent& event);
  void flush_writes();
  bool pull_ready();
  void pause_unserved();
  bool transmit(TimePoint now);
  void announce_path_mtu();
  void bind_forwarding();
  void report_stalls(TimePoint now);
  void handle_given_up(Connection& connection);

  Engine& engine_;
  Link& link_;
  Owner& owner_;
  Path path_;
  const Profile& profile_;
  std::uint32_t announced_mtu_ = 0;
  bool awake_ = false;
  bool closed_ = false;
  std::string_view verdict_;  // of the owner: the session is to end
  Traffic traffic_;
  std::unordered_map<std::uint32_t, std::unique_ptr<Connection>> connections_;
  std::deque<Connection*> ready_;        // have something to read, first served first
  std::vector<Connection*> watching_;    // became ready in this round: to be parked if it doesn't get its turn
  std::vector<Connection*> queued_writes_;    // have bytes to write in this round
  struct ProtocolSniffer {
    std::uint32_t sid;
    std::uint32_t position;
  };
  std::deque<ProtocolSniffer> first_bytes_;   // that cannot have been passed on yet, as far as is known; in order
};

}  // namespace kcptun
