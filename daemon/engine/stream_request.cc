#include "daemon/engine/stream_request.h"

#include <errno.h>

#include <algorithm>
#include <utility>

#include "config/address.h"
#include "daemon/engine/target.h"
#include "daemon/net/address.h"

namespace kcptun {

StreamRequest::StreamRequest(RequestTargets& targets, RequestReader::Accepted accepted, Done done)
    : targets_(targets), reader_(accepted), done_(std::move(done)) {
  targets_.engine.deadlines().set(*this, targets_.engine.now() + kReadTimeout);
}

StreamRequest::~StreamRequest() {
  end_lookup();
  targets_.engine.deadlines().set(*this, std::nullopt);
}

std::string StreamRequest::target() const {
  if (!reverse_target_.empty()) return reverse_target_;
  const Socks5Address& destination = reader_.request().destination;
  if (!destination.is_name()) return to_string(destination.endpoint);
  return to_text(HostPort{destination.name, destination.port(), destination.port()});
}

// --- the request ---

std::size_t StreamRequest::handle_input(Bytes input) {
  if (over_) return input.size();
  if (!reading()) return 0;
  const std::size_t taken = reader_.handle_input(input);
  switch (reader_.state()) {
    case RequestReader::State::kReading:
      return taken;
    case RequestReader::State::kComplete:
      start();
      return over_ ? input.size() : taken;
    case RequestReader::State::kFailed:
      conclude(Result::kUnreadable, reader_.take_reply());
      return input.size();
  }
  return taken;
}

void StreamRequest::start() {
  ++targets_.totals.requests;
  targets_.engine.deadlines().set(*this, std::nullopt);
  switch (reader_.request().command) {
    case RequestCommand::kUdpInTcp:
      return accept_datagrams();
    case RequestCommand::kListen:
      return listen();
    case RequestCommand::kAccepted:
      return dial_reverse();
    case RequestCommand::kAssociate:  // not accepted here
    case RequestCommand::kConnect:
      break;
  }
  NamedTarget target(reader_.request().destination, DialProtocol::kTcp);
  if (!target.is_name()) return dial(target, {target.address});
  resolve(std::move(target));
}

void StreamRequest::listen() {
  if (!targets_.listens) return deny();
  ListenPolicy::Answer answer = targets_.listens->listen(reader_.request().destination);
  if (answer.code == ReplyCode::kNotAllowed) return deny();
  if (!answer.listening.valid()) return fail(answer.code, std::move(answer.error));
  outcome_.listening = std::move(answer.listening);
  outcome_.result = Result::kListening;
  outcome_.reply = reply_to_request(reader_.request().protocol, ReplyCode::kSucceeded);
  targets_.engine.deadlines().set(*this, targets_.engine.now());
}

void StreamRequest::dial_reverse() {
  const auto found =
      targets_.reverse ? targets_.reverse->find_reverse(reader_.request().listener) : std::nullopt;
  if (!found) return deny();
  reverse_target_ = found->text;
  counters_ = found->counters;
  dialer_ = std::make_unique<Dialer>(targets_.engine,
                                     [this](Dialer::Outcome made) { handle_dialled(std::move(made)); });
  found->target.dial(*dialer_);
}

// The rules decide about each destination. Input that follows is left to the caller.
void StreamRequest::accept_datagrams() {
  const std::vector<DialRule>& allow = targets_.rules.allow;
  if (std::ranges::none_of(allow, [](const DialRule& rule) { return rule.udp; })) return deny();
  outcome_.result = Result::kDatagrams;
  outcome_.reply = reply_to_request(reader_.request().protocol, ReplyCode::kSucceeded);
  targets_.engine.deadlines().set(*this, targets_.engine.now());
}

void StreamRequest::resolve(NamedTarget target) {
  if (!DialPolicy(targets_.rules).may_resolve(target)) return deny();
  if (targets_.totals.lookups == RequestTotals::kMaxLookups)
    return fail(ReplyCode::kGeneralFailure, "too many names are being resolved");
  ++targets_.totals.lookups;
  const std::string name = target.name;
  const std::uint16_t port = target.port;
  lookup_ = std::make_unique<NameLookup>(targets_.engine.uv(), name, port,
                                         [this, asked = std::move(target)](NameLookup::Addresses addresses) {
                                           const NamedTarget resolved = asked;
                                           handle_resolved(resolved, std::move(addresses));
                                         });
}

void StreamRequest::end_lookup() {
  if (!lookup_) return;
  lookup_.reset();
  --targets_.totals.lookups;
}

void StreamRequest::handle_resolved(const NamedTarget& target, NameLookup::Addresses addresses) {
  end_lookup();
  if (!addresses) return fail(ReplyCode::kHostUnreachable, addresses.error());
  dial(target, std::move(addresses.value()));
}

// --- the connection ---

// The rules are asked here, about the very addresses that are dialled.
void StreamRequest::dial(const NamedTarget& target, std::vector<IpEndpoint> addresses) {
  const DialPolicy policy(targets_.rules);
  std::erase_if(addresses, [&](const IpEndpoint& address) { return !policy.permits(target, address); });
  if (addresses.empty()) return deny();
  dialer_ = std::make_unique<Dialer>(targets_.engine,
                                     [this](Dialer::Outcome made) { handle_dialled(std::move(made)); });
  dialer_->start(std::move(addresses), {});
}

void StreamRequest::handle_dialled(Dialer::Outcome made) {
  const bool connected = made.fd.valid();
  const ReplyCode code = connected ? ReplyCode::kSucceeded : reply_code_of(made.error_number);
  outcome_.result = connected ? Result::kConnected : Result::kFailed;
  outcome_.reply = reply_to_request(reader_.request().protocol, code);
  outcome_.connection = std::move(made);
  deliver();
}

ReplyCode reply_code_of(int error) {
  switch (error) {
    case ECONNREFUSED:
      return ReplyCode::kConnectionRefused;
    case EHOSTUNREACH:
    case EHOSTDOWN:
      return ReplyCode::kHostUnreachable;
    case ENETUNREACH:
    case ENETDOWN:
    case EAFNOSUPPORT:
    case EADDRNOTAVAIL:
      return ReplyCode::kNetworkUnreachable;
    case ETIMEDOUT:
      return ReplyCode::kTimedOut;
    case EACCES:  // a firewall of this machine
    case EPERM:
      return ReplyCode::kNotAllowed;
    default:
      return ReplyCode::kGeneralFailure;
  }
}

// --- the end ---

void StreamRequest::deny() {
  ++targets_.totals.denied;
  conclude(Result::kDenied, reply_to_request(reader_.request().protocol, ReplyCode::kNotAllowed));
}

void StreamRequest::fail(ReplyCode code, std::string error) {
  outcome_.connection.error = std::move(error);
  conclude(Result::kFailed, reply_to_request(reader_.request().protocol, code));
}

// Reports from the loop, because the caller still uses the request.
void StreamRequest::conclude(Result result, std::vector<std::uint8_t> reply) {
  over_ = true;
  outcome_.result = result;
  outcome_.reply = std::move(reply);
  targets_.engine.deadlines().set(*this, targets_.engine.now());
}

void StreamRequest::handle_deadline(TimePoint) {
  over_ = true;  // if it was not, the request is late, and outcome_ is that of an unreadable one
  deliver();
}

// The owner may destroy the request within the call.
void StreamRequest::deliver() {
  const Done done = std::move(done_);
  done(std::move(outcome_));
}

}  // namespace kcptun
