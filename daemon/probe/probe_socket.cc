#include "daemon/probe/probe_socket.h"

#include <netinet/in.h>
#include <poll.h>
#include <sodium.h>
#include <time.h>

#include <algorithm>
#include <array>

namespace kcptun {

TimePoint read_probe_clock() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return TimePoint{seconds(now.tv_sec) + microseconds(now.tv_nsec / 1000)};
}

std::uint32_t random_conv() { return randombytes_random(); }

namespace {

std::unique_ptr<AntiReplay> new_session() {
  std::uint64_t session;
  randombytes_buf(&session, sizeof session);
  timespec wall;
  clock_gettime(CLOCK_REALTIME, &wall);
  return std::make_unique<AntiReplay>(Role::kClient, session, read_probe_clock(),
                                      UnixTime(seconds(wall.tv_sec)));
}

}  // namespace

ProbeSocket::ProbeSocket(UdpSocket socket, std::unique_ptr<Suite> suite, const IpEndpoint& remote)
    : socket_(std::move(socket)),
      suite_(std::move(suite)),
      batch_(std::make_unique<TransmitBatch>()),
      arena_(std::make_unique<ReceiveArena>()) {
  path_.remote = remote;
  path_.local = socket_.local();
  batch_->begin_run(path_);
  if (suite_->session_header_size() > 0) guard_ = new_session();
  if (!suite_->credentials()) return;
  secrets_ = std::make_unique<SystemSecrets>();
  noise_ = std::make_unique<NoiseSession>(*suite_->credentials(), *secrets_, guard_->session());
}

void ProbeSocket::SystemSecrets::fill(MutableBytes bytes) { randombytes_buf(bytes.data(), bytes.size()); }

Result<ProbeSocket> ProbeSocket::open(const IpEndpoint& remote, const Profile& profile,
                                      const TunnelKeys& keys) {
  UdpSocket::Options options;
  options.buffer_bytes = static_cast<int>(profile.sockbuf);
  options.gso = false;  // each packet is sent on its own, at its own time
  options.gro = false;
  Result<UdpSocket> socket = UdpSocket::connect(remote, options);
  if (!socket) return Error{socket.error()};
  if (profile.dscp != 0) socket->set_dscp(profile.dscp);
  return ProbeSocket(std::move(*socket), keys.make_suite(), remote);
}

void ProbeSocket::stamp(const Packet& packet) {
  const TimePoint now = read_probe_clock();
  if (noise_) {
    noise_->stamp(guard_->next(now), now, packet);
    noise_->seal(now, {&packet, 1});
  } else if (guard_) {
    guard_->stamp(now, packet.data + suite_->header_size() - kSessionHeader);
  }
}

MutableBytes ProbeSocket::take(const Packet& packet) {
  if (noise_) return noise_->take(read_probe_clock(), packet, *guard_);
  return guard_ ? guard_->take(packet.bytes()) : packet.bytes();
}

bool ProbeSocket::send_body(std::size_t size) {
  stamp(batch_->push(header_size() + size + suite_->trailer_size()));
  suite_->seal(batch_->packets());
  const UdpSocket::SendResult result = socket_.send(*batch_, 0);
  batch_->clear();
  batch_->begin_run(path_);
  // A full socket buffer counts as a loss on the path.
  return result.state != UdpSocket::SendState::kDropped || result.error != EMSGSIZE;
}

bool ProbeSocket::wait(TimePoint until) const {
  const Duration left = std::max(Duration::zero(), until - read_probe_clock());
  const timespec timeout{.tv_sec = static_cast<time_t>(left.count() / 1'000'000),
                         .tv_nsec = static_cast<long>(left.count() % 1'000'000 * 1000)};
  pollfd entry{.fd = socket_.fd(), .events = POLLIN, .revents = 0};
  return ppoll(&entry, 1, &timeout, nullptr) > 0;
}

std::span<const Packet> ProbeSocket::open_run(const ReceivedRun& run) {
  packets_.clear();
  for (std::size_t i = 0; i < run.count(); ++i) packets_.push_back(run.packet(i));
  rejected_ += suite_->open(packets_);
  for (Packet& packet : packets_) {
    const MutableBytes body = take(packet);
    packet = {body.data(), static_cast<std::uint32_t>(body.size())};
  }
  return packets_;
}

void ProbeSocket::forbid_fragments() {
  const int probe4 = IP_PMTUDISC_PROBE, probe6 = IPV6_PMTUDISC_PROBE;
  setsockopt(socket_.fd(), IPPROTO_IP, IP_MTU_DISCOVER, &probe4, sizeof probe4);
  setsockopt(socket_.fd(), IPPROTO_IPV6, IPV6_MTU_DISCOVER, &probe6, sizeof probe6);
}

}  // namespace kcptun
