#include "daemon/client/association.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "daemon/client/client_flow.h"
#include "daemon/io/listener.h"
#include "daemon/log/log.h"
#include "daemon/net/original_destination.h"

namespace kcptun {
namespace {

// RFC 1928 section 7: two reserved bytes and the fragment's number; the address follows.
constexpr std::size_t kHeader = 3;
constexpr std::size_t kFragment = 2;

std::vector<std::uint8_t> success_with(const IpEndpoint& bound) {
  const Socks5Address address = socks5_endpoint(bound);
  std::vector<std::uint8_t> reply{5, 0, 0};
  const std::size_t fixed = reply.size();
  reply.resize(fixed + socks5_address_size(address));
  write_socks5_address(address, std::span(reply).subspan(fixed));
  return reply;
}

bool send_all(int fd, Bytes bytes) {
  return ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT) ==
         static_cast<ssize_t>(bytes.size());
}

}  // namespace

Association::Association(const Environment& environment, FileDescriptor connection, Ended ended)
    : environment_(environment), connection_(std::move(connection)), ended_(std::move(ended)) {}

Association::~Association() = default;

bool Association::begin() {
  const auto peer = peer_endpoint(connection_.get());
  const auto local = local_endpoint(connection_.get());
  const auto refuse = [this](ReplyCode code) {
    send_all(connection_.get(), reply_to_request(RequestProtocol::kSocks5, code));
    return false;
  };
  if (!peer || !local) return refuse(ReplyCode::kCommandNotSupported);  // a unix socket has no UDP beside it
  host_ = *peer;
  IpEndpoint address = *local;
  address.port = 0;
  Result<FlowSocket> socket = FlowSocket::bind(address, environment_.sockets);
  if (!socket) return refuse(ReplyCode::kGeneralFailure);
  socket_ = std::move(*socket);
  uv_loop_t& uv = environment_.engine.uv();
  socket_poll_ = std::make_unique<PollHandle>(uv, socket_->fd(), [this](int) { handle_readable(); });
  connection_poll_ =
      std::make_unique<PollHandle>(uv, connection_.get(), [this](int) { handle_connection(); });
  if (!socket_poll_->watch(UV_READABLE) || !connection_poll_->watch(UV_READABLE))
    return refuse(ReplyCode::kGeneralFailure);
  return send_all(connection_.get(), success_with(socket_->local()));
}

// --- from the application ---

// What it sends on the connection has no meaning.
void Association::handle_connection() {
  std::array<std::uint8_t, 512> bytes;
  const ssize_t n = ::recv(connection_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
  if (n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR))) return;
  end();
}

void Association::handle_readable() {
  for (int calls = 0; calls < 4 && !over_; ++calls) {  // then other sockets have their turn
    const std::span<const FlowDatagramView> arrived = socket_->receive(environment_.arena);
    if (arrived.empty()) return;
    for (const FlowDatagramView& datagram : arrived)
      if (!over_) handle_datagram(datagram);
  }
}

void Association::handle_datagram(const FlowDatagramView& datagram) {
  if (datagram.from.ip != host_.ip || (source_ && datagram.from != *source_)) {
    ++counters_.foreign;
    return;
  }
  const bool whole = datagram.payload.size() > kHeader && datagram.payload[kFragment] == 0;
  const std::optional<AddressedDatagram> split =
      whole ? split_datagram(datagram.payload.subspan(kHeader)) : std::nullopt;
  if (!split) {
    ++counters_.malformed;
    return;
  }
  source_ = datagram.from;
  ClientFlow* const flow = this->flow();
  if (!flow) {
    ++counters_.unserved;
    return;
  }
  environment_.counters.add_traffic({.sent = split->payload.size()});
  const Bytes bytes = datagram.payload.subspan(kHeader);
  flow->send({bytes.first(bytes.size() - split->payload.size()), split->address.port()}, split->payload);
}

// A flow that was idle has ended; the next datagram opens another one.
ClientFlow* Association::flow() {
  if (flow_) return flow_;
  Session* const session = environment_.sessions.session_for_flow();
  const auto sid = session ? session->link().open_stream(StreamKind::kRequest) : std::nullopt;
  if (!sid) return nullptr;
  auto opened = std::make_unique<ClientFlow>(*this, *session, *sid, *source_);
  flow_ = opened.get();
  environment_.counters.add_flow();
  session->attach(std::move(opened));
  flow_->ask({});
  return flow_;
}

// --- to the application ---

void Association::deliver(const IpEndpoint& source, const AddressedDatagram& datagram) {
  if (over_) return;
  environment_.counters.add_traffic({.received = datagram.payload.size()});
  std::vector<std::uint8_t>& bytes = queued_.emplace_back(kHeader);
  bytes.resize(kHeader + socks5_address_size(datagram.address));
  write_socks5_address(datagram.address, std::span(bytes).subspan(kHeader));
  bytes.insert(bytes.end(), datagram.payload.begin(), datagram.payload.end());
  socket_->queue(source, bytes);
}

void Association::flush() {
  if (socket_) socket_->flush();
  queued_.clear();
}

// --- its life ---

void Association::forget(const IpEndpoint&) { flow_ = nullptr; }

void Association::handle_refused(const std::string& reason) {
  environment_.counters.add_refused_flow();
  EventLog(environment_.tunnel)
      .warning("UDP cannot be forwarded", {{"listen", environment_.entrance}, {"reason", reason}});
  end();
}

void Association::close() {
  if (std::exchange(over_, true)) return;
  flush();
  socket_poll_.reset();
  connection_poll_.reset();
  if (ClientFlow* const flow = std::exchange(flow_, nullptr)) flow->close();
}

void Association::end() {
  if (over_) return;
  close();
  ended_(*this);
}

}  // namespace kcptun
