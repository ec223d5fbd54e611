#include "daemon/client/reverse_control.h"

#include <utility>

#include "daemon/client/reverse_keeper.h"

namespace kcptun {
namespace {

const char* explain_refused_listen(ReplyCode code) {
  switch (code) {
    case ReplyCode::kNotAllowed:
      return "the server's allow-listen does not permit it";
    case ReplyCode::kCommandNotSupported:
      return "the server does not support it";
    default:
      return "the server cannot listen there; its log has the reason";
  }
}

}  // namespace

ReverseControl::ReverseControl(ReverseKeeper& keeper, Session& session, std::uint32_t sid, std::size_t number)
    : StreamEnd(sid), keeper_(keeper), session_(session), stream_(session, sid), number_(number) {}

void ReverseControl::ask(const Socks5Address& address) {
  stream_.write(socks5_opening(RequestCommand::kListen, address), *this);
}

// Bytes behind the reply have no meaning.
void ReverseControl::handle_data(MutableBytes data) {
  using State = Socks5ReplyReader::State;
  if (listening_ || left_) return;
  reply_.handle_input(data);
  if (reply_.state() == State::kReading) return;
  if (reply_.state() != State::kComplete)
    return refuse(ReplyCode::kGeneralFailure, "the server sent what is no reply");
  if (reply_.code() != ReplyCode::kSucceeded)
    return refuse(reply_.code(), explain_refused_listen(reply_.code()));
  listening_ = true;
  keeper_.handle_listening(*this);
}

void ReverseControl::handle_peer_ended() {
  refuse(ReplyCode::kGeneralFailure,
         listening_ ? "the server has closed the listener" : "the server closed the stream before its reply");
}

void ReverseControl::refuse(ReplyCode code, const std::string& reason) {
  if (left_) return;
  left_ = true;
  keeper_.handle_refused(*this, code, reason);
  session_.link().reset_stream(sid());
  session_.detach(*this);
}

void ReverseControl::handle_gone() {
  if (!std::exchange(left_, true)) keeper_.handle_gone(*this);
}

void ReverseControl::close() {
  if (std::exchange(left_, true)) return;
  session_.link().reset_stream(sid());
  session_.detach(*this);
}

}  // namespace kcptun
