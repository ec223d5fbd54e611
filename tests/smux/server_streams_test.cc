// Streams that a server opens: even sids, only to a client that has announced them, and resets that do not
// look like anything else.
#include "tests/smux/smux_end.h"

namespace kcptun::server_streams_test {
namespace {

using namespace test;

constexpr std::uint32_t kClientBits = kRequestStreams | kServerStreams;

SmuxSettings capable(std::uint32_t bits, std::uint32_t max_streams = 65536) {
  SmuxSettings s = settings();
  s.capabilities = bits;
  s.max_streams = max_streams;
  return s;
}

/// Both ends know each other's capabilities.
struct Pair {
  explicit Pair(std::uint32_t max_streams = 65536)
      : client(Role::kClient, capable(kClientBits)),
        server(Role::kServer, capable(kClientBits, max_streams)) {
    client.smux.announce();
    exchange(client, server);
    exchange(server, client);
  }
  static void exchange(End& from, End& to) {
    for (const Frame& f : from.control()) to.give(f);
  }
  End client;
  End server;
};

}  // namespace

TEST_CASE("a server opens streams of even sids, without a mark of their kind") {
  Pair pair;
  CHECK(pair.server.smux.open_stream() == 2u);
  CHECK(pair.server.smux.open_stream() == 4u);
  const Frames frames = pair.server.control();
  CHECK(frames == Frames{frame(SmuxCommand::kSyn, 2), frame(SmuxCommand::kSyn, 4)});
  for (const Frame& f : frames) pair.client.give(f);
  pair.client.give(frame(SmuxCommand::kPush, 4, "hello"));
  CHECK(pair.client.events() == Strings{"opened 2", "opened 4", "data 4 hello"});
  CHECK(pair.client.smux.open_stream(StreamKind::kRequest) == 3u);
}

TEST_CASE("a client that has not announced it takes no stream of its server") {
  End client(Role::kClient, capable(kRequestStreams));
  client.give(frame(SmuxCommand::kSyn, 2));
  CHECK(client.smux.error() == "the server opened a smux stream");
}

TEST_CASE("a server's stream has an even sid below those of capabilities") {
  for (const std::uint32_t sid : {0u, 3u, 0x80000000u, 0x80000002u, 0xfffffffeu}) {
    End client(Role::kClient, capable(kClientBits));
    client.give(frame(SmuxCommand::kSyn, sid));
    CHECK_FALSE(client.smux.error().empty());
  }
  for (const std::uint32_t sid : {2u, last_server_sid()}) {
    End client(Role::kClient, capable(kClientBits));
    client.give(frame(SmuxCommand::kSyn, sid));
    CHECK(client.events() == Strings{"opened " + std::to_string(sid)});
  }
}

TEST_CASE("a reset of a server's stream works in both directions") {
  Pair pair;
  pair.server.smux.open_stream();
  pair.server.smux.open_stream();
  Pair::exchange(pair.server, pair.client);
  CHECK(pair.client.events() == Strings{"opened 2", "opened 4"});
  pair.server.smux.reset_stream(2);
  Pair::exchange(pair.server, pair.client);
  CHECK(pair.client.events() == Strings{"broken 2"});
  pair.client.smux.reset_stream(4);
  Pair::exchange(pair.client, pair.server);
  CHECK(pair.server.events() == Strings{"broken 4"});
}

TEST_CASE("the mark of a request does not reset the server's stream of that sid") {
  Pair pair;
  pair.server.smux.open_stream();
  pair.server.smux.open_stream();
  pair.server.smux.open_stream();
  CHECK(pair.server.smux.open_stream() == 8u);
  pair.server.control();
  for (const std::uint32_t sid : {3u, 5u, 7u}) {
    pair.server.give(frame(SmuxCommand::kSyn, sid));
    pair.server.give(frame(SmuxCommand::kNop, sid + 1));
  }
  CHECK(pair.server.events() == Strings{"opened 3", "opened 5", "opened 7"});
  CHECK(pair.server.smux.kind(7) == StreamKind::kRequest);
}

TEST_CASE("the mark of a rejected request does not reset the server's stream of that sid") {
  Pair pair(2);
  pair.server.smux.open_stream();
  pair.server.smux.open_stream();
  pair.server.control();
  pair.server.give(frame(SmuxCommand::kSyn, 3));
  pair.server.give(frame(SmuxCommand::kNop, 4));
  CHECK(pair.server.events().empty());
  CHECK(pair.server.smux.has_stream(4));
  CHECK(pair.server.smux.counters().rejected_streams == 1);
}

TEST_CASE("a server leaves out sids that a client has used against the rules") {
  Pair pair;
  pair.server.give(frame(SmuxCommand::kSyn, 2));
  pair.server.give(frame(SmuxCommand::kNop, 0));
  CHECK(pair.server.events() == Strings{"opened 2"});
  CHECK(pair.server.smux.open_stream() == 4u);
}

TEST_CASE("a server's streams count against its bound") {
  Pair pair(1);
  CHECK(pair.server.smux.open_stream() == 2u);
  CHECK_FALSE(pair.server.smux.open_stream().has_value());
}

}  // namespace kcptun::server_streams_test
