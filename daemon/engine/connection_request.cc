// The part of a Connection in which the stream's request chooses the target, and what the connection begins
// with.
#include <errno.h>
#include <sys/socket.h>

#include <cstring>
#include <utility>

#include "daemon/engine/connection.h"
#include "daemon/engine/session.h"

namespace kcptun {
namespace {

// RFC 1928 section 6: the connection ends at most 10 s after the reply that names a failure. Ending it at
// once could destroy the reply on its way.
constexpr Duration kReplyLinger = seconds(10);

}  // namespace

Connection::Connection(Session& session, std::uint32_t sid, RequestTargets& targets,
                       RequestReader::Accepted accepted)
    : session_(session),
      sid_(sid),
      backlog_(session.engine().backlog_pool()),
      opened_at_(session.engine().now()),
      request_(std::make_unique<StreamRequest>(targets, accepted, [this](StreamRequest::Outcome outcome) {
        handle_requested(std::move(outcome));
      })) {
  replay_.bind();
}

// Returns what follows the request. An incomplete request counts as unread, so that the bound on unread bytes
// covers it.
Bytes Connection::read_request(Bytes view) {
  const std::size_t taken = request_->handle_input(view);
  request_bytes_ += taken;
  if (request_bytes_ > 0 && !request_->reading())
    session_.link().consume(sid_, std::exchange(request_bytes_, 0));
  send_first(request_->take_reply());
  return view.subspan(taken);
}

/// Queues bytes for the stream that go before those read from the connection.
void Connection::send_first(Bytes bytes) {
  if (bytes.empty()) return;
  replay_.append(bytes);
  session_.mark_ready(*this);
}

void Connection::handle_requested(StreamRequest::Outcome outcome) {
  const std::unique_ptr<StreamRequest> request = std::move(request_);
  counters_ = request->counters();
  if (counters_) counters_->add_connection();
  switch (outcome.result) {
    case StreamRequest::Result::kConnected:
      send_first(outcome.reply);
      return handle_established(std::move(outcome.connection));
    case StreamRequest::Result::kDatagrams:
    case StreamRequest::Result::kListening:
      return hand_over({request->request(), std::move(outcome.listening), {}, {}}, outcome.reply);
    case StreamRequest::Result::kDenied:
      session_.log_request("request denied", *this, {{"target", request->target()}});
      break;
    case StreamRequest::Result::kFailed:
      session_.log_request("cannot reach a requested target", *this,
                           {{"target", request->target()}, {"error", outcome.connection.error}});
      break;
    case StreamRequest::Result::kUnreadable:
      session_.log_request("a stream has no valid request", *this, {});
      break;
  }
  if (counters_) counters_->add_refused();
  if (outcome.reply.empty()) return fail("no request came", std::strerror(EPROTO));
  refuse_request(outcome.reply);
}

// The stream leads elsewhere, with what is still to be sent and what was read behind the request.
void Connection::hand_over(HandedOver stream, Bytes reply) {
  std::vector<std::uint8_t> unsent(replay_.unsent().begin(), replay_.unsent().end());
  unsent.insert(unsent.end(), reply.begin(), reply.end());
  std::vector<std::uint8_t> unread;
  while (!backlog_.empty()) {
    iovec piece;
    backlog_.fill(&piece, 1);
    const auto* bytes = static_cast<const std::uint8_t*>(piece.iov_base);
    unread.insert(unread.end(), bytes, bytes + piece.iov_len);
    backlog_.drop_front(piece.iov_len);
  }
  session_.link().consume(sid_, unread.size());
  stream.unsent = unsent;
  stream.unread = unread;
  if (!peer_finished_ && !peer_reset_) return session_.hand_over(*this, std::move(stream));
  session_.link().reset_stream(sid_);
  session_.detach(*this);
}

// The stream ends behind the reply. Input is dropped until the peer has closed its direction too.
void Connection::refuse_request(Bytes reply) {
  refused_ = true;
  write_failed_ = true;
  backlog_.drop_front(backlog_.size());
  session_.link().discard_input(sid_);
  send_first(reply);
  deadline_ = session_.engine().now() + kReplyLinger;
  arm();
}

Connection::Pull Connection::end_refused() {
  read_ended_ = true;
  session_.link().finish(sid_);
  if (peer_finished_) session_.detach(*this);
  return Pull::kStopped;
}

// The header fits into the send buffer of a new socket, which is empty.
bool Connection::write_target_header(int fd) const {
  const std::vector<std::uint8_t> header = session_.target_header();
  if (header.empty()) return true;
  const ssize_t n = ::send(fd, header.data(), header.size(), MSG_NOSIGNAL);
  return n == static_cast<ssize_t>(header.size());
}

}  // namespace kcptun
