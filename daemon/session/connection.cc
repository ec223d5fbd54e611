#include "daemon/session/connection.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "daemon/net/listener.h"
#include "daemon/session/session.h"

namespace kcptun {
namespace {

// Vectors of one readv: a read of 64 KiB into segments of the smallest useful MTU takes several calls.
constexpr std::size_t kReadVectors = 192;
constexpr std::size_t kWriteVectors = 512;

// The connection ends with a reset: what the peer at this end has not got is lost, and it shall know.
void set_reset_on_close(int fd) {
  const linger hard{1, 0};
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
}

}  // namespace

Connection::Connection(Session& session, std::uint32_t sid, LocalConnection local)
    : session_(session),
      sid_(sid),
      fd_(std::move(local.fd)),
      backlog_(session.loop().backlog_pool()),
      replay_(std::move(local.unsent)),
      moves_(local.moves) {
  poll_ = std::make_unique<PollHandle>(session_.loop().uv(), fd_.get(), [this](int events) { handle_poll(events); });
  if (!watch()) refuse(errno);
}

Connection::Connection(Session& session, std::uint32_t sid, Target& target)
    : session_(session),
      sid_(sid),
      backlog_(session.loop().backlog_pool()),
      dialer_(std::make_unique<Dialer>(session.loop(),
                                       [this](Dialer::Outcome made) { handle_dialled(std::move(made)); })) {
  replay_.bind();
  target.dial(*dialer_);
}

Connection::~Connection() {
  session_.loop().deadlines().set(*this, std::nullopt);
  poll_.reset();  // before the descriptor is closed
}

// From the loop, because this may be the constructor.
void Connection::refuse(int error) {
  watch_error_ = error;
  session_.loop().deadlines().set(*this, session_.loop().now());
}

// --- events of the descriptor ---

// A watch that was had can be changed; what is refused has been from the beginning, and the constructor told.
void Connection::update_watch() {
  if (poll_ && watch_error_ == 0) (void)watch();
}

bool Connection::watch() {
  if (failed_) return poll_->watch(0);
  const bool reading = !read_ended_ && !parked_;
  const bool writing = !backlog_.empty();
  return poll_->watch((reading ? UV_READABLE : 0) | (writing ? UV_WRITABLE : 0));
}

void Connection::handle_poll(int events) {
  if (failed_) return;
  if (events & UV_WRITABLE) write_backlog();
  if ((events & UV_READABLE) && !read_ended_ && !failed_) session_.mark_ready(*this);
  session_.loop().wake(session_);  // what was written may move windows
  update_watch();
}

void Connection::handle_dialled(Dialer::Outcome outcome) {
  if (!outcome.fd.valid()) return fail("cannot reach the target", outcome.error);
  dialer_.reset();
  fd_ = std::move(outcome.fd);
  poll_ = std::move(outcome.poll);
  poll_->set_callback([this](int events) { handle_poll(events); });
  prepare_connection(fd_.get());
  write_backlog();
  session_.loop().wake(session_);
  update_watch();
}

void Connection::handle_deadline(TimePoint) {
  if (watch_error_ != 0)
    return fail("the system refuses to watch a connection, which is reset", std::strerror(watch_error_));
  fail("the peer, which has finished, does not read", std::strerror(ETIMEDOUT));
}

// A peer that has finished and does not read either may be gone: the 2021 release ends both directions with one FIN
// and says no more (docs/protocol.md section 6). What is left to send gets so much time, renewed by each progress.
void Connection::bound_drain() {
  if (!peer_finished_ || draining_ || watch_error_ != 0) return;
  draining_ = true;
  Loop& loop = session_.loop();
  loop.deadlines().set(*this, loop.now() + session_.drain_limit());
}

void Connection::handle_writable() {
  replay_.bind();
  if (std::exchange(draining_, false)) session_.loop().deadlines().set(*this, std::nullopt);
  starved_ = false;
  if (parked_) unpark();
}

void Connection::fail(const char* what, const std::string& error) {
  if (failed_) return;
  const std::string conv = hex_id(session_.link().conv());
  if (dialer_) {
    session_.log().warning(what, {{"target", session_.target()}, {"conv", conv}, {"sid", sid_}, {"error", error}});
  } else if (watch_error_ != 0) {
    session_.log().warning(what, {{"conv", conv}, {"sid", sid_}, {"error", error}});
  }
  session_.link().abandon(sid_);
  reset();
  session_.detach(*this);
}

void Connection::reset() {
  failed_ = true;
  if (!poll_) return dialer_.reset();
  set_reset_on_close(fd_.get());
  update_watch();
}

void Connection::add_traffic(const Traffic& moved) {
  traffic_.add(moved);
  session_.add_traffic(moved);
}

// --- from here into the tunnel ---

Connection::Pull Connection::pull(std::size_t limit) {
  if (failed_ || read_ended_) return Pull::kStopped;
  Link& link = session_.link();
  const std::span<const MutableBytes> room = link.prepare_write(sid_, std::min(limit, read_size_));
  if (room.empty()) {
    if (!link.writable()) return Pull::kMore;
    starved_ = true;
    bound_drain();
    return Pull::kStarved;
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
    replay_.record(room, static_cast<std::size_t>(n));  // as it was read: what is committed may be encrypted in place
  }
  link.commit_write(sid_, n > 0 ? static_cast<std::size_t>(n) : 0);
  if (n > 0) {
    add_traffic({.sent = static_cast<std::size_t>(n)});
    const bool filled = static_cast<std::size_t>(n) == total;
    // Room is laid out before the read: no more of it than this connection has been filling.
    read_size_ = filled ? std::min(2 * read_size_, kLargestRead) : std::max(read_size_ / 2, kSmallestRead);
    return filled ? Pull::kMore : Pull::kDry;
  }
  if (n < 0 && error == EINTR) return Pull::kMore;
  if (n < 0 && error == EAGAIN) return Pull::kDry;
  if (n < 0) {
    fail("reading failed", std::strerror(error));
    return Pull::kStopped;
  }
  read_ended_ = true;
  link.finish(sid_);
  update_watch();
  if (write_ended_) session_.detach(*this);
  return Pull::kStopped;
}

// What an earlier session had taken goes first.
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

void Connection::park() {
  parked_ = true;
  update_watch();
}

void Connection::unpark() {
  parked_ = false;
  update_watch();
}

// --- from the tunnel to here ---

void Connection::gather(Bytes view) {
  if (failed_) return;
  replay_.bind();
  if (dialer_ || !backlog_.empty() || write_ended_) {
    backlog_.append(view);
  } else {
    gathered_.push_back({const_cast<std::uint8_t*>(view.data()), view.size()});
  }
}

// Writes as much as is taken; the bytes written are consumed. On failure the connection is over.
std::size_t Connection::write_some(const iovec* vectors, std::size_t count) {
  const ssize_t n = ::writev(fd_.get(), vectors, static_cast<int>(std::min(count, kWriteVectors)));
  if (n >= 0) {
    session_.link().consume(sid_, static_cast<std::size_t>(n));
    add_traffic({.received = static_cast<std::size_t>(n)});
    return static_cast<std::size_t>(n);
  }
  if (errno != EAGAIN && errno != EINTR) fail("writing failed", std::strerror(errno));
  return 0;
}

void Connection::flush() {
  std::size_t done = 0;
  while (done < gathered_.size() && !failed_) {
    const std::size_t count = std::min(gathered_.size() - done, kWriteVectors);
    std::size_t wanted = 0;
    for (std::size_t i = 0; i < count; ++i) wanted += gathered_[done + i].iov_len;
    std::size_t written = write_some(&gathered_[done], count);
    const bool short_write = written < wanted;
    for (; done < gathered_.size() && written >= gathered_[done].iov_len; ++done)
      written -= gathered_[done].iov_len;
    if (!short_write) continue;
    for (; done < gathered_.size() && !failed_; ++done, written = 0)
      backlog_.append(Bytes(static_cast<const std::uint8_t*>(gathered_[done].iov_base), gathered_[done].iov_len)
                          .subspan(written));
  }
  gathered_.clear();
  if (gathered_.capacity() > kWriteVectors) gathered_.shrink_to_fit();
  if (failed_) return;
  shut_down_if_drained();
  update_watch();
}

void Connection::write_backlog() {
  std::array<iovec, 64> vectors;
  while (!backlog_.empty() && !failed_) {
    const std::size_t count = backlog_.fill(vectors.data(), vectors.size());
    const std::size_t written = write_some(vectors.data(), count);
    if (written == 0) break;
    backlog_.drop_front(written);
  }
  if (!failed_) shut_down_if_drained();
}

void Connection::handle_peer_finished() {
  peer_finished_ = true;
  replay_.bind();
  if (starved_ || session_.link().smux().version() == 1) bound_drain();
  shut_down_if_drained();
}

void Connection::shut_down_if_drained() {
  if (!peer_finished_ || write_ended_ || dialer_ || !backlog_.empty() || !gathered_.empty()) return;
  write_ended_ = true;
  if (read_ended_) return session_.detach(*this);  // closing says the same, one system call earlier
  ::shutdown(fd_.get(), SHUT_WR);
}

}  // namespace kcptun
