// The request at the front of a stream: SOCKS5 and HTTP CONNECT, in every split, with and without a payload
// behind it, and both sides of each limit.
#include "core/proxy/request_reader.h"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

namespace kcptun::request_reader_test {
namespace {

using Accepted = RequestReader::Accepted;
using State = RequestReader::State;

const std::string kGreeting("\5\1\0", 3);
const std::string kGranted("\5\0", 2);

Bytes bytes_of(const std::string& text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}
std::string text_of(const std::vector<std::uint8_t>& bytes) { return {bytes.begin(), bytes.end()}; }

/// "\5 command 0 3 length name port".
std::string socks5_request(const std::string& name, char command = 1) {
  return std::string{'\5', command, '\0', '\3', static_cast<char>(name.size())} + name +
         std::string("\1\xbb", 2);
}
std::string failure(char code) { return std::string("\5\0\0\1\0\0\0\0\0\0", 10).replace(1, 1, 1, code); }

struct Outcome {
  State state;
  std::string rest;  // what the reader left
  std::string replies;
  ProxyRequest request;
};

/// Gives the reader the pieces of `input` that begin at 0 and at each of `cuts`.
Outcome read(const std::string& input, Accepted accepted, const std::vector<std::size_t>& cuts = {}) {
  RequestReader reader(accepted);
  Outcome outcome{};
  std::size_t begin = 0;
  for (std::size_t i = 0; i <= cuts.size(); ++i) {
    const std::size_t end = i < cuts.size() ? cuts[i] : input.size();
    const std::string piece = input.substr(begin, end - begin);
    const std::size_t taken = reader.handle_input(bytes_of(piece));
    REQUIRE(taken <= piece.size());
    if (reader.state() == State::kReading) CHECK(taken == piece.size());
    outcome.rest += piece.substr(taken);
    outcome.replies += text_of(reader.take_reply());
    begin = end;
  }
  outcome.state = reader.state();
  outcome.request = reader.request();
  return outcome;
}

/// The same input in one piece, in two pieces cut anywhere, and byte by byte has one outcome.
Outcome read_every_way(const std::string& input, Accepted accepted) {
  const Outcome whole = read(input, accepted);
  std::vector<std::size_t> every;
  for (std::size_t cut = 1; cut < input.size(); ++cut) {
    every.push_back(cut);
    for (const std::vector<std::size_t>& cuts : {std::vector{cut}, every}) {
      if (cuts.size() > 1 && cut + 1 < input.size()) continue;
      const Outcome split = read(input, accepted, cuts);
      CHECK(split.state == whole.state);
      CHECK(split.replies == whole.replies);
      CHECK(split.request.destination == whole.request.destination);
      if (split.state == State::kComplete) CHECK(split.rest == whole.rest);
    }
  }
  return whole;
}

}  // namespace

TEST_CASE("a SOCKS5 request is read in every split, and the payload behind it is left") {
  for (const std::string& payload : {std::string(), std::string("GET / HTTP/1.1\r\n\r\n")}) {
    const Outcome outcome =
        read_every_way(kGreeting + socks5_request("db.internal") + payload, Accepted::kSocks5AndHttp);
    REQUIRE(outcome.state == State::kComplete);
    CHECK(outcome.rest == payload);
    CHECK(outcome.replies == kGranted);
    CHECK(outcome.request.protocol == RequestProtocol::kSocks5);
    CHECK(outcome.request.command == RequestCommand::kConnect);
    CHECK(outcome.request.destination == *socks5_name("db.internal", 443));
  }
}

TEST_CASE("every truncation of a SOCKS5 request waits for more") {
  const std::string input = kGreeting + socks5_request(std::string(255, 'n'));
  for (std::size_t size = 0; size < input.size(); ++size)
    CHECK(read(input.substr(0, size), Accepted::kSocks5).state == State::kReading);
  CHECK(read(input, Accepted::kSocks5).state == State::kComplete);
}

TEST_CASE("a SOCKS5 client may offer up to 255 methods, one of which is none") {
  std::string many("\5\xff", 2);
  many.append(254, '\2').append(1, '\0');
  CHECK(many.size() == RequestReader::kMaxGreeting);
  CHECK(read_every_way(many + socks5_request("a"), Accepted::kSocks5).state == State::kComplete);
  for (const std::string& bad : {std::string("\5\0", 2), std::string("\5\2\1\2", 4)}) {
    const Outcome outcome = read_every_way(bad, Accepted::kSocks5);
    CHECK(outcome.state == State::kFailed);
    CHECK(outcome.replies == std::string("\5\xff", 2));
  }
}

TEST_CASE("a SOCKS5 request that cannot be served gets the reason") {
  struct Row {
    std::string request;
    char code;
  };
  for (const Row& row : {Row{socks5_request("a", 2), 7},                      // BIND
                         Row{socks5_request("a", 3), 7},                      // UDP ASSOCIATE
                         Row{socks5_request("a", 0), 7},                      //
                         Row{std::string("\5\1\0\2\1\1", 6), 8},              // no type of address
                         Row{std::string("\5\1\0\3\0\1\1", 7), 1},            // no name
                         Row{std::string("\5\1\0\3\3a\0b\1\1", 10), 1},       // a NUL in the name
                         Row{std::string("\4\1\0\1\1\1\1\1\1\1", 10), 1}}) {  // another version
    const Outcome outcome = read_every_way(kGreeting + row.request, Accepted::kSocks5);
    CHECK(outcome.state == State::kFailed);
    CHECK(outcome.replies == kGranted + failure(row.code));
  }
  CHECK(read_every_way(kGreeting + socks5_request("a", 5), Accepted::kSocks5).request.command ==
        RequestCommand::kUdpInTcp);
}

TEST_CASE("each reader accepts the commands of its place") {
  struct Row {
    Accepted accepted;
    std::string commands;
  };
  for (const Row& row : {Row{Accepted::kSocks5, "\1\5"}, Row{Accepted::kSocks5AndHttp, "\1\5"},
                         Row{Accepted::kRequestStream, "\1\2\5"}, Row{Accepted::kEntrance, "\1\3\5"},
                         Row{Accepted::kHttpEntrance, "\1\3\5"}, Row{Accepted::kServerStream, "\6"}}) {
    for (char command = 0; command < 8; ++command) {
      const bool known = row.commands.find(command) != std::string::npos;
      const Outcome outcome = read(kGreeting + socks5_request("a", command) + "1234", row.accepted);
      CHECK(outcome.state == (known ? State::kComplete : State::kFailed));
      CHECK(outcome.replies == kGranted + (known ? "" : failure(7)));
    }
  }
}

TEST_CASE("the request in front of a listener's connection names the listener") {
  const std::string request = kGreeting + std::string("\5\6\0\1\300\0\2\1\1\xbb", 10);
  const std::string listener("\0\1\2\3", 4);
  const Outcome outcome = read_every_way(request + listener + "payload", Accepted::kServerStream);
  REQUIRE(outcome.state == State::kComplete);
  CHECK(outcome.rest == "payload");
  CHECK(outcome.request.command == RequestCommand::kAccepted);
  CHECK(outcome.request.listener == 0x10203);
  CHECK(outcome.request.destination.port() == 443);
  for (std::size_t size = 0; size < listener.size(); ++size)
    CHECK(read(request + listener.substr(0, size), Accepted::kServerStream).state == State::kReading);
}

TEST_CASE("bytes of no known protocol fail without an answer") {
  for (int byte = 0; byte < 256; ++byte) {
    const std::string input(1, static_cast<char>(byte));
    const bool letter = byte >= 'A' && byte <= 'Z';
    for (const Accepted accepted : {Accepted::kSocks5, Accepted::kSocks5AndHttp}) {
      const bool known = byte == 5 || (letter && accepted == Accepted::kSocks5AndHttp);
      const Outcome outcome = read(input + "x", accepted);
      CHECK(outcome.state == (known ? State::kReading : State::kFailed));
      CHECK(outcome.replies.empty());
    }
  }
}

TEST_CASE("an HTTP CONNECT request is read in every split, and the payload behind it is left") {
  const std::string head =
      "CONNECT example.net:443 HTTP/1.1\r\nHost: example.net:443\r\nUser-Agent: x\r\n\r\n";
  for (const std::string& payload : {std::string(), std::string("\x16\x03\x01 hello\r\n\r\n")}) {
    const Outcome outcome = read_every_way(head + payload, Accepted::kSocks5AndHttp);
    REQUIRE(outcome.state == State::kComplete);
    CHECK(outcome.rest == payload);
    CHECK(outcome.replies.empty());
    CHECK(outcome.request.protocol == RequestProtocol::kHttpConnect);
    CHECK(outcome.request.destination == *socks5_name("example.net", 443));
  }
  for (std::size_t size = 0; size < head.size(); ++size)
    CHECK(read(head.substr(0, size), Accepted::kSocks5AndHttp).state == State::kReading);
}

TEST_CASE("HTTP CONNECT takes host:port, with an IPv6 address in brackets, and nothing else") {
  const auto request = [](const std::string& target, const std::string& version = "HTTP/1.1") {
    return read("CONNECT " + target + " " + version + "\r\n\r\n", Accepted::kSocks5AndHttp);
  };
  CHECK(request("[2001:db8::1]:8443").request.destination == *socks5_name("2001:db8::1", 8443));
  CHECK(request("192.0.2.1:1").request.destination == *socks5_name("192.0.2.1", 1));
  CHECK(request("a:65535", "HTTP/1.0").request.destination == *socks5_name("a", 65535));
  for (const char* bad : {"a", "a:", "a:0", "a:65536", "a:+1", "a:1x", ":1", "[::1]", "[a]:1", "::1:1",
                          "a b:1", "http://a:1", "u@a:1", "a/b:1", ""}) {
    const Outcome outcome = request(bad);
    INFO(bad);
    CHECK(outcome.state == State::kFailed);
    CHECK(outcome.replies.starts_with("HTTP/1.1 400 "));
  }
  for (const char* bad : {"HTTP/2", "HTTP/1.", "HTTP/1.11", "http/1.1", ""})
    CHECK(request("a:1", bad).replies.starts_with("HTTP/1.1 400 "));
}

TEST_CASE("methods other than CONNECT get 405") {
  const Outcome outcome = read_every_way("GET http://a/ HTTP/1.1\r\n\r\n", Accepted::kSocks5AndHttp);
  CHECK(outcome.state == State::kFailed);
  CHECK(outcome.replies.starts_with("HTTP/1.1 405 "));
  CHECK(outcome.replies.find("\r\nAllow: CONNECT\r\n") != std::string::npos);
}

TEST_CASE("the head of an HTTP request has at most 8 KiB") {
  const std::string line = "CONNECT a:1 HTTP/1.1\r\nX: ";
  const std::string end = "\r\n\r\n";
  const auto head = [&](std::size_t size) {
    return line + std::string(size - line.size() - end.size(), 'x') + end;
  };
  CHECK(read(head(RequestReader::kMaxHttpHead), Accepted::kSocks5AndHttp).state == State::kComplete);
  const Outcome outcome = read(head(RequestReader::kMaxHttpHead + 1), Accepted::kSocks5AndHttp);
  CHECK(outcome.state == State::kFailed);
  CHECK(outcome.replies.starts_with("HTTP/1.1 431 "));
}

TEST_CASE("replies have the form of their protocol") {
  CHECK(text_of(reply_to_request(RequestProtocol::kSocks5, ReplyCode::kSucceeded)) == failure(0));
  CHECK(text_of(reply_to_request(RequestProtocol::kSocks5, ReplyCode::kNotAllowed)) == failure(2));
  const auto http = [](ReplyCode code) {
    return text_of(reply_to_request(RequestProtocol::kHttpConnect, code));
  };
  CHECK(http(ReplyCode::kSucceeded) == "HTTP/1.1 200 Connection established\r\n\r\n");
  CHECK(http(ReplyCode::kNotAllowed).starts_with("HTTP/1.1 403 "));
  CHECK(http(ReplyCode::kTimedOut).starts_with("HTTP/1.1 504 "));
  for (const ReplyCode code : {ReplyCode::kConnectionRefused, ReplyCode::kHostUnreachable,
                               ReplyCode::kNetworkUnreachable, ReplyCode::kGeneralFailure})
    CHECK(http(code).starts_with("HTTP/1.1 502 "));
  const std::string reply = http(ReplyCode::kConnectionRefused);
  const std::string body = reply.substr(reply.find("\r\n\r\n") + 4);
  CHECK(reply.find("\r\nContent-Length: " + std::to_string(body.size()) + "\r\n") != std::string::npos);
}

}  // namespace kcptun::request_reader_test
