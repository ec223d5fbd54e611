#include "daemon/server/listener_table.h"

#include <algorithm>
#include <vector>

#include "config/reverses.h"
#include "daemon/io/listener.h"
#include "daemon/server/reverse_listener.h"

namespace kcptun {

ListenPolicy::Answer ListenerTable::listen(const Socks5Address& address) {
  if (address.is_name() || address.port() == 0)
    return {FileDescriptor(), ReplyCode::kAddressTypeNotSupported, "a listener needs an address and a port"};
  const IpEndpoint& endpoint = address.endpoint;
  if (!may_listen(profile_.listen_rules, endpoint)) {
    ++counters_.denied;
    return {FileDescriptor(), ReplyCode::kNotAllowed};
  }
  if (listeners_.size() >= kMaxListeners) {
    ++counters_.failed;
    return {FileDescriptor(), ReplyCode::kGeneralFailure, "this server has too many listeners"};
  }
  Result<FileDescriptor> listening = listen_tcp(endpoint, false);
  if (listening) return {std::move(*listening)};
  ++counters_.failed;
  if (const auto holder = registry_.find(endpoint)) ask_holder_(*holder, endpoint);
  return {FileDescriptor(), ReplyCode::kGeneralFailure, listening.error()};
}

void ListenerTable::open(Session& session, std::uint32_t sid, HandedOver stream) {
  const bool takes_streams = (session.link().smux().peer_capabilities() & kServerStreams) != 0;
  // Requests that arrive together are all answered before the first listener is there.
  if (!takes_streams || listeners_.size() >= kMaxListeners || listeners_of(session) >= kMaxReverses) {
    ++counters_.failed;
    return session.link().reset_stream(sid);
  }
  ++counters_.opened;
  auto listener = std::make_unique<ReverseListener>(
      session, sid, ReverseListener::At{*this, stream.request.destination.endpoint},
      std::move(stream.listening));
  ReverseListener& opened = *listener;
  session.attach(std::move(listener));
  opened.reply(stream.unsent);
}

std::size_t ListenerTable::listeners_of(const Session& session) const {
  return static_cast<std::size_t>(std::ranges::count_if(
      listeners_, [&session](const ReverseListener* one) { return &one->session() == &session; }));
}

void ListenerTable::check(const IpEndpoint& address) {
  for (ReverseListener* one : listeners_)
    if (one->address() == address) return one->check_client();
}

void ListenerTable::apply_rules() {
  std::vector<ReverseListener*> denied;
  for (ReverseListener* one : listeners_)
    if (!may_listen(profile_.listen_rules, one->address())) denied.push_back(one);
  for (ReverseListener* one : denied) one->end("the rules do not permit it any more");
}

void ListenerTable::add(ReverseListener& listener) {
  listeners_.insert(&listener);
  registry_.add(listener.address(), worker_);
}

void ListenerTable::remove(ReverseListener& listener) {
  if (listeners_.erase(&listener) > 0) registry_.remove(listener.address());
}

}  // namespace kcptun
