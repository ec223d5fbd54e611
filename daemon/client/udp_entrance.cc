#include "daemon/client/udp_entrance.h"

#include <cerrno>
#include <cstring>
#include <utility>

#include "daemon/client/client_flow.h"
#include "daemon/net/address.h"

namespace kcptun {
namespace {

// Between two log lines about refused flows.
constexpr Duration kRefusalLogInterval = seconds(60);

std::string text_of(const Socks5Address& address) {
  return address.is_name() ? address.name + ":" + std::to_string(address.port())
                           : to_string(address.endpoint);
}

}  // namespace

UdpEntrance::UdpEntrance(Engine& engine, FlowSocket socket, const std::optional<Socks5Address>& target,
                         Sessions& sessions, std::string name)
    : engine_(engine),
      socket_(std::move(socket)),
      destination_(target),
      sessions_(sessions),
      name_(std::move(name)),
      poll_(std::make_unique<PollHandle>(engine.uv(), socket_.fd(), [this](int) { handle_readable(); })) {
  if (!target) return;
  target_.resize(socks5_address_size(*target));
  write_socks5_address(*target, target_);
}

UdpEntrance::~UdpEntrance() = default;

void UdpEntrance::handle_readable() {
  for (int calls = 0; calls < 4; ++calls) {  // then other sockets have their turn
    const std::span<const FlowDatagramView> arrived = socket_.receive(arena_);
    if (arrived.empty()) return;
    for (const FlowDatagramView& datagram : arrived) handle_datagram(datagram);
  }
}

// Without a rule that led it here, a datagram was sent to this socket's own address. It would come back for
// ever.
void UdpEntrance::handle_datagram(const FlowDatagramView& datagram) {
  if (!destination_ && (datagram.to.port == 0 || is_own(datagram.to))) {
    ++counters_.unredirected;
    return;
  }
  ClientFlow* const flow = find_or_open(datagram.from);
  if (!flow) return;
  forward_counters_->add_traffic({.sent = datagram.payload.size()});
  if (destination_) return flow->send({target_, destination_->port()}, datagram.payload);
  std::array<std::uint8_t, Socks5Address::kMaxSize> address;
  const std::size_t size = write_socks5_address(socks5_endpoint(datagram.to), address);
  flow->send({Bytes(address).first(size), datagram.to.port}, datagram.payload);
}

bool UdpEntrance::is_own(const IpEndpoint& address) const {
  const IpEndpoint& own = socket_.local();
  return address.port == own.port && (address.ip == own.ip || is_wildcard(own));
}

// The datagram leaves at once: each may have a socket of its own.
void UdpEntrance::deliver(const IpEndpoint& source, const AddressedDatagram& datagram) {
  forward_counters_->add_traffic({.received = datagram.payload.size()});
  if (destination_) return socket_.queue(source, datagram.payload);
  if (!replies_.send(datagram.address.endpoint, source, datagram.payload))
    report_reply_failure(datagram.address.endpoint, errno);
}

void UdpEntrance::report_reply_failure(const IpEndpoint& from, int error) {
  const TimePoint now = engine_.now();
  if (reply_logged_at_ && now - *reply_logged_at_ < kRefusalLogInterval) return;
  reply_logged_at_ = now;
  EventLog(name_).warning("answers of TPROXY cannot be sent; this needs CAP_NET_RAW while the client runs",
                          {{"from", to_string(from)}, {"error", std::strerror(error)}});
}

ClientFlow* UdpEntrance::find_or_open(const IpEndpoint& source) {
  if (const auto known = flows_.find(source); known != flows_.end()) return known->second;
  const auto of_ip = flows_of_ip_.find(source.ip);
  if (flows_.size() >= kMaxFlows || (of_ip != flows_of_ip_.end() && of_ip->second >= kMaxFlowsPerIp)) {
    ++counters_.overflowed;
    return nullptr;
  }
  Session* const session =
      paused_until_ && engine_.now() < *paused_until_ ? nullptr : sessions_.session_for_flow();
  const std::optional<std::uint32_t> sid =
      session ? session->link().open_stream(StreamKind::kRequest) : std::nullopt;
  if (!sid) {
    ++counters_.unserved;
    return nullptr;
  }
  auto flow = std::make_unique<ClientFlow>(*this, *session, *sid, source);
  ClientFlow* const opened = flow.get();
  flows_[source] = opened;
  ++flows_of_ip_[source.ip];
  ++counters_.opened;
  forward_counters_->add_flow();
  session->attach(std::move(flow));
  opened->ask(destination_.value_or(Socks5Address{}));
  return opened;
}

void UdpEntrance::forget(const IpEndpoint& source) {
  if (flows_.erase(source) == 0) return;
  const auto of_ip = flows_of_ip_.find(source.ip);
  if (of_ip != flows_of_ip_.end() && --of_ip->second == 0) flows_of_ip_.erase(of_ip);
}

void UdpEntrance::handle_refused(const std::string& reason) {
  ++counters_.refused;
  forward_counters_->add_refused_flow();
  const TimePoint now = engine_.now();
  paused_until_ = now + kRefusedPause;
  if (logged_at_ && now - *logged_at_ < kRefusalLogInterval) return;
  logged_at_ = now;
  EventLog(name_).warning("UDP cannot be forwarded",
                          {{"listen", to_string(socket_.local())},
                           {"address", destination_ ? text_of(*destination_) : "as TPROXY leaves it"},
                           {"reason", reason}});
}

}  // namespace kcptun
