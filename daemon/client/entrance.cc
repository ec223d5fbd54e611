#include "daemon/client/entrance.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "config/address.h"
#include "config/forwards.h"
#include "config/settings.h"
#include "core/base/check.h"
#include "core/proxy/request_reader.h"
#include "core/proxy/socks5_client.h"
#include "daemon/net/address.h"
#include "daemon/net/original_destination.h"

namespace kcptun {
namespace {

std::string shown(const Socks5Address& destination) {
  if (!destination.is_name()) return to_string(destination.endpoint);
  return printable(destination.name, Socks5Address::kMaxName) + ':' + std::to_string(destination.port());
}

}  // namespace

std::optional<Socks5Address> destination_of(const std::string& host, std::uint16_t port) {
  if (host.empty()) return std::nullopt;
  if (const auto literal = parse_ip(host, port)) return socks5_endpoint(*literal);
  return socks5_name(host, port);
}

/// One application that has not asked yet.
class Entrance::Handshake final : private Deadline {
 public:
  Handshake(Entrance& owner, FileDescriptor fd)
      : owner_(owner),
        engine_(owner.engine_),
        fd_(std::move(fd)),
        reader_(owner.forward_.kind == ForwardKind::kHttp ? RequestReader::Accepted::kHttpEntrance
                                                          : RequestReader::Accepted::kEntrance) {
    poll_ = std::make_unique<PollHandle>(engine_.uv(), fd_.get(), [this](int) { read(); });
    engine_.deadlines().set(*this, engine_.now() + kHandshakeTimeout);
  }
  ~Handshake() override { stop(); }
  /// No event follows. The owner may end before this object does.
  void stop() {
    engine_.deadlines().set(*this, std::nullopt);
    poll_.reset();  // destroyed before the descriptor is closed
  }
  /// False: the system refuses.
  bool begin() { return poll_->watch(UV_READABLE); }

 private:
  void handle_deadline(TimePoint) override { owner_.end(*this); }
  void read();
  void complete(Bytes early);

  Entrance& owner_;
  Engine& engine_;
  FileDescriptor fd_;
  RequestReader reader_;
  std::unique_ptr<PollHandle> poll_;
};

void Entrance::Handshake::read() {
  std::array<std::uint8_t, 4096> buffer;
  const ssize_t n = ::recv(fd_.get(), buffer.data(), buffer.size(), 0);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n <= 0) return owner_.end(*this);
  Bytes input = Bytes(buffer).first(static_cast<std::size_t>(n));
  input = input.subspan(reader_.handle_input(input));
  const auto reply = reader_.take_reply();
  const ssize_t sent = ::send(fd_.get(), reply.data(), reply.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  if (sent != static_cast<ssize_t>(reply.size())) return owner_.end(*this);
  if (reader_.state() == RequestReader::State::kComplete) return complete(input);
  if (reader_.state() == RequestReader::State::kFailed) owner_.end(*this);
}

void Entrance::Handshake::complete(Bytes early) {
  const ProxyRequest& request = reader_.request();
  if (request.command == RequestCommand::kAssociate) {
    poll_.reset();
    owner_.on_association_(std::move(fd_));
    return owner_.end(*this);
  }
  const Socks5Address& asked = request.destination;
  const auto destination = asked.is_name() ? destination_of(asked.name, asked.port()) : asked;
  if (!destination) return owner_.end(*this);
  poll_.reset();
  owner_.pass_on(std::move(fd_), {request.command, *destination, request.protocol}, early);
  owner_.end(*this);
}

Entrance::Entrance(Engine& engine, const Forward& forward, FileDescriptor listening,
                   OnConnection on_connection, OnAssociation on_association, std::string_view tunnel)
    : engine_(engine),
      forward_(forward),
      name_(listen_text(forward)),
      on_connection_(std::move(on_connection)),
      on_association_(std::move(on_association)),
      tunnel_(tunnel),
      listener_(
          engine.uv(), std::move(listening), [this](FileDescriptor fd) { accept(std::move(fd)); }, tunnel) {
  if (!forward_.target) return;
  target_ = destination_of(forward_.target->host, forward_.target->port_min);
  KCPTUN_CHECK(target_.has_value());  // parse_forward() accepts no other host
}

Entrance::~Entrance() = default;

void Entrance::accept(FileDescriptor fd) {
  switch (forward_.kind) {
    case ForwardKind::kTcp:
    case ForwardKind::kUnix:
      return pass_on(std::move(fd), {RequestCommand::kConnect, *target_, std::nullopt}, {});
    case ForwardKind::kSocks5:
    case ForwardKind::kHttp:
      return shake_hands(std::move(fd));
    case ForwardKind::kRedirect: {
      const auto destination = redirected_destination(fd.get());
      return accept_with(std::move(fd), destination);
    }
    case ForwardKind::kTproxy: {
      const auto destination = local_endpoint(fd.get());
      return accept_with(std::move(fd), destination);
    }
    case ForwardKind::kUdp:
      return;  // no stream socket accepts for it
  }
}

void Entrance::accept_with(FileDescriptor fd, const std::optional<IpEndpoint>& destination) {
  if (destination)
    return pass_on(std::move(fd), {RequestCommand::kConnect, socks5_endpoint(*destination), std::nullopt},
                   {});
  log().warning("connection refused: no firewall rule redirected it", {{"forward", name_}});
  set_reset_on_close(fd.get());
}

void Entrance::shake_hands(FileDescriptor fd) {
  if (handshakes_.size() >= kMaxHandshakes) {
    log().warning("connection refused: too many have not asked for a target yet", {{"forward", name_}});
    return;
  }
  handshakes_.push_back(std::make_unique<Handshake>(*this, std::move(fd)));
  if (!handshakes_.back()->begin()) end(*handshakes_.back());
}

void Entrance::end(Handshake& handshake) {
  const auto it = std::ranges::find_if(handshakes_, [&](const auto& one) { return one.get() == &handshake; });
  if (it == handshakes_.end()) return;
  (*it)->stop();
  engine_.dispose(std::move(*it));
  handshakes_.erase(it);
}

void Entrance::pass_on(FileDescriptor fd, const Asked& asked, Bytes early) {
  LocalConnection connection(std::move(fd));
  connection.unsent = socks5_opening(asked.command, asked.destination);
  connection.unsent.insert(connection.unsent.end(), early.begin(), early.end());
  connection.request = std::make_unique<ForwardedRequest>(
      ForwardedRequest{name_, shown(asked.destination), asked.asked_by, Socks5ReplyReader(), false});
  on_connection_(std::move(connection));
}

}  // namespace kcptun
