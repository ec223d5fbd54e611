#include <catch2/catch.hpp>
#include <string>

#include "daemon/status/access.h"
#include "daemon/status/http.h"

namespace kcptun::status_http_test {
namespace {

using State = HttpRequestReader::State;
using Place = StatusAccess::Place;

const std::string kWhole =
    "GET /metrics?token=a%2Db HTTP/1.1\r\nHost: localhost:9\r\nAuthorization: Bearer t\r\n\r\n";

HttpRequest request_of(const std::string& text) {
  HttpRequestReader reader;
  REQUIRE(reader.handle_bytes(text) == State::kComplete);
  return reader.request();
}

int status_of(const StatusAccess& access, const std::string& target, const std::string& fields) {
  const auto refused = access.refuse(request_of("GET " + target + " HTTP/1.1\r\n" + fields + "\r\n"));
  return refused ? refused->status : 200;
}

TEST_CASE("a request is read whole, in two pieces cut anywhere, and byte by byte", "[status]") {
  for (std::size_t cut = 0; cut <= kWhole.size(); ++cut) {
    HttpRequestReader reader;
    const State first = reader.handle_bytes(kWhole.substr(0, cut));
    REQUIRE(first == (cut < kWhole.size() ? State::kMore : State::kComplete));
    REQUIRE(reader.handle_bytes(kWhole.substr(cut)) == State::kComplete);
    CHECK(reader.request().path == "/metrics");
    CHECK(reader.request().query == "token=a%2Db");
    CHECK(reader.request().hosts == std::vector<std::string>{"localhost:9"});
    CHECK(reader.request().authorizations == std::vector<std::string>{"Bearer t"});
  }
  HttpRequestReader reader;
  for (std::size_t i = 0; i + 1 < kWhole.size(); ++i)
    REQUIRE(reader.handle_bytes(kWhole.substr(i, 1)) == State::kMore);
  CHECK(reader.handle_bytes(kWhole.substr(kWhole.size() - 1)) == State::kComplete);
}

TEST_CASE("a request of the most bytes is taken, one byte more is not", "[status]") {
  const std::string head = "GET / HTTP/1.1\r\nX: ", tail = "\r\n\r\n";
  const auto of_size = [&](std::size_t size) {
    return head + std::string(size - head.size() - tail.size(), 'x') + tail;
  };
  CHECK(HttpRequestReader().handle_bytes(of_size(HttpRequestReader::kMaxBytes)) == State::kComplete);
  CHECK(HttpRequestReader().handle_bytes(of_size(HttpRequestReader::kMaxBytes + 1)) == State::kTooLong);
  HttpRequestReader endless;
  State state = endless.handle_bytes("GET /");
  std::size_t sent = 5;
  for (; state == State::kMore; sent += 100) state = endless.handle_bytes(std::string(100, 'a'));
  CHECK(state == State::kTooLong);
  CHECK(sent <= HttpRequestReader::kMaxBytes + 100);
}

TEST_CASE("what is no request is malformed", "[status]") {
  for (const std::string text :
       {"\x16\x03\x01\x02", "GET\r\n\r\n", "get / HTTP/1.1\r\n\r\n", "GET / HTTP/9.x\r\n\r\n",
        "GET / HTTP/1.1\r\nno colon\r\n\r\n", "GET http://evil/ HTTP/1.1\r\nHost: a\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        "CONNECT a:1 HTTP/1.1\r\n\r\n"}) {
    INFO(text);
    CHECK(HttpRequestReader().handle_bytes(text) == State::kMalformed);
  }
}

TEST_CASE("a body is noticed, whatever announces it", "[status]") {
  CHECK_FALSE(request_of("GET / HTTP/1.1\r\nContent-Length: 0\r\n\r\n").has_body);
  CHECK(request_of("POST / HTTP/1.1\r\nContent-Length: 1\r\n\r\nx").has_body);
  CHECK(request_of("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n").has_body);
}

TEST_CASE("hosts that name loopback do, others do not", "[status]") {
  for (const char* host : {"localhost", "LocalHost:80", "127.0.0.1", "127.9.8.7:1", "[::1]", "[::1]:9090"})
    CHECK(names_loopback(host));
  for (const char* host :
       {"", ":80", "evil.example", "127.0.0.1.evil.example", "localhost.evil.example:80", "[::2]:1",
        "128.0.0.1", "0.0.0.0", "[::]", "10.0.0.1:127", "localhos", "127.0.0.1@evil"}) {
    INFO(host);
    CHECK_FALSE(names_loopback(host));
  }
}

TEST_CASE("on loopback a foreign Host, two of them, and none are refused", "[status]") {
  const StatusAccess access(Place::kLoopback, "");
  CHECK(status_of(access, "/", "Host: localhost\r\n") == 200);
  CHECK(status_of(access, "/", "Host: evil.example\r\n") == 421);
  CHECK(status_of(access, "/", "") == 421);
  CHECK(status_of(access, "/", "Host: localhost\r\nHost: evil.example\r\n") == 400);
  CHECK(status_of(StatusAccess(Place::kUnixSocket, ""), "/", "") == 200);
}

TEST_CASE("with a token only who says it is answered", "[status]") {
  for (const Place place : {Place::kNetwork, Place::kUnixSocket, Place::kLoopback}) {
    const StatusAccess access(place, "0123456789abcdef");
    const std::string host = "Host: 127.0.0.1\r\n";
    CHECK(status_of(access, "/", host + "Authorization: Bearer 0123456789abcdef\r\n") == 200);
    CHECK(status_of(access, "/", host + "authorization: bearer 0123456789abcdef\r\n") == 200);
    CHECK(status_of(access, "/?token=0123456789abcdef", host) == 200);
    CHECK(status_of(access, "/?a=b&token=%30123456789abcdef", host) == 200);
    for (const std::string wrong : {"", "0123456789abcde", "0123456789abcdef0", "0123456789abcdeF"}) {
      CHECK(status_of(access, "/", host + "Authorization: Bearer " + wrong + "\r\n") == 401);
      CHECK(status_of(access, "/?token=" + wrong, host) == 401);
    }
    CHECK(status_of(access, "/", host) == 401);
    CHECK(status_of(access, "/?tokens=0123456789abcdef", host) == 401);
    CHECK(status_of(access, "/", host + "Authorization: Basic 0123456789abcdef\r\n") == 401);
    CHECK(status_of(access, "/?token=0123456789abcdef", host + "Authorization: Bearer wrong\r\n") == 401);
  }
}

TEST_CASE("query values are found and decoded", "[status]") {
  CHECK(query_value("a=1&b=2", "b") == "2");
  CHECK(query_value("b=", "b") == "");
  CHECK(query_value("b=%4", "b") == "%4");
  CHECK(query_value("b=%zz%41", "b") == "%zzA");
  CHECK_FALSE(query_value("bb=1", "b"));
  CHECK_FALSE(query_value("", "b"));
}

TEST_CASE("a response goes over the wire and back; for HEAD without its body", "[status]") {
  const HttpResponse response{.type = "text/plain", .body = "hello\n"};
  CHECK(body_of_response(to_wire(response, "GET")).value() == "hello\n");
  CHECK(to_wire(response, "HEAD").find("Content-Length: 6\r\n") != std::string::npos);
  CHECK(to_wire(response, "HEAD").find("hello") == std::string::npos);
  const std::string wire = to_wire(response, "GET");
  for (std::size_t size = 0; size < wire.size(); ++size) CHECK_FALSE(body_of_response(wire.substr(0, size)));
  const Result<std::string> refused = body_of_response(to_wire({.status = 401, .body = "say it\n"}, "GET"));
  CHECK(refused.error() == "the answer is 401 Unauthorized: say it");
}

}  // namespace
TEST_CASE("what a server says instead of a status reaches a terminal as printable characters", "[status]") {
  const std::string said = "\x1b]0;owned\x07\x1b[2J";
  const auto body = body_of_response("HTTP/1.1 401 No\r\nContent-Length: " + std::to_string(said.size()) +
                                     "\r\n\r\n" + said);
  REQUIRE_FALSE(body.ok());
  CHECK(body.error() == "the answer is 401 Unauthorized: \\x1b]0;owned\\x07\\x1b[2J");
}

}  // namespace kcptun::status_http_test
