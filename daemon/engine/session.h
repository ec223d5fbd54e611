// A session on its engine: joins the link's streams with connections.
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
#include "core/link/saturation_monitor.h"
#include "core/smux/stream_scheduler.h"
#include "daemon/engine/connection.h"
#include "daemon/engine/deadlines.h"
#include "daemon/engine/engine.h"
#include "daemon/engine/stream_end.h"
#include "daemon/log/log.h"

namespace kcptun {

/// Drives one link: passes its events to connections, reads from connections with input while the link has
/// room, in the order of StreamScheduler, and moves its packets into the engine's batch. Owned by the
/// client's or server's worker, which also owns the link.
class Session : public Deadline {
 public:
  class Owner {
   public:
    virtual ~Owner() = default;
    /// The peer opened a stream: attach() a connection or reset the stream.
    virtual void handle_stream(Session& session, std::uint32_t sid) = 0;
    /// A stream's request does not lead to a connection: attach() the stream's end, or reset the stream.
    virtual void handle_handed_over(Session& session, std::uint32_t sid, HandedOver stream);
    /// The session is over. The owner may take back the movable connections for another session. It then
    /// disposes of the session, which resets the remaining ones.
    virtual void handle_closed(Session& session, std::string_view reason) = 0;
    /// The peer has not answered. Called each time the link has work due. Returns the reason to end the
    /// session, a string that outlives it, or an empty string to continue.
    virtual std::string_view check_unanswered(Session&, TimePoint) { return {}; }
  };
  /// All references outlive the session. The profile may change between calls.
  Session(Engine& engine, Link& link, Owner& owner, const Path& path, const Profile& profile);
  ~Session() override;

  void attach(std::unique_ptr<Connection> connection);
  void attach(std::unique_ptr<StreamEnd> end);
  void set_path(const Path& path) { path_ = path; }
  const Path& path() const { return path_; }

  // --- called by the engine ---
  void pump(TimePoint now);
  void handle_deadline(TimePoint now) override;
  /// Returns the previous value.
  bool set_awake(bool awake) { return std::exchange(awake_, awake); }

  // --- called by connections ---
  void mark_ready(Connection& connection);
  /// The connection is over. Destroys it.
  void detach(Connection& connection);
  /// The connection's stream leads elsewhere: destroys the connection and passes the stream to the owner.
  void hand_over(Connection& connection, HandedOver stream);
  /// The connection's first bytes are at this position of the link's stream. The session calls
  /// handle_forwarded() when the peer may have forwarded them.
  void record_stream_start(const Connection& connection, std::uint32_t position) {
    stream_starts_.push_back({connection.sid(), position});
  }
  // --- called by other ends of streams ---
  /// The end is over. Destroys it after the callbacks in progress.
  void detach(StreamEnd& end);
  /// Calls end.handle_room() when the link may take more. Also after attach().
  void wait_for_room(StreamEnd& end);

  Engine& engine() { return engine_; }
  /// Time limit for a stream without progress whose peer has closed its direction.
  Duration drain_limit() const;
  /// Time limit for an idle half-closed stream whose peer may be gone.
  Duration half_closed_idle() const {
    return std::max<Duration>(profile_.closewait, profile_.half_closed_idle);
  }
  /// Of a forward's connection that the server could not or would not connect.
  void log_unreached(const Connection& connection, std::string_view reason) const;
  EventLog log() const { return EventLog(profile_.name); }
  /// The target of connections in the profile, for messages.
  std::string target() const;
  /// What each connection to the target begins with: the PROXY protocol's header, or nothing.
  std::vector<std::uint8_t> target_header() const;
  /// Logs a request that failed, with the client.
  void log_request(std::string_view event, const Connection& connection, LogFieldList more) const;
  Link& link() { return link_; }
  /// A connection moved bytes; `load` is its own.
  void add_traffic(const Traffic& moved, SaturationMonitor::StreamLoad& load) {
    traffic_.add(moved);
    saturation_.record(engine_.now(), load, moved.total());
  }

  /// A UDP flow moved a datagram's payload.
  void add_flow_traffic(const Traffic& moved) { traffic_.add(moved); }

  std::size_t connections() const { return connections_.size(); }
  /// Streams that lead elsewhere than to connections.
  std::size_t stream_ends() const { return ends_.size(); }
  bool has_streams() const { return !connections_.empty() || !ends_.empty(); }
  const std::unordered_map<std::uint32_t, std::unique_ptr<Connection>>& open_connections() const {
    return connections_;
  }
  const Link& link() const { return link_; }
  /// True if new streams would stand behind bulk data.
  bool saturated() const { return saturation_.saturated(engine_.now()); }
  /// The traffic of all its connections and flows, past and present.
  const Traffic& traffic() const { return traffic_; }
  /// True if there is at least one connection and all are movable.
  bool all_can_restart() const;
  /// Removes and returns the movable connections. REQUIRES: the session sends nothing any more.
  std::vector<LocalConnection> release_connections();
  /// Resets all connections, because the tunnel closes.
  void close_all();
  /// Like close_all(), and sends the peer the ends of the streams immediately.
  void shut_down();

 private:
  void log_stream(std::string_view event, const Connection& connection, LogFieldList more) const;
  std::vector<LogField> stream_fields(const Connection& connection, LogFieldList more) const;
  void drain_events(TimePoint now);
  void handle_event(const StreamEvent& event);
  // session_ends.cc
  void handle_end_event(StreamEnd& end, const StreamEvent& event);
  void drain_datagrams();
  void finish_round();
  bool serve_waiting_ends();
  void close_ends();
  void begin_round(StreamEnd& end);
  void flush_writes();
  void pull_ready();
  std::size_t pull(Connection& connection, std::size_t limit);
  void pause_unserved();
  bool transmit(TimePoint now);
  void announce_path_mtu();
  void bind_forwarding();
  void report_stalls(TimePoint now);
  void handle_reset_locally(Connection& connection);

  Engine& engine_;
  Link& link_;
  Owner& owner_;
  Path path_;
  const Profile& profile_;
  std::uint32_t announced_mtu_ = 0;
  bool awake_ = false;
  bool closed_ = false;
  std::string_view end_reason_;  // the owner's reason to end the session
  Traffic traffic_;
  SaturationMonitor saturation_;
  std::unordered_map<std::uint32_t, std::unique_ptr<Connection>> connections_;
  StreamScheduler ready_;                   // connections with input
  std::vector<Connection*> watching_;       // became ready in this round; paused if they are not served in it
  std::vector<Connection*> queued_writes_;  // have bytes to write in this round
  std::unordered_map<std::uint32_t, std::unique_ptr<StreamEnd>> ends_;
  std::vector<StreamEnd*> waiting_ends_;  // for room
  std::vector<StreamEnd*> round_ends_;    // have views
  struct StreamStart {
    std::uint32_t sid;
    std::uint32_t position;
  };
  // First bytes that, as far as is known, the peer cannot have forwarded yet; in order.
  std::deque<StreamStart> stream_starts_;
};

}  // namespace kcptun
