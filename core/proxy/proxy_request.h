// A request for a connection, and the replies to it: SOCKS5 (RFC 1928) and HTTP CONNECT (RFC 9110 section
// 9.3.6).
#pragma once

#include <cstdint>
#include <vector>

#include "core/proxy/socks5_address.h"

namespace kcptun {

enum class RequestProtocol : std::uint8_t { kSocks5, kHttpConnect };

enum class RequestCommand : std::uint8_t {
  kConnect,   // CMD 1
  kUdpInTcp,  // CMD 5: datagrams framed over the stream, as hev-socks5-server has it
};

struct ProxyRequest {
  RequestProtocol protocol = RequestProtocol::kSocks5;
  RequestCommand command = RequestCommand::kConnect;
  Socks5Address destination;  // an IPv6 literal of HTTP CONNECT is a name here, without its brackets
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
