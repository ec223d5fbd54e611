#include "daemon/client/udp_entrance.h"

#include <utility>

#include "daemon/client/client_flow.h"
#include "daemon/net/address.h"

namespace kcptun {
namespace {

constexpr std::uint16_t kDnsPort = 53;
// Between two log lines about refused flows.
constexpr Duration kRefusalLogInterval = seconds(60);

std::string text_of(const Socks5Address& address) {
  return address.is_name() ? address.name + ":" + std::to_string(address.port())
                           : to_string(address.endpoint);
}

}  // namespace

UdpEntrance::UdpEntrance(Engine& engine, FlowSocket socket, const Socks5Address& target, Sessions& sessions,
                         std::string name)
    : engine_(engine),
      socket_(std::move(socket)),
      destination_(target),
      target_(socks5_address_size(target)),
      sessions_(sessions),
      name_(std::move(name)),
      poll_(std::make_unique<PollHandle>(engine.uv(), socket_.fd(), [this](int) { handle_readable(); })) {
  write_socks5_address(target, target_);
}

UdpEntrance::~UdpEntrance() = default;

Duration UdpEntrance::idle_limit() const {
  return destination_.port() == kDnsPort ? ClientFlow::kIdleDns : ClientFlow::kIdle;
}

void UdpEntrance::handle_readable() {
  for (int calls = 0; calls < 4; ++calls) {  // then other sockets have their turn
    const std::span<const FlowDatagramView> arrived = socket_.receive(arena_);
    if (arrived.empty()) return;
    for (const FlowDatagramView& datagram : arrived)
      if (ClientFlow* const flow = find_or_open(datagram.from)) flow->send(datagram.payload);
  }
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
  session->attach(std::move(flow));
  return opened;
}

void UdpEntrance::forget(const IpEndpoint& source) {
  if (flows_.erase(source) == 0) return;
  const auto of_ip = flows_of_ip_.find(source.ip);
  if (of_ip != flows_of_ip_.end() && --of_ip->second == 0) flows_of_ip_.erase(of_ip);
}

void UdpEntrance::handle_refused(const std::string& reason) {
  ++counters_.refused;
  const TimePoint now = engine_.now();
  paused_until_ = now + kRefusedPause;
  if (logged_at_ && now - *logged_at_ < kRefusalLogInterval) return;
  logged_at_ = now;
  EventLog(name_).warning(
      "UDP cannot be forwarded",
      {{"listen", to_string(socket_.local())}, {"address", text_of(destination_)}, {"reason", reason}});
}

}  // namespace kcptun
