// The part of HTTP/1.1 that the status needs: one request without a body, one response as text.
#pragma once

#include <http_parser.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace kcptun {

struct HttpRequest {
  std::string method;                       // "GET"
  std::string path;                         // "/metrics"
  std::string query;                        // after "?", undecoded
  std::vector<std::string> hosts;           // one for each Host field
  std::vector<std::string> authorizations;  // one for each Authorization field
  bool has_body = false;
};

/// Parses one request with http-parser. Reads at most kMaxBytes.
class HttpRequestReader {
 public:
  enum class State : std::uint8_t { kMore, kComplete, kTooLong, kMalformed };
  static constexpr std::size_t kMaxBytes = 8192;  // request line and header fields

  HttpRequestReader();
  HttpRequestReader(const HttpRequestReader&) = delete;
  HttpRequestReader& operator=(const HttpRequestReader&) = delete;

  /// Takes the next bytes. Ignores what follows a complete request.
  State handle_bytes(std::string_view bytes);
  /// REQUIRES: the last State was kComplete.
  const HttpRequest& request() const { return request_; }

 private:
  static HttpRequestReader& of(http_parser* parser) { return *static_cast<HttpRequestReader*>(parser->data); }
  void finish_field();
  bool split_target();

  http_parser parser_;
  std::size_t bytes_ = 0;
  State state_ = State::kMore;
  std::string target_, field_, value_;
  bool in_value_ = false;
  HttpRequest request_;
};

struct HttpResponse {
  int status = 200;
  std::string type = "text/plain; charset=utf-8";
  std::string body;
  std::string more_fields{};  // complete header lines, "Allow: GET, HEAD\r\n"
};

/// The response in wire format, without the body for HEAD. The server closes the connection after it.
std::string to_wire(const HttpResponse& response, std::string_view method);

/// The body of a complete response with status 200. The error says what the bytes are instead.
Result<std::string> body_of_response(std::string_view wire);

}  // namespace kcptun
