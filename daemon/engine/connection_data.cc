// The data of a Connection: reads into the tunnel, writes to the local peer, and the backlog between.
#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "daemon/engine/connection.h"
#include "daemon/engine/session.h"

namespace kcptun {
namespace {

// Vectors per readv. A 64 KiB read into segments of the smallest useful MTU takes several calls.
constexpr std::size_t kReadVectors = 192;
constexpr std::size_t kWriteVectors = 512;

}  // namespace

// --- from the local peer into the tunnel ---

Connection::Pull Connection::pull(std::size_t limit) {
  if (failed_ || read_ended_ || peer_reset_) return Pull::kStopped;
  if (!fd_.valid() && !has_unsent()) return Pull::kEmpty;  // no connection yet
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
    if (hung_up_ && watch_error_ == 0 && std::exchange(deadline_, std::nullopt)) bound_drain();
    const bool filled = static_cast<std::size_t>(n) == total;
    // Reading lays out room in advance: no more than this connection has recently filled.
    read_size_ = filled ? std::min(2 * read_size_, kMaxRead) : std::max(read_size_ / 2, kMinRead);
    return filled ? Pull::kMore : Pull::kEmpty;
  }
  if (n < 0 && error == EINTR) return Pull::kMore;
  if (n < 0 && error == EAGAIN) return Pull::kEmpty;
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

// Bytes read by an earlier session go first, and replies to a request.
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
  return refused_ && !has_unsent() ? end_refused() : Pull::kMore;
}

void Connection::note_position() {
  if (first_position_) return;
  first_position_ = session_.link().write_position();
  session_.record_stream_start(*this, *first_position_);
}

bool Connection::movable() const {
  return !failed_ && replay_.movable() && moves_ < LocalConnection::kMaxMoves &&
         !(first_position_ && session_.link().passed_on(*first_position_));
}

LocalConnection Connection::release() {
  poll_.reset();
  failed_ = true;
  LocalConnection local(std::move(fd_));
  local.unsent = replay_.take();
  local.request = std::move(forwarded_);
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
  if (forwarded_ && !forwarded_->settled) view = strip_reply(view);
  if (!takes_data()) return;
  if (request_) view = read_request(view);
  if (view.empty()) return;
  if (connecting() || !backlog_.empty() || write_ended_) {
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
    if (peer_reset_ && n > 0 && std::exchange(deadline_, std::nullopt)) bound_drain();
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
  if (forwarded_ && !settle_reply()) return queued_writes_.clear();
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
      backlog_.append(
          Bytes(static_cast<const std::uint8_t*>(queued_writes_[done].iov_base), queued_writes_[done].iov_len)
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
  replay_.bind();
  if (end_forwarded("the peer closed the stream before its reply")) return;
  peer_finished_ = true;
  if (request_ && request_->reading()) return fail("the request is incomplete", std::strerror(EPROTO));
  if (refused_ && read_ended_) return session_.detach(*this);
  const Smux& smux = session_.link().smux();
  if (send_blocked_ || (smux.version() == 1 && !smux.peer_is_ours())) bound_drain();
  if (!smux.peer_is_ours()) bound_idleness();
  end_if_drained();
}

void Connection::end_if_drained() {
  if (!takes_data() || connecting() || !backlog_.empty() || !queued_writes_.empty()) return;
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
