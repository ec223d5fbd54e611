// A request for a connection, and the replies to it: SOCKS5 (RFC 1928) and HTTP CONNECT (RFC 9110 section
// 9.3.6). Between our own programs also requests to listen (docs/develop/protocol.md section 16).
#pragma once

#include <cstdint>
#include <vector>

#include "core/proxy/socks5_address.h"

namespace kcptun {

enum class RequestProtocol : std::uint8_t { kSocks5, kHttpConnect };

enum class RequestCommand : std::uint8_t {
  kConnect,    // CMD 1
  kListen,     // CMD 2 (BIND), at a server: listen at the destination while the stream is open
  kAssociate,  // CMD 3 (UDP ASSOCIATE), at a client's entrance
  kUdpInTcp,   // CMD 5: datagrams framed over the stream, as hev-socks5-server has it
  kAccepted,   // CMD 6, from a server: a listener has accepted a connection from the destination
};

struct ProxyRequest {
  RequestProtocol protocol = RequestProtocol::kSocks5;
  RequestCommand command = RequestCommand::kConnect;
  Socks5Address destination;   // an IPv6 literal of HTTP CONNECT is a name here, without its brackets
  std::uint32_t listener = 0;  // kAccepted: the sid of the stream that asked to listen
};

/// The REP field of SOCKS5 (RFC 1928 section 6).
enum class ReplyCode : std::uint8_t {
  kSucceeded = 0,
  kGeneralFailure = 1,
  kNotAllowed = 2,
  kNetworkUnreachable = 3,
  kHostUnreachable = 4,
  kConnectionRefused = 5,
  kTimedOut = 6,  // "TTL expired", which other servers also send for a time-out
  kCommandNotSupported = 7,
  kAddressTypeNotSupported = 8,
};

/// The reply to a request: of SOCKS5 with the bound address 0.0.0.0:0, of HTTP with a status and, for a
/// failure, one line of text.
std::vector<std::uint8_t> reply_to_request(RequestProtocol protocol, ReplyCode code);

}  // namespace kcptun
