#include "daemon/client/client_flow.h"

#include <algorithm>
#include <array>
#include <utility>

namespace kcptun {
namespace {

// RFC 1928: version 5, one method: none.
constexpr std::array<std::uint8_t, 3> kGreeting{5, 1, 0};
// Version 5, UDP in TCP, reserved. The address follows.
constexpr std::array<std::uint8_t, 3> kRequest{5, 5, 0};

const char* explain_reply(std::uint8_t code) {
  switch (code) {
    case 2:
      return "the server's rules do not allow it";
    case 7:
      return "the server has no UDP";
    default:
      return "the server failed";
  }
}

}  // namespace

ClientFlow::ClientFlow(UdpEntrance& entrance, Session& session, std::uint32_t sid, const IpEndpoint& source)
    : StreamEnd(sid),
      entrance_(entrance),
      stream_(session, sid),
      source_(source),
      active_at_(entrance.engine().now()) {
  std::vector<std::uint8_t> request(kGreeting.begin(), kGreeting.end());
  request.insert(request.end(), kRequest.begin(), kRequest.end());
  request.insert(request.end(), entrance.target().begin(), entrance.target().end());
  stream_.write(request, *this);
  entrance_.engine().deadlines().set(*this, active_at_ + entrance_.idle_limit());
}

ClientFlow::~ClientFlow() { entrance_.engine().deadlines().set(*this, std::nullopt); }

void ClientFlow::send(Bytes payload) {
  touch();
  stream_.send(open_ ? stream_.best_way() : FlowStream::Way::kStream, entrance_.target(), payload, *this);
}

void ClientFlow::handle_datagram(MutableBytes datagram) {
  const std::optional<AddressedDatagram> split = split_datagram(datagram);
  if (!split || left_) return;
  touch();
  entrance_.send(source_, split->payload);
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
  constexpr std::size_t kMethod = 2;
  constexpr std::size_t kHead = kMethod + 3;
  while (!data.empty() && reply_.size() < kMaxReply) {
    reply_.push_back(data.front());
    data = data.subspan(1);
    const std::size_t size = reply_.size();
    const bool is_reply = reply_[0] == 5 && (size < 2 || reply_[1] == 0) && (size < 3 || reply_[2] == 5);
    if (!is_reply) break;
    if (size > kMethod + 1 && reply_[kMethod + 1] != 0) {
      refuse(explain_reply(reply_[kMethod + 1]));
      return false;
    }
    if (size <= kHead) continue;
    const Socks5AddressInput address = read_socks5_address(Bytes(reply_).subspan(kHead));
    if (address.status == Socks5AddressStatus::kIncomplete) continue;
    if (address.status != Socks5AddressStatus::kComplete) break;
    reply_ = {};
    open_ = true;
    return true;
  }
  if (data.empty() && reply_.size() < kMaxReply && reply_.size() > 0 && reply_[0] == 5) return false;
  refuse("what answers at the server is no SOCKS5 server");
  return false;
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

void ClientFlow::touch() { active_at_ = entrance_.engine().now(); }

// Moves only when it passes: datagrams are many.
void ClientFlow::handle_deadline(TimePoint now) {
  const Duration limit = entrance_.idle_limit();
  if (now - active_at_ >= limit) return end();
  entrance_.engine().deadlines().set(*this, active_at_ + limit);
}

void ClientFlow::leave() {
  if (!std::exchange(left_, true)) entrance_.forget(source_);
}

void ClientFlow::end() {
  if (left_) return;
  leave();
  Session& session = stream_.session();
  session.link().reset_stream(sid());
  session.detach(*this);
}

}  // namespace kcptun
