// Reads the request at the front of a stream, at the server's end.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "core/base/bytes.h"
#include "core/proxy/proxy_request.h"

namespace kcptun {

/// Reads SOCKS5 (greeting and request, without authentication) or HTTP CONNECT from bytes that arrive in
/// pieces of any size. A client may wait for each reply (RFC 1928) or send everything at once, payload
/// included; the reader takes exactly the request and leaves the payload. Bounds: stores at most kMaxHttpHead
/// bytes. It has no clock; the caller limits the time.
class RequestReader {
 public:
  /// In bytes. RFC 1928: version, count, 255 methods; and version, command, reserved, address.
  static constexpr std::size_t kMaxGreeting = 2 + 255;
  static constexpr std::size_t kMaxSocks5Request = 3 + Socks5Address::kMaxSize + 4;
  /// In bytes, with the empty line. Clients send a few hundred bytes; 8 KiB is the limit of common servers.
  static constexpr std::size_t kMaxHttpHead = 8 * 1024;

  /// Each accepts kConnect and kUdpInTcp, if it is not said otherwise.
  enum class Accepted : std::uint8_t {
    kSocks5,
    kSocks5AndHttp,
    kRequestStream,  // SOCKS5, kListen too
    kEntrance,       // SOCKS5, kAssociate too
    kHttpEntrance,   // HTTP too
    kServerStream,   // kAccepted only
  };
  enum class State : std::uint8_t {
    kReading,
    kComplete,
    kFailed,  // not a request, or one that this end does not serve
  };

  explicit RequestReader(Accepted accepted) : accepted_(accepted) {}

  /// Takes the request's bytes from the front of `input` and returns their number. Bytes that it leaves
  /// follow the request. Once it has failed, it takes nothing.
  std::size_t handle_input(Bytes input);
  State state() const { return state_; }
  /// REQUIRES: state() is kComplete.
  const ProxyRequest& request() const { return request_; }
  /// Bytes to send to the client now, each once: the choice of a method, and the reason of a failure. A
  /// failure without any means that the bytes are of neither protocol.
  std::vector<std::uint8_t> take_reply() { return std::exchange(reply_, {}); }

 private:
  enum class Part : std::uint8_t { kFirstByte, kGreeting, kSocks5Request, kHttpHead };

  std::size_t read_part(Bytes input);
  std::size_t limit() const;
  bool accepts_http() const;
  bool accepts(std::uint8_t command) const;
  std::size_t parse(std::size_t known);
  std::size_t parse_first_byte();
  std::size_t parse_greeting();
  std::size_t parse_socks5_request();
  std::size_t parse_http_head(std::size_t known);
  std::size_t fail(const std::vector<std::uint8_t>& reply);
  std::size_t refuse(ReplyCode code) { return fail(reply_to_request(RequestProtocol::kSocks5, code)); }

  const Accepted accepted_;
  State state_ = State::kReading;
  Part part_ = Part::kFirstByte;
  std::vector<std::uint8_t> stored_;  // of the current part; at most limit()
  ProxyRequest request_;
  std::vector<std::uint8_t> reply_;
};

}  // namespace kcptun
