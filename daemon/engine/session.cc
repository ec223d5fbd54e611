#include "daemon/engine/session.h"

#include <algorithm>
#include <array>
#include <utility>

#include "config/address.h"
#include "core/proxy/proxy_header.h"
#include "daemon/engine/stall_hints.h"
#include "daemon/net/address.h"

namespace kcptun {
namespace {

// In bytes. Maximum read of all connections before packets are sent: about one batch.
constexpr std::size_t kPullBudget = 128 * 1024;

// A closewait of 0, the client's default, would cut off data in flight. In version 2 the peer's window
// updates show progress at least every keepalive interval (30 s at most). Version 1 has no such signal, and
// the limit covers the whole rest of the stream.
constexpr Duration kMinDrain = seconds(35);

}  // namespace

Session::Session(Engine& engine, Link& link, Owner& owner, const Path& path, const Profile& profile)
    : engine_(engine), link_(link), owner_(owner), path_(path), profile_(profile) {
  engine_.wake(*this);
}

Session::~Session() { engine_.remove(*this); }

std::string Session::target() const { return to_text(profile_.remote); }

Duration Session::drain_limit() const { return std::max<Duration>(profile_.closewait, kMinDrain); }

void Session::attach(std::unique_ptr<Connection> connection) {
  const std::uint32_t sid = connection->sid();
  if (!profile_.quiet) {
    if (profile_.role == Role::kClient) connection->note_peer();
    log_stream("stream opened", *connection, {});
  }
  Connection& attached = *connection;
  link_.set_tag(sid, reinterpret_cast<std::uintptr_t>(&attached));
  connections_[sid] = std::move(connection);
  if (attached.has_unsent()) mark_ready(attached);
  engine_.wake(*this);
}

std::vector<std::uint8_t> Session::target_header() const {
  if (profile_.target_header == TargetHeader::kNone) return {};
  const auto version =
      profile_.target_header == TargetHeader::kProxyV1 ? ProxyHeaderVersion::kV1 : ProxyHeaderVersion::kV2;
  return proxy_header(version, path_.remote, path_.local);
}

void Session::log_stream(std::string_view event, const Connection& connection, LogFieldList more) const {
  log().write(LogLevel::kInfo, event, stream_fields(connection, more));
}

void Session::log_request(std::string_view event, const Connection& connection, LogFieldList more) const {
  log().write(LogLevel::kWarning, event, stream_fields(connection, more));
}

// A client's line has the application's address, a server's that of its client.
std::vector<LogField> Session::stream_fields(const Connection& connection, LogFieldList more) const {
  const bool client = profile_.role == Role::kClient;
  std::vector<LogField> fields{{"conv", hex_id(link_.conv())}, {"sid", connection.sid()}};
  if (!client) fields.push_back({"client", to_string(path_.remote)});
  if (client && !connection.peer().empty()) fields.push_back({"client", connection.peer()});
  const ForwardedRequest* request = connection.forwarded();
  if (request && client)
    fields.insert(fields.end(), {{"forward", request->entrance}, {"target", request->target}});
  if (request && !client)
    fields.insert(fields.end(), {{"listen", request->entrance}, {"from", request->target}});
  fields.insert(fields.end(), more.begin(), more.end());
  return fields;
}

void Session::log_unreached(const Connection& connection, std::string_view reason) const {
  if (!profile_.quiet) log_stream("target not reached", connection, {{"reason", reason}});
}

void Session::detach(Connection& connection) {
  const auto it = connections_.find(connection.sid());
  if (it == connections_.end()) return;
  if (!profile_.quiet) {
    const Traffic& traffic = connection.traffic();
    const Duration open = engine_.now() - connection.opened_at();
    log_stream("stream closed", connection,
               {{"sent", traffic.sent},
                {"received", traffic.received},
                {"ms", std::chrono::duration_cast<milliseconds>(open).count()}});
  }
  link_.set_tag(connection.sid(), 0);
  saturation_.forget(connection.load());
  if (connection.active()) {
    ready_.deactivate(connection);
    std::erase(watching_, &connection);
  }
  if (std::exchange(connection.write_queued, false))
    std::replace(queued_writes_.begin(), queued_writes_.end(), &connection,
                 static_cast<Connection*>(nullptr));
  std::unique_ptr<Connection> gone = std::move(it->second);
  connections_.erase(it);
  engine_.dispose(std::move(gone));
  engine_.wake(*this);
}

void Session::close_all() {
  close_ends();
  while (!connections_.empty()) {
    Connection& connection = *connections_.begin()->second;
    connection.reset();
    detach(connection);
  }
}

void Session::shut_down() {
  for (const auto& [sid, connection] : connections_) link_.reset_stream(sid);
  for (const auto& [sid, end] : ends_) link_.reset_stream(sid);
  link_.release_lingering();
  close_all();
}

void Session::handle_deadline(TimePoint now) {
  link_.handle_timeout(now);
  if (!closed_ && end_reason_.empty() && link_.unanswered_since())
    end_reason_ = owner_.check_unanswered(*this, now);
  engine_.wake(*this);
}

void Session::mark_ready(Connection& connection) {
  engine_.wake(*this);
  if (connection.active()) return;
  ready_.activate(connection);
  watching_.push_back(&connection);
}

// --- one round ---

void Session::pump(TimePoint now) {
  if (closed_) return;
  drain_events(now);
  bind_forwarding();
  const std::string_view closed = link_.closed_reason();
  if (const std::string_view reason = closed.empty() ? end_reason_ : closed; !reason.empty()) {
    closed_ = true;
    // Acknowledge the bytes of a peer with mismatched settings, so that it does not treat them as lost. It
    // then detects the mismatch soon and can report it.
    if (!closed.empty() && link_.mismatch() != Mismatch::kNone && !engine_.blocked()) transmit(now);
    owner_.handle_closed(*this, reason);
    close_all();  // the remaining connections
    return;
  }
  if (engine_.blocked()) {
    engine_.wake(*this);
    return pause_unserved();
  }
  // One batch at a time: bytes just read are still in the cache when they are packed, encrypted and sent.
  bool ends_wait = false;
  do {
    ends_wait = serve_waiting_ends();
    pull_ready();
    if (!transmit(now)) engine_.wake(*this);
  } while (!engine_.blocked() && link_.writable() && (ends_wait || !ready_.empty()));
  saturation_.record_waiting(now, ready_.active());
  pause_unserved();
  announce_path_mtu();
  report_stalls(now);
  engine_.deadlines().set(*this, link_.next_timeout());
}

// Bytes that the peer may have forwarded must not be sent in another session, so their copies are dropped.
void Session::bind_forwarding() {
  for (; !stream_starts_.empty() && link_.passed_on(stream_starts_.front().position);
       stream_starts_.pop_front())
    if (const auto it = connections_.find(stream_starts_.front().sid); it != connections_.end())
      it->second->handle_forwarded();
}

bool Session::all_can_restart() const {
  return !connections_.empty() &&
         std::ranges::all_of(connections_, [](const auto& entry) { return entry.second->movable(); });
}

std::vector<LocalConnection> Session::release_connections() {
  std::vector<Connection*> movable;
  for (const auto& [sid, connection] : connections_)
    if (connection->movable()) movable.push_back(connection.get());
  std::vector<LocalConnection> taken;
  for (Connection* connection : movable) {
    taken.push_back(connection->release());
    detach(*connection);
  }
  return taken;
}

void Session::announce_path_mtu() {
  const std::optional<PathMtu>& path_mtu = link_.path_mtu();
  if (!path_mtu || !path_mtu->settled() || path_mtu->size() == announced_mtu_) return;
  announced_mtu_ = path_mtu->size();
  log().info("session mtu found", {{"conv", hex_id(link_.conv())}, {"mtu", announced_mtu_}});
}

void Session::drain_events(TimePoint now) {
  do {
    while (const std::optional<StreamEvent> event = link_.poll_event(now)) handle_event(*event);
    drain_datagrams();
    flush_writes();  // consumes bytes, which may let the link read again
    finish_round();
  } while (link_.event_ready());
  link_.release_views();
}

void Session::handle_event(const StreamEvent& event) {
  if (StreamEnd* const end = stream_end_of(event.tag)) return handle_end_event(*end, event);
  auto* connection = reinterpret_cast<Connection*>(event.tag);
  if (event.type == StreamEvent::Type::kOpened) return owner_.handle_stream(*this, event.sid);
  if (!connection) {
    if (event.type == StreamEvent::Type::kData) link_.consume(event.sid, event.data.size());
    return;
  }
  switch (event.type) {
    case StreamEvent::Type::kData:
      connection->queue_write(event.data);
      if (!std::exchange(connection->write_queued, true)) queued_writes_.push_back(connection);
      return;
    case StreamEvent::Type::kFinished:
      return connection->handle_peer_finished();
    case StreamEvent::Type::kWritable:
      return connection->handle_writable();
    case StreamEvent::Type::kReset:
      return connection->handle_peer_reset();
    case StreamEvent::Type::kEvicted:
      return handle_reset_locally(*connection);
    case StreamEvent::Type::kOpened:
      return;
  }
}

// Releases the held bytes immediately, before the local peer reads them.
void Session::handle_reset_locally(Connection& connection) {
  log().warning("stream reset", {{"conv", hex_id(link_.conv())},
                                 {"sid", connection.sid()},
                                 {"unread_bytes", connection.backlog_bytes()},
                                 {"reason", "unread, and its memory was needed"},
                                 {"remedy", "a larger memory, or a smaller streambuf"}});
  connection.reset();
  detach(connection);
}

void Session::report_stalls(TimePoint now) {
  for (const Hint hint : kStallHints) {
    if (!stall_hint_applies(hint, link_, now) || !engine_.hints().take(hint, now)) continue;
    log().write(level_of_stall(hint), "hint",
                std::array{LogField("text", explain_stall(hint, link_, profile_))});
  }
}

void Session::flush_writes() {
  for (std::size_t i = 0; i < queued_writes_.size(); ++i) {
    if (!queued_writes_[i]) continue;
    Connection& connection = *std::exchange(queued_writes_[i], nullptr);
    connection.write_queued = false;
    connection.flush();
  }
  queued_writes_.clear();
}

// Reads from the ready connections in the order of their turns while the link has room, up to about a batch.
void Session::pull_ready() {
  std::size_t budget = kPullBudget;
  while (budget > 0 && !ready_.empty() && link_.writable()) {
    auto& connection = static_cast<Connection&>(ready_.next());
    budget -= std::min(budget, pull(connection, std::min(budget, ready_.allowance(connection))));
  }
}

// Returns the bytes that were read.
std::size_t Session::pull(Connection& connection, std::size_t limit) {
  const std::uint64_t before = traffic_.sent;
  const Connection::Pull result = connection.pull(limit);
  const auto sent = static_cast<std::size_t>(traffic_.sent - before);
  if (!connection.active()) return sent;  // the connection is over
  ready_.record_sent(connection, sent);
  if (result == Connection::Pull::kMore) return sent;
  ready_.deactivate(connection);
  if (result == Connection::Pull::kBlocked) connection.pause_reading();
  if (result == Connection::Pull::kEmpty && connection.reading_paused()) connection.resume_reading();
  return sent;
}

// Stops watching connections that still have input, so that they do not wake the loop before there is room.
void Session::pause_unserved() {
  for (Connection* connection : watching_)
    if (connection->active() && !connection->reading_paused()) connection->pause_reading();
  watching_.clear();
}

bool Session::transmit(TimePoint now) {
  while (link_.poll_transmit(now, path_, engine_.batch()))
    if (!engine_.send_batch()) return false;
  return true;
}

}  // namespace kcptun
