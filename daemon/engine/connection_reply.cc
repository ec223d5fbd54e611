// The reply to the request of a forwarded connection.
#include <errno.h>
#include <fmt/format.h>
#include <sys/socket.h>

#include <array>
#include <string_view>
#include <utility>

#include "daemon/engine/connection.h"
#include "daemon/engine/hints.h"
#include "daemon/engine/session.h"

namespace kcptun {
namespace {

using State = Socks5ReplyReader::State;

// In bytes. Unread input at a close makes the kernel send a reset, which would overtake the reply.
constexpr std::size_t kMaxDroppedInput = 64 * 1024;

void drop_input(int fd) {
  std::array<std::uint8_t, 4096> bytes;
  for (std::size_t dropped = 0; dropped < kMaxDroppedInput; dropped += bytes.size())
    if (::recv(fd, bytes.data(), bytes.size(), MSG_DONTWAIT) <= 0) return;
}

std::string_view reason_of(ReplyCode code) {
  switch (code) {
    case ReplyCode::kNotAllowed:
      return "the server does not allow it";
    case ReplyCode::kNetworkUnreachable:
      return "network unreachable";
    case ReplyCode::kHostUnreachable:
      return "host unreachable, or its name does not exist";
    case ReplyCode::kConnectionRefused:
      return "connection refused";
    case ReplyCode::kTimedOut:
      return "connection timed out";
    case ReplyCode::kCommandNotSupported:
    case ReplyCode::kAddressTypeNotSupported:
      return "the server does not support such requests";
    case ReplyCode::kSucceeded:
    case ReplyCode::kGeneralFailure:
      break;
  }
  return "the server could not connect";
}

std::string explain(State state, std::string_view entrance) {
  if (state == State::kUnauthorised)
    return fmt::format(
        "the server's SOCKS5 asks forward {} for a user and a password: let it accept clients without them",
        entrance);
  return fmt::format(
      "the server did not answer the request of forward {} as SOCKS5: start it with --target socks5 or "
      "--allow",
      entrance);
}

}  // namespace

// Returns what follows the replies.
Bytes Connection::strip_reply(Bytes view) {
  const std::size_t taken = forwarded_->reply.handle_input(view);
  session_.link().consume(sid_, taken);
  return view.subspan(taken);
}

// Acts on the final reply, once. False: the connection is over.
bool Connection::settle_reply() {
  if (!forwarded_ || forwarded_->settled || forwarded_->reply.state() == State::kReading) return true;
  forwarded_->settled = true;
  const State state = forwarded_->reply.state();
  if (state != State::kComplete) {
    Engine& engine = session_.engine();
    if (engine.hints().take(Hint::kNotSocks5, engine.now()))
      session_.log().warning("hint", {{"text", explain(state, forwarded_->entrance)}});
    refuse_forwarded(ReplyCode::kGeneralFailure, "the server did not reply as SOCKS5");
    return false;
  }
  const ReplyCode code = forwarded_->reply.code();
  if (code != ReplyCode::kSucceeded) {
    refuse_forwarded(code, reason_of(code));
    return false;
  }
  if (!send_reply(code)) stop_writing(errno);
  return !failed_;
}

// The reply is among the first bytes on its way to the application, so that the socket has room. True if
// there is none to send.
bool Connection::send_reply(ReplyCode code) {
  if (!forwarded_->asked_by) return true;
  const auto reply = reply_to_request(*forwarded_->asked_by, code);
  const ssize_t n = ::send(fd_.get(), reply.data(), reply.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  if (n >= 0 && static_cast<std::size_t>(n) < reply.size()) errno = ENOBUFS;
  return n == static_cast<ssize_t>(reply.size());
}

// An application that asked sees why; to another one the connection breaks, as one to the target would.
void Connection::refuse_forwarded(ReplyCode code, std::string_view reason) {
  forwarded_->settled = true;
  if (counters_) counters_->add_refused();
  session_.log_unreached(*this, reason);
  session_.link().reset_stream(sid_);
  if (forwarded_->asked_by && send_reply(code)) {
    failed_ = true;
    poll_.reset();
    ::shutdown(fd_.get(), SHUT_WR);
    drop_input(fd_.get());
  } else {
    reset();
  }
  session_.detach(*this);
}

// The stream ends. True if it ends the request, too.
bool Connection::end_forwarded(std::string_view reason) {
  if (!forwarded_ || forwarded_->settled) return false;
  if (!settle_reply()) return true;
  if (forwarded_->settled) return false;
  refuse_forwarded(ReplyCode::kGeneralFailure, reason);
  return true;
}

}  // namespace kcptun
