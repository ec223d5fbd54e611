#include "core/proxy/proxy_request.h"

#include <string>
#include <string_view>

#include "core/proxy/http_reply.h"

namespace kcptun {
namespace {

constexpr std::string_view kBadGateway = "502 Bad Gateway";

std::vector<std::uint8_t> bytes_of(std::string_view text) { return {text.begin(), text.end()}; }

std::vector<std::uint8_t> http_reply(ReplyCode code) {
  switch (code) {
    case ReplyCode::kSucceeded:
      return bytes_of("HTTP/1.1 200 Connection established\r\n\r\n");
    case ReplyCode::kNotAllowed:
      return http_failure("403 Forbidden", "the server does not allow connections to this target");
    case ReplyCode::kTimedOut:
      return http_failure("504 Gateway Timeout", "the target does not answer");
    case ReplyCode::kNetworkUnreachable:
      return http_failure(kBadGateway, "the target's network cannot be reached");
    case ReplyCode::kHostUnreachable:
      return http_failure(kBadGateway, "the target cannot be reached, or its name does not exist");
    case ReplyCode::kConnectionRefused:
      return http_failure(kBadGateway, "the target refuses the connection");
    case ReplyCode::kCommandNotSupported:
    case ReplyCode::kAddressTypeNotSupported:
    case ReplyCode::kGeneralFailure:
      break;
  }
  return http_failure(kBadGateway, "the connection to the target failed");
}

}  // namespace

std::vector<std::uint8_t> http_failure(std::string_view status, std::string_view text,
                                       std::string_view more_fields) {
  std::string reply("HTTP/1.1 ");
  reply.append(status).append("\r\nContent-Type: text/plain\r\nConnection: close\r\n").append(more_fields);
  reply.append("Content-Length: ").append(std::to_string(text.size() + 1)).append("\r\n\r\n");
  reply.append(text).append("\n");
  return bytes_of(reply);
}

std::vector<std::uint8_t> reply_to_request(RequestProtocol protocol, ReplyCode code) {
  if (protocol == RequestProtocol::kHttpConnect) return http_reply(code);
  return {5, static_cast<std::uint8_t>(code), 0, 1, 0, 0, 0, 0, 0, 0};
}

}  // namespace kcptun
