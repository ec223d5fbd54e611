#include "daemon/server/udp_flow.h"

#include <array>
#include <utility>

namespace kcptun {

std::unique_ptr<UdpFlow> UdpFlow::open(Session& session, std::uint32_t sid, const FlowPolicy& policy,
                                       FlowShare& share, Bytes reply) {
  if (share.flows >= FlowShare::kMaxFlows) {
    ++share.refused;
    return nullptr;
  }
  Result<FlowSocket> socket = FlowSocket::bind(IpEndpoint{}, share.sockets);
  if (!socket) {
    ++share.refused;
    return nullptr;
  }
  std::unique_ptr<UdpFlow> flow(new UdpFlow(session, sid, policy, share, std::move(*socket)));
  if (!flow->poll_->watch(UV_READABLE)) {
    ++share.refused;
    return nullptr;
  }
  flow->stream_.write(reply, *flow);
  return flow;
}

UdpFlow::UdpFlow(Session& session, std::uint32_t sid, const FlowPolicy& policy, FlowShare& share,
                 FlowSocket socket)
    : StreamEnd(sid),
      share_(share),
      stream_(session, sid),
      destinations_(session.engine(), policy, share.lookups, [this] { handle_resolved(); }),
      socket_(std::move(socket)),
      poll_(std::make_unique<PollHandle>(session.engine().uv(), socket_.fd(),
                                         [this](int) { handle_readable(); })),
      active_at_(session.engine().now()) {
  ++share_.flows;
  session.engine().deadlines().set(*this, active_at_ + idle_limit());
}

UdpFlow::~UdpFlow() {
  leave();
  stream_.engine().deadlines().set(*this, std::nullopt);
}

// --- to the destinations ---

void UdpFlow::handle_data(MutableBytes data) {
  while (const std::optional<MutableBytes> datagram = reader_.next(data)) {
    handle_datagram(*datagram);
    socket_.flush();  // the reader reuses its memory
  }
  if (reader_.failed()) end();
}

void UdpFlow::handle_datagram(MutableBytes datagram) {
  if (ended_) return;
  const std::optional<AddressedDatagram> split = split_datagram(datagram);
  if (!split) {
    ++counters_.malformed;
    return;
  }
  const FlowDestinations::Answer answer = destinations_.find(split->address);
  touch();
  if (answer.state == FlowDestinations::State::kRefused) ++share_.denied;
  if (answer.state == FlowDestinations::State::kResolving) return hold(datagram);
  if (answer.state != FlowDestinations::State::kKnown || !socket_.reaches(answer.endpoint)) return;
  stream_.record_received(split->payload.size());
  socket_.queue(answer.endpoint, split->payload);
}

void UdpFlow::hold(MutableBytes datagram) {
  if (held_bytes_ + datagram.size() > kMaxHeld) {
    ++counters_.held_back;
    return;
  }
  held_bytes_ += datagram.size();
  held_.emplace_back(datagram.begin(), datagram.end());
}

void UdpFlow::handle_resolved() {
  held_bytes_ = 0;
  for (std::vector<std::uint8_t>& datagram : std::exchange(held_, {})) {
    if (ended_) return;
    handle_datagram(datagram);
    socket_.flush();
  }
}

// --- to the client ---

void UdpFlow::handle_readable() {
  if (ended_) return;
  for (int calls = 0; calls < 4; ++calls) {  // then other sockets have their turn
    const std::span<const FlowDatagramView> arrived = socket_.receive(share_.arena);
    if (arrived.empty()) return;
    for (const FlowDatagramView& datagram : arrived) {
      if (!destinations_.contains(datagram.from)) {
        ++counters_.unsolicited;
        continue;
      }
      std::array<std::uint8_t, Socks5Address::kMaxSize> address;
      const std::size_t size = write_socks5_address(socks5_endpoint(datagram.from), address);
      stream_.send(stream_.best_way(), Bytes(address).first(size), datagram.payload, *this);
      touch();
    }
  }
}

// --- its life ---

void UdpFlow::touch() { active_at_ = stream_.engine().now(); }

// Moves only when it passes: datagrams are many.
void UdpFlow::handle_deadline(TimePoint now) {
  if (now - active_at_ >= idle_limit()) return end();
  stream_.engine().deadlines().set(*this, active_at_ + idle_limit());
}

// Before its destruction, which the share may not live to see.
void UdpFlow::leave() {
  if (!std::exchange(ended_, true)) --share_.flows;
}

void UdpFlow::end() {
  if (ended_) return;
  leave();
  Session& session = stream_.session();
  session.link().reset_stream(sid());
  session.detach(*this);
}

}  // namespace kcptun
