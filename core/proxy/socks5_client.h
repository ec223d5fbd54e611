// The client's end of a request stream: the optimistic form of SOCKS5 (docs/develop/protocol.md section 12).
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/base/bytes.h"
#include "core/proxy/proxy_request.h"

namespace kcptun {

/// The greeting and the request in one piece, at most kMaxSocks5Opening bytes. Payload may follow at once.
std::vector<std::uint8_t> socks5_opening(RequestCommand command, const Socks5Address& destination);
inline constexpr std::size_t kMaxSocks5Opening = 3 + 3 + Socks5Address::kMaxSize;

/// The same for a connection that a server's listener accepted from `from`; `listener`: see ProxyRequest.
std::vector<std::uint8_t> accepted_opening(const IpEndpoint& from, std::uint32_t listener);

/// Takes the two replies to socks5_opening() from the front of the answer, which arrives in pieces of any
/// size: the choice of a method, and the reply to the request (RFC 1928 sections 3 and 6). Stores no bytes.
/// Takes at most kMaxReplies bytes.
class Socks5ReplyReader {
 public:
  static constexpr std::size_t kMaxReplies = 2 + 3 + Socks5Address::kMaxSize;

  enum class State : std::uint8_t {
    kReading,
    kComplete,      // code() is there; what handle_input() left is the answer
    kNotSocks5,     // the bytes are no replies of SOCKS5
    kUnauthorised,  // the server accepts no client without credentials
  };

  /// Takes the bytes of the replies and returns their number. Takes nothing once the state is final.
  std::size_t handle_input(Bytes input);
  State state() const { return state_; }
  /// REQUIRES: kComplete. May be a code that RFC 1928 does not define. Behind a failure nothing is read: the
  /// server closes.
  ReplyCode code() const { return code_; }

 private:
  enum class Part : std::uint8_t {
    kMethodVersion,
    kMethod,
    kVersion,
    kCode,
    kReserved,
    kAddressType,
    kNameSize,
    kAddress
  };

  void handle_byte(std::uint8_t byte);
  void handle_code(std::uint8_t byte);
  void handle_address_type(std::uint8_t byte);
  void expect(bool right, Part next);

  State state_ = State::kReading;
  Part part_ = Part::kMethodVersion;
  ReplyCode code_ = ReplyCode::kGeneralFailure;
  std::size_t left_ = 0;  // bytes of the address and port to come
};

}  // namespace kcptun
