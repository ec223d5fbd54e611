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

// Vectors per readv. A 64 KiB read into segments of the smallest useful MTU takes several calls.
constexpr std::size_t kReadVectors = 192;
constexpr std::size_t kWriteVectors = 512;

// A connection with nothing to read or write for this long is watched for a hang-up of its peer. A shorter
// delay would cost a system call per change of the watched events, and most half-closed connections end
// sooner.
constexpr Duration kLookAfter = seconds(1);

}  // namespace

Connection::Connection(Session& session, std::uint32_t sid, LocalConnection local)
    : session_(session),
      sid_(sid),
      fd_(std::move(local.fd)),
      backlog_(session.engine().backlog_pool()),
      opened_at_(session.engine().now()),
      replay_(std::move(local.unsent)),
      moves_(local.moves) {
  poll_ = std::make_unique<PollHandle>(session_.engine().uv(), fd_.get(), [this](int events) { handle_poll(events); });
  if (!watch()) refuse(errno);
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
void Connection::refuse(int error) {
  watch_error_ = error;
  give_up_at_ = session_.engine().now();
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
  if (waits && !watches_hang_up_ && !hung_up_ && !look_at_) {
    look_at_ = session_.engine().now() + kLookAfter;
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
  if (read_ended_) return fail("the peer at this end is gone", std::strerror(ECONNRESET));
  hung_up_ = true;
  bound_drain();
}

void Connection::handle_connected(Dialer::Outcome outcome) {
  if (!outcome.fd.valid()) return fail("cannot reach the target", outcome.error);
  dialer_.reset();
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
  session_.engine().deadlines().set(*this, earliest(give_up_at_, earliest(look_at_, idle_at_)));
}

void Connection::handle_deadline(TimePoint now) {
  if (failed_) return;
  if (give_up_at_ && *give_up_at_ <= now) {
    if (watch_error_ != 0)
      return fail("the system refuses to watch a connection, which is reset", std::strerror(watch_error_));
    return fail("what is left is not taken", std::strerror(ETIMEDOUT));
  }
  if (idle_at_ && *idle_at_ <= now) check_idleness(now);
  if (failed_) return;
  if (look_at_ && *look_at_ <= now) {
    look_at_.reset();
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
  if (give_up_at_) return;
  give_up_at_ = session_.engine().now() + session_.drain_limit();
  arm();
}

// With nothing left to send, a peer that is gone looks like one that waits for a slow answer.
void Connection::bound_idleness() {
  idle_at_ = session_.engine().now() + session_.half_closed_idle();
  idle_traffic_ = traffic_.total();
  arm();
}

void Connection::check_idleness(TimePoint) {
  idle_at_.reset();
  if (session_.link().smux().peer_is_ours()) return;  // such a peer sends a reset
  if (traffic_.total() != idle_traffic_) return bound_idleness();
  fail("half-closed, and idle for too long", std::strerror(ETIMEDOUT));
}

void Connection::handle_writable() {
  replay_.bind();
  if (watch_error_ == 0 && std::exchange(give_up_at_, std::nullopt)) arm();
  send_blocked_ = false;
  if (reading_paused_) resume_reading();
  if (has_unsent()) session_.mark_ready(*this);  // no event of the descriptor reports these
}

void Connection::fail(const char* what, const std::string& error) {
  if (failed_) return;
  const std::string conv = hex_id(session_.link().conv());
  if (dialer_) {
    session_.log().warning(what, {{"address", session_.target()}, {"conv", conv}, {"sid", sid_}, {"error", error}});
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
  if (!poll_) return;
  poll_.reset();
  Engine& engine = session_.engine();
  engine.lingering_resets().add(engine.now(), std::move(fd_), session_.drain_limit());
}

void Connection::handle_peer_reset() {
  replay_.bind();
  if (write_failed_) return fail("both ends are gone", std::strerror(ECONNRESET));
  peer_reset_ = true;
  end_if_drained();
  if (failed_) return;
  bound_drain();
  update_watch();
}

void Connection::add_traffic(const Traffic& moved) {
  traffic_.add(moved);
  session_.add_traffic(moved);
}

// --- from the local peer into the tunnel ---

Connection::Pull Connection::pull(std::size_t limit) {
  if (failed_ || read_ended_ || peer_reset_) return Pull::kStopped;
  Link& link = session_.link();
  const std::span<const MutableBytes> room = link.prepare_write(sid_, std::min(limit, read_size_));
  if (room.empty()) {
    if (!link.writable()) return Pull::kMore;
    send_blocked_ = true;
    if (peer_finished_ || write_failed_ || hung_up_) bound_drain();
    return Pull::kBlocked;
  }

  if (!replay_.unsent().empty()) return replay(room);
  std::array<iovec, kReadVectors> vectors;
  const std::size_t count = std::min(room.size(), vectors.size());
  std::size_t total = 0;
  for (std::size_t i = 0; i < count; ++i) {
    vectors[i] = {room[i].data(), room[i].size()};
    total += room[i].size();
  }
  const ssize_t n = ::readv(fd_.get(), vectors.data(), static_cast<int>(count));
  const int error = errno;
  if (n > 0 && replay_.movable()) {
    note_position();
    // Record before the commit, which may encrypt in place.
    replay_.record(room, static_cast<std::size_t>(n));
  }
  link.commit_write(sid_, n > 0 ? static_cast<std::size_t>(n) : 0);
  if (n > 0) {
    add_traffic({.sent = static_cast<std::size_t>(n)});
    if (hung_up_ && watch_error_ == 0 && std::exchange(give_up_at_, std::nullopt)) bound_drain();
    const bool filled = static_cast<std::size_t>(n) == total;
    // Reading lays out room in advance: no more than this connection has recently filled.
    read_size_ = filled ? std::min(2 * read_size_, kMaxRead) : std::max(read_size_ / 2, kMinRead);
    return filled ? Pull::kMore : Pull::kDry;
  }
  if (n < 0 && error == EINTR) return Pull::kMore;
  if (n < 0 && error == EAGAIN) return Pull::kDry;
  if (n < 0 || write_failed_) {  // after a reset seen by a write, end of file does not mean an orderly close
    fail("reading failed", std::strerror(n < 0 ? error : ECONNRESET));
    return Pull::kStopped;
  }
  read_ended_ = true;
  link.finish(sid_);
  update_watch();
  if (write_ended_) session_.detach(*this);
  return Pull::kStopped;
}

// Bytes read by an earlier session go first.
Connection::Pull Connection::replay(std::span<const MutableBytes> room) {
  std::size_t done = 0;
  for (const MutableBytes& piece : room) {
    const Bytes rest = replay_.unsent().subspan(done);
    const std::size_t take = std::min(piece.size(), rest.size());
    std::memcpy(piece.data(), rest.data(), take);
    done += take;
  }
  note_position();
  replay_.drop_unsent(done);
  session_.link().commit_write(sid_, done);
  return Pull::kMore;
}

void Connection::note_position() {
  if (first_position_) return;
  first_position_ = session_.link().write_position();
  session_.note_first_bytes(*this, *first_position_);
}

bool Connection::movable() const {
  return !failed_ && replay_.movable() && moves_ < LocalConnection::kMaxMoves &&
         !(first_position_ && session_.link().passed_on(*first_position_));
}

LocalConnection Connection::take_back() {
  poll_.reset();
  failed_ = true;
  LocalConnection local(std::move(fd_));
  local.unsent = replay_.take();
  local.moves = static_cast<std::uint8_t>(moves_ + 1);
  return local;
}

void Connection::pause_reading() {
  reading_paused_ = true;
  update_watch();
}

void Connection::resume_reading() {
  reading_paused_ = false;
  update_watch();
}

// --- from the tunnel to the local peer ---

void Connection::queue_write(Bytes view) {
  replay_.bind();
  if (!takes_data()) return;
  if (dialer_ || !backlog_.empty() || write_ended_) {
    backlog_.append(view);
  } else {
    queued_writes_.push_back({const_cast<std::uint8_t*>(view.data()), view.size()});
  }
}

// Writes as much as the descriptor accepts and consumes those bytes.
std::size_t Connection::write_some(const iovec* vectors, std::size_t count) {
  const ssize_t n = ::writev(fd_.get(), vectors, static_cast<int>(std::min(count, kWriteVectors)));
  if (n >= 0) {
    session_.link().consume(sid_, static_cast<std::size_t>(n));
    add_traffic({.received = static_cast<std::size_t>(n)});
    if (peer_reset_ && n > 0 && std::exchange(give_up_at_, std::nullopt)) bound_drain();
    return static_cast<std::size_t>(n);
  }
  if (errno != EAGAIN && errno != EINTR) stop_writing(errno);
  return 0;
}

// The local peer has reset the connection, or closed it with unread input. Bytes that it sent earlier still
// count: an answer that arrives before the whole request was sent (HTTP 413) is read to its end.
void Connection::stop_writing(int error) {
  if (read_ended_ || peer_reset_) return fail("writing failed", std::strerror(error));
  write_failed_ = true;
  backlog_.drop_front(backlog_.size());
  session_.link().discard_input(sid_);
  session_.mark_ready(*this);
}

void Connection::flush() {
  std::size_t done = 0;
  while (done < queued_writes_.size() && takes_data()) {
    const std::size_t count = std::min(queued_writes_.size() - done, kWriteVectors);
    std::size_t wanted = 0;
    for (std::size_t i = 0; i < count; ++i) wanted += queued_writes_[done + i].iov_len;
    std::size_t written = write_some(&queued_writes_[done], count);
    const bool short_write = written < wanted;
    for (; done < queued_writes_.size() && written >= queued_writes_[done].iov_len; ++done)
      written -= queued_writes_[done].iov_len;
    if (!short_write) continue;
    for (; done < queued_writes_.size() && takes_data(); ++done, written = 0)
      backlog_.append(Bytes(static_cast<const std::uint8_t*>(queued_writes_[done].iov_base), queued_writes_[done].iov_len)
                          .subspan(written));
  }
  queued_writes_.clear();
  if (queued_writes_.capacity() > kWriteVectors) queued_writes_.shrink_to_fit();
  if (failed_) return;
  end_if_drained();
  update_watch();
}

void Connection::write_backlog() {
  std::array<iovec, 64> vectors;
  while (!backlog_.empty() && takes_data()) {
    const std::size_t count = backlog_.fill(vectors.data(), vectors.size());
    const std::size_t written = write_some(vectors.data(), count);
    if (written == 0) break;
    backlog_.drop_front(written);
  }
  end_if_drained();
}

void Connection::handle_peer_finished() {
  peer_finished_ = true;
  replay_.bind();
  const Smux& smux = session_.link().smux();
  if (send_blocked_ || (smux.version() == 1 && !smux.peer_is_ours())) bound_drain();
  if (!smux.peer_is_ours()) bound_idleness();
  end_if_drained();
}

void Connection::end_if_drained() {
  if (!takes_data() || dialer_ || !backlog_.empty() || !queued_writes_.empty()) return;
  if (peer_reset_) {
    reset();
    return session_.detach(*this);
  }
  if (!peer_finished_ || write_ended_) return;
  write_ended_ = true;
  if (read_ended_) return session_.detach(*this);  // closing has the same effect, one system call earlier
  ::shutdown(fd_.get(), SHUT_WR);
}

}  // namespace kcptun
