#include "daemon/client/client_flow.h"

#include <utility>

namespace kcptun {
namespace {

const char* explain_refused_flow(ReplyCode code) {
  switch (code) {
    case ReplyCode::kNotAllowed:
      return "the server's rules do not allow it";
    case ReplyCode::kCommandNotSupported:
      return "the server has no UDP";
    default:
      return "the server failed";
  }
}

}  // namespace

ClientFlow::ClientFlow(FlowEntrance& entrance, Session& session, std::uint32_t sid, const IpEndpoint& source)
    : StreamEnd(sid),
      entrance_(entrance),
      stream_(session, sid),
      source_(source),
      active_at_(session.engine().now()) {
  stream_.engine().deadlines().set(*this, active_at_ + idle_limit());
}

ClientFlow::~ClientFlow() { stream_.engine().deadlines().set(*this, std::nullopt); }

void ClientFlow::ask(const Socks5Address& destination) {
  stream_.write(socks5_opening(RequestCommand::kUdpInTcp, destination), *this);
}

void ClientFlow::send(const Destination& to, Bytes payload) {
  touch();
  only_dns_ = only_dns_ && to.port == kDnsPort;
  stream_.send(open_ ? stream_.best_way() : FlowStream::Way::kStream, to.address, payload, *this);
}

void ClientFlow::handle_datagram(MutableBytes datagram) {
  const std::optional<AddressedDatagram> split = split_datagram(datagram);
  if (!split || left_) return;
  touch();
  stream_.record_received(split->payload.size());
  entrance_.deliver(source_, *split);
}

void ClientFlow::handle_data(MutableBytes data) {
  if (!open_ && !read_reply(data)) return;
  while (const std::optional<MutableBytes> datagram = reader_.next(data)) {
    handle_datagram(*datagram);
    entrance_.flush();  // the reader reuses its memory
  }
  if (reader_.failed()) refuse("the server sent what is no datagram");
}

// Takes the two replies from the front of the stream. True once the flow is open.
bool ClientFlow::read_reply(MutableBytes& data) {
  using State = Socks5ReplyReader::State;
  data = data.subspan(reply_.handle_input(data));
  switch (reply_.state()) {
    case State::kReading:
      return false;
    case State::kNotSocks5:
    case State::kUnauthorised:
      refuse("what answers at the server is no SOCKS5 server");
      return false;
    case State::kComplete:
      break;
  }
  if (reply_.code() != ReplyCode::kSucceeded) {
    refuse(explain_refused_flow(reply_.code()));
    return false;
  }
  return open_ = true;
}

// --- its life ---

void ClientFlow::handle_peer_ended() {
  if (!open_) return refuse("the server closed the stream: it may not know requests");
  end();
}

void ClientFlow::refuse(const std::string& reason) {
  if (left_) return;
  entrance_.handle_refused(reason);
  end();
}

void ClientFlow::touch() { active_at_ = stream_.engine().now(); }

// Moves only when it passes: datagrams are many.
void ClientFlow::handle_deadline(TimePoint now) {
  if (now - active_at_ >= idle_limit()) return end();
  stream_.engine().deadlines().set(*this, active_at_ + idle_limit());
}

void ClientFlow::leave() {
  if (!std::exchange(left_, true)) entrance_.forget(source_);
}

void ClientFlow::end() {
  if (left_) return;
  leave();
  reset();
}

void ClientFlow::close() {
  if (!std::exchange(left_, true)) reset();
}

void ClientFlow::reset() {
  Session& session = stream_.session();
  session.link().reset_stream(sid());
  session.detach(*this);
}

}  // namespace kcptun
