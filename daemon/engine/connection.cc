#include "daemon/engine/connection.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "daemon/engine/session.h"

namespace kcptun {
namespace {

// A connection with nothing to read or write for this long is watched for a hang-up of its peer. A shorter
// delay would cost a system call per change of the watched events, and most half-closed connections end
// sooner.
constexpr Duration kHangUpWatchDelay = seconds(1);

}  // namespace

Connection::Connection(Session& session, std::uint32_t sid, LocalConnection local)
    : session_(session),
      sid_(sid),
      fd_(std::move(local.fd)),
      backlog_(session.engine().backlog_pool()),
      opened_at_(session.engine().now()),
      replay_(std::move(local.unsent)),
      forwarded_(std::move(local.request)),
      moves_(local.moves) {
  if (forwarded_) counters_ = forwarded_->counters;
  poll_ = std::make_unique<PollHandle>(session_.engine().uv(), fd_.get(),
                                       [this](int events) { handle_poll(events); });
  if (!watch()) fail_watch(errno);
}

Connection::Connection(Session& session, std::uint32_t sid, Target& target)
    : session_(session),
      sid_(sid),
      backlog_(session.engine().backlog_pool()),
      opened_at_(session.engine().now()),
      dialer_(std::make_unique<Dialer>(session.engine(),
                                       [this](Dialer::Outcome made) { handle_connected(std::move(made)); })) {
  replay_.bind();
  target.dial(*dialer_);
}

Connection::~Connection() {
  session_.engine().deadlines().set(*this, std::nullopt);
  poll_.reset();  // destroyed before the descriptor is closed
}

// Called back from the loop, because this may be the constructor.
void Connection::fail_watch(int error) {
  watch_error_ = error;
  deadline_ = session_.engine().now();
  arm();
}

// --- events of the descriptor ---

// A granted watch can be changed without failure. A refused one was refused from the start, and the
// constructor reported it.
void Connection::update_watch() {
  if (poll_ && watch_error_ == 0) (void)watch();
}

bool Connection::watch() {
  if (failed_) return poll_->watch(0);
  const bool reading = !read_ended_ && !reading_paused_ && !peer_reset_;
  const bool writing = !backlog_.empty();
  if (reading || writing) {
    watches_hang_up_ = false;
    return poll_->watch((reading ? UV_READABLE : 0) | (writing ? UV_WRITABLE : 0));
  }
  // epoll reports errors and hang-ups only while some event is watched. Urgent data, which never arrives,
  // serves as that event.
  const bool watched = poll_->watch(watches_hang_up_ ? UV_PRIORITIZED : 0);
  const bool waits = read_ended_ || send_blocked_;  // for the other end, not merely for its turn
  if (waits && !watches_hang_up_ && !hung_up_ && !hang_up_watch_at_) {
    hang_up_watch_at_ = session_.engine().now() + kHangUpWatchDelay;
    arm();
  }
  return watched;
}

void Connection::handle_poll(int events) {
  if (failed_) return;
  if (events & UV_PRIORITIZED) {
    handle_hang_up();
  } else {
    if (events & UV_WRITABLE) write_backlog();
    if ((events & UV_READABLE) && !read_ended_ && !failed_) session_.mark_ready(*this);
  }
  session_.engine().wake(session_);  // the write may have opened receive windows
  update_watch();
}

// The local peer is gone. Bytes that it sent earlier may still wait for the stream's window, for a limited
// time.
void Connection::handle_hang_up() {
  watches_hang_up_ = false;
  pollfd entry{fd_.get(), 0, 0};
  if (::poll(&entry, 1, 0) != 1 || (entry.revents & (POLLERR | POLLHUP)) == 0) return;
  if (read_ended_) return fail("local peer closed the connection", std::strerror(ECONNRESET));
  hung_up_ = true;
  bound_drain();
}

void Connection::handle_connected(Dialer::Outcome outcome) {
  if (!outcome.fd.valid()) return fail("cannot reach the target", outcome.error);
  if (!write_target_header(outcome.fd.get())) return fail("cannot reach the target", std::strerror(errno));
  dialer_.reset();
  handle_established(std::move(outcome));
}

void Connection::handle_established(Dialer::Outcome outcome) {
  fd_ = std::move(outcome.fd);
  poll_ = std::move(outcome.poll);
  poll_->set_callback([this](int events) { handle_poll(events); });
  prepare_connection(fd_.get());
  if (peer_reset_) bound_drain();
  write_backlog();
  session_.engine().wake(session_);
  update_watch();
}

void Connection::arm() {
  session_.engine().deadlines().set(*this, earliest(deadline_, earliest(hang_up_watch_at_, idle_check_at_)));
}

void Connection::handle_deadline(TimePoint now) {
  if (failed_) return;
  if (deadline_ && *deadline_ <= now) {
    if (watch_error_ != 0)
      return fail("cannot watch the connection; it is reset", std::strerror(watch_error_));
    return fail("what is left is not taken", std::strerror(ETIMEDOUT));
  }
  if (idle_check_at_ && *idle_check_at_ <= now) check_idleness(now);
  if (failed_) return;
  if (hang_up_watch_at_ && *hang_up_watch_at_ <= now) {
    hang_up_watch_at_.reset();
    watches_hang_up_ = true;  // unless there is something to read or write by now
    update_watch();
  }
  arm();
}

// Limits the time for a peer that has closed its direction and does not read; it may be gone. The 2021
// release ends both directions with one FIN and sends nothing more (docs/develop/protocol.md section 6). Each
// progress renews the limit. The same limit applies to bytes left to read from a local peer that is gone, and
// to bytes left to write before a reset.
void Connection::bound_drain() {
  if (deadline_) return;
  deadline_ = session_.engine().now() + session_.drain_limit();
  arm();
}

// With nothing left to send, a peer that is gone looks like one that waits for a slow answer.
void Connection::bound_idleness() {
  idle_check_at_ = session_.engine().now() + session_.half_closed_idle();
  idle_traffic_ = traffic_.total();
  arm();
}

void Connection::check_idleness(TimePoint) {
  idle_check_at_.reset();
  if (session_.link().smux().peer_is_ours()) return;  // such a peer sends a reset
  if (traffic_.total() != idle_traffic_) return bound_idleness();
  fail("half-closed and idle for too long", std::strerror(ETIMEDOUT));
}

void Connection::handle_writable() {
  replay_.bind();
  if (watch_error_ == 0 && !refused_ && std::exchange(deadline_, std::nullopt)) arm();
  send_blocked_ = false;
  if (reading_paused_) resume_reading();
  if (has_unsent()) session_.mark_ready(*this);  // no event of the descriptor reports these
}

void Connection::fail(const char* what, const std::string& error) {
  if (failed_) return;
  const std::string conv = hex_id(session_.link().conv());
  if (dialer_) {
    session_.log().warning(what,
                           {{"address", session_.target()}, {"conv", conv}, {"sid", sid_}, {"error", error}});
  } else if (watch_error_ != 0) {
    session_.log().warning(what, {{"conv", conv}, {"sid", sid_}, {"error", error}});
  }
  session_.link().reset_stream(sid_);
  reset();
  session_.detach(*this);
}

void Connection::reset() {
  failed_ = true;
  dialer_.reset();
  request_.reset();
  if (!poll_) return;
  poll_.reset();
  Engine& engine = session_.engine();
  engine.lingering_resets().add(engine.now(), std::move(fd_), session_.drain_limit());
}

void Connection::handle_peer_reset() {
  replay_.bind();
  if (end_forwarded("the peer reset the stream before its reply")) return;
  if (write_failed_) return fail("both ends are gone", std::strerror(ECONNRESET));
  if (request_ && request_->reading()) return fail("the request is incomplete", std::strerror(EPROTO));
  peer_reset_ = true;
  end_if_drained();
  if (failed_) return;
  bound_drain();
  update_watch();
}

void Connection::add_traffic(const Traffic& moved) {
  traffic_.add(moved);
  if (counters_) counters_->add_traffic(moved);
  session_.add_traffic(moved, load_);
}

}  // namespace kcptun
