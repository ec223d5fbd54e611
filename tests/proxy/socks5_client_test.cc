#include "core/proxy/socks5_client.h"

#include <catch2/catch.hpp>
#include <span>
#include <string>

#include "core/proxy/request_reader.h"

namespace kcptun::socks5_client_test {
namespace {

using Octets = std::vector<std::uint8_t>;
using State = Socks5ReplyReader::State;

const Octets kMethod{5, 0};
const Octets kIpv4Reply{5, 0, 0, 1, 192, 0, 2, 1, 0x1f, 0x90};
const Octets kIpv6Reply{5, 0, 0, 4, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 0x1f, 0x90};
const Octets kNameReply{5, 0, 0, 3, 2, 'a', 'b', 0x1f, 0x90};
const Octets kEmptyNameReply{5, 0, 0, 3, 0, 0, 0};

Octets joined(const Octets& a, const Octets& b) {
  Octets all(a);
  all.insert(all.end(), b.begin(), b.end());
  return all;
}

TEST_CASE("The opening is the greeting and the request, as a server reads them") {
  const Octets bytes = socks5_opening(RequestCommand::kConnect, *socks5_name("db.internal", 5432));
  CHECK(Octets(bytes.begin(), bytes.begin() + 8) == Octets{5, 1, 0, 5, 1, 0, 3, 11});
  for (const auto command : {RequestCommand::kConnect, RequestCommand::kUdpInTcp}) {
    for (const auto& destination :
         {*socks5_name("db.internal", 5432), *socks5_name(std::string(255, 'a'), 65535)}) {
      Octets input = socks5_opening(command, destination);
      CHECK(input.size() <= kMaxSocks5Opening);
      const std::size_t size = input.size();
      input.push_back('x');
      RequestReader reader(RequestReader::Accepted::kSocks5);
      CHECK(reader.handle_input(input) == size);
      REQUIRE(reader.state() == RequestReader::State::kComplete);
      CHECK(reader.request().command == command);
      CHECK(reader.request().destination == destination);
    }
  }
}

TEST_CASE("The opening of a listener's connection is what the client's reader reads") {
  IpEndpoint from{.port = 51000};
  from.ip[15] = 1;
  const Octets bytes = accepted_opening(from, 0x01020304);
  RequestReader reader(RequestReader::Accepted::kServerStream);
  CHECK(reader.handle_input(bytes) == bytes.size());
  REQUIRE(reader.state() == RequestReader::State::kComplete);
  CHECK(reader.request().destination == socks5_endpoint(from));
  CHECK(reader.request().listener == 0x01020304);
}

TEST_CASE("Replies are stripped at every split, and the answer behind them is left") {
  for (const Octets& reply : {kIpv4Reply, kIpv6Reply, kNameReply, kEmptyNameReply}) {
    const Octets replies = joined(kMethod, reply);
    const Octets input = joined(replies, {'a', 5, 0});
    for (std::size_t first = 0; first <= input.size(); ++first) {
      for (std::size_t second = first; second <= input.size(); ++second) {
        Socks5ReplyReader reader;
        std::size_t taken = reader.handle_input(Bytes(input).first(first));
        taken += reader.handle_input(Bytes(input).subspan(first, second - first));
        taken += reader.handle_input(Bytes(input).subspan(second));
        CHECK(taken == replies.size());
        CHECK(reader.state() == State::kComplete);
        CHECK(reader.code() == ReplyCode::kSucceeded);
      }
    }
  }
}

TEST_CASE("The longest replies fit the bound") {
  Octets reply{5, 0, 0, 3, 255};
  reply.resize(5 + 255 + 2);
  const Octets input = joined(kMethod, reply);
  CHECK(input.size() == Socks5ReplyReader::kMaxReplies);
  Socks5ReplyReader reader;
  CHECK(reader.handle_input(input) == input.size());
  CHECK(reader.state() == State::kComplete);
}

TEST_CASE("Replies that are cut short are still being read") {
  const Octets input = joined(kMethod, kIpv4Reply);
  for (std::size_t size = 0; size < input.size(); ++size) {
    Socks5ReplyReader reader;
    CHECK(reader.handle_input(Bytes(input).first(size)) == size);
    CHECK(reader.state() == State::kReading);
  }
}

TEST_CASE("A failure is known with its code, whether an address follows or not") {
  for (int code = 1; code < 256; ++code) {
    Socks5ReplyReader reader;
    const Octets input{5, 0, 5, static_cast<std::uint8_t>(code), 0, 9};
    CHECK(reader.handle_input(input) == 4);
    CHECK(reader.state() == State::kComplete);
    CHECK(static_cast<int>(reader.code()) == code);
    CHECK(reader.handle_input(input) == 0);
  }
}

TEST_CASE("What is no SOCKS5 ends the reading at its first wrong byte") {
  struct Case {
    Octets input;
    std::size_t taken;
    State state;
  };
  for (const auto& [input, taken, state] : {
           Case{{'H', 'T', 'T', 'P'}, 1, State::kNotSocks5},
           Case{{4, 0}, 1, State::kNotSocks5},
           Case{{5, 0, 4, 0}, 3, State::kNotSocks5},
           Case{{5, 0, 5, 0, 0, 2, 1}, 6, State::kNotSocks5},
           Case{{5, 0, 5, 0, 0, 0, 1}, 6, State::kNotSocks5},
           Case{{5, 2, 5, 0}, 2, State::kUnauthorised},
           Case{{5, 255, 5, 0}, 2, State::kUnauthorised},
       }) {
    Socks5ReplyReader reader;
    CHECK(reader.handle_input(input) == taken);
    CHECK(reader.state() == state);
    CHECK(reader.handle_input(input) == 0);
  }
}

}  // namespace
}  // namespace kcptun::socks5_client_test
