#include "daemon/status/http.h"

#include <fmt/format.h>
#include <strings.h>

#include <utility>

#include "config/settings.h"

namespace kcptun {
namespace {

bool same_word(const std::string& a, const char* b) { return strcasecmp(a.c_str(), b) == 0; }

}  // namespace

HttpRequestReader::HttpRequestReader() {
  http_parser_init(&parser_, HTTP_REQUEST);
  parser_.data = this;
}

void HttpRequestReader::finish_field() {
  if (same_word(field_, "host")) request_.hosts.push_back(value_);
  if (same_word(field_, "authorization")) request_.authorizations.push_back(value_);
  field_.clear();
  value_.clear();
  in_value_ = false;
}

// Accepts only the origin form "/path?query" (RFC 9112 section 3.2.1).
bool HttpRequestReader::split_target() {
  if (target_.empty() || target_.front() != '/') return false;
  const std::size_t query = target_.find('?');
  request_.path = target_.substr(0, query);
  if (query != target_.npos) request_.query = target_.substr(query + 1);
  return true;
}

HttpRequestReader::State HttpRequestReader::handle_bytes(std::string_view bytes) {
  if (state_ != State::kMore) return state_;
  static const http_parser_settings settings = [] {
    http_parser_settings s;
    http_parser_settings_init(&s);
    s.on_url = [](http_parser* p, const char* at, std::size_t size) {
      of(p).target_.append(at, size);
      return 0;
    };
    s.on_header_field = [](http_parser* p, const char* at, std::size_t size) {
      if (of(p).in_value_) of(p).finish_field();
      of(p).field_.append(at, size);
      return 0;
    };
    s.on_header_value = [](http_parser* p, const char* at, std::size_t size) {
      of(p).in_value_ = true;
      of(p).value_.append(at, size);
      return 0;
    };
    // Parsing stops behind the header. A body is rejected, and a further request needs another connection.
    s.on_headers_complete = [](http_parser* p) {
      HttpRequestReader& self = of(p);
      if (!self.field_.empty()) self.finish_field();
      self.request_.method = http_method_str(static_cast<http_method>(p->method));
      self.request_.has_body =
          (p->flags & F_CHUNKED) || (p->content_length > 0 && p->content_length != UINT64_MAX);
      self.state_ = self.split_target() ? State::kComplete : State::kMalformed;
      http_parser_pause(p, 1);
      return 0;
    };
    return s;
  }();
  const std::size_t room = kMaxBytes - bytes_;
  const std::string_view taken = bytes.substr(0, room);
  bytes_ += taken.size();
  http_parser_execute(&parser_, &settings, taken.data(), taken.size());
  if (state_ != State::kMore) return state_;
  if (HTTP_PARSER_ERRNO(&parser_) != HPE_OK) return state_ = State::kMalformed;
  if (bytes.size() > room || bytes_ == kMaxBytes) state_ = State::kTooLong;
  return state_;
}

std::string to_wire(const HttpResponse& response, std::string_view method) {
  std::string wire = fmt::format(
      "HTTP/1.1 {} {}\r\nContent-Type: {}\r\nContent-Length: {}\r\nConnection: close\r\nCache-Control: "
      "no-store\r\n"
      "X-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\nCross-Origin-Resource-Policy: "
      "same-origin\r\n"
      "{}\r\n",
      response.status, http_status_str(static_cast<http_status>(response.status)), response.type,
      response.body.size(), response.more_fields);
  if (method != "HEAD") wire += response.body;
  return wire;
}

Result<std::string> body_of_response(std::string_view wire) {
  http_parser parser;
  http_parser_init(&parser, HTTP_RESPONSE);
  std::pair<std::string, bool> body;  // the body, and whether it is complete
  parser.data = &body;
  http_parser_settings settings;
  http_parser_settings_init(&settings);
  settings.on_body = [](http_parser* p, const char* at, std::size_t size) {
    static_cast<std::pair<std::string, bool>*>(p->data)->first.append(at, size);
    return 0;
  };
  settings.on_message_complete = [](http_parser* p) {
    static_cast<std::pair<std::string, bool>*>(p->data)->second = true;
    return 0;
  };
  http_parser_execute(&parser, &settings, wire.data(), wire.size());
  if (!body.second)
    http_parser_execute(&parser, &settings, wire.data(), 0);  // end of input, which may end the body
  if (HTTP_PARSER_ERRNO(&parser) != HPE_OK || !body.second) return Error{"the answer is not HTTP"};
  if (parser.status_code != 200)
    return Error{fmt::format("the answer is {} {}: {}", static_cast<int>(parser.status_code),
                             http_status_str(static_cast<http_status>(parser.status_code)),
                             printable(std::string_view(body.first).substr(0, body.first.find('\n'))))};
  return body.first;
}

}  // namespace kcptun
