// What precedes payload: capabilities behind the mark, and the marks of request streams.
#include "tests/smux/smux_end.h"

namespace kcptun::opening_test {
namespace {

using namespace test;

constexpr std::uint32_t kBoth = kRequestStreams | kDatagramPackets;
const Frame kKeepalive = frame(SmuxCommand::kNop, 0);
const Frame kBothFrame = frame(SmuxCommand::kNop, 0x80000006);  // docs/develop/protocol.md section 12

SmuxSettings capable(std::uint32_t bits, std::uint32_t version = 2) {
  SmuxSettings s = settings(version);
  s.capabilities = bits;
  return s;
}

/// A server whose client marks the kinds of its streams.
End server_of_requests(std::uint32_t version = 2) {
  End server(Role::kServer, settings(version));
  server.give(frame(SmuxCommand::kNop, kProgramMark, {}, version));
  server.give(frame(SmuxCommand::kNop, capability_sid(kRequestStreams), {}, version));
  server.control();
  return server;
}

void exchange(End& from, End& to) {
  for (const Frame& f : from.control()) to.give(f);
}

}  // namespace

TEST_CASE("capability bits stand in the NOP's sid as the protocol says") {
  CHECK(capability_sid(0) == 0x80000000);
  CHECK(capability_sid(kRequestStreams) == 0x80000002);
  CHECK(capability_sid(kDatagramPackets) == 0x80000004);
  CHECK(capability_sid(0xffffffff) == 0xfffffffe);
  for (const std::uint32_t bits : {0u, 1u, 2u, 3u, 0x20000000u, 0x3fffffffu})
    CHECK(capabilities_in(capability_sid(bits)) == bits);
}

TEST_CASE("a server sends its capabilities behind its mark, and only to a peer that marked itself") {
  const std::uint32_t version = GENERATE(1u, 2u);
  End server(Role::kServer, capable(kBoth, version));
  server.give(frame(SmuxCommand::kSyn, 3, {}, version));
  CHECK_FALSE(server.smux.has_control());
  for (int i = 0; i < 2; ++i) server.give(frame(SmuxCommand::kNop, kProgramMark, {}, version));
  CHECK(server.control() == Frames{frame(SmuxCommand::kNop, kProgramMark, {}, version),
                                   frame(SmuxCommand::kNop, 0x80000006, {}, version)});
}

TEST_CASE("a client without request streams begins as before: SYN, mark, and then its capabilities") {
  End client(Role::kClient, capable(kDatagramPackets));
  client.smux.open_stream();
  CHECK(client.control() == Frames{frame(SmuxCommand::kSyn, 3), kMark, frame(SmuxCommand::kNop, 0x80000004)});
}

TEST_CASE("a client with request streams announces itself before its first SYN, behind a keepalive") {
  End client(Role::kClient, capable(kBoth));
  CHECK(client.smux.open_stream(StreamKind::kRequest) == 3u);
  CHECK(client.control() ==
        Frames{kKeepalive, kMark, kBothFrame, frame(SmuxCommand::kSyn, 3), frame(SmuxCommand::kNop, 4)});
  CHECK(client.smux.open_stream() == 5u);
  CHECK(client.control() == Frames{frame(SmuxCommand::kSyn, 5), kKeepalive});
}

TEST_CASE("a client may mark its session without a stream, once") {
  End client(Role::kClient, capable(kBoth));
  for (int i = 0; i < 2; ++i) client.smux.announce();
  CHECK(client.smux.streams() == 0);
  CHECK(client.control() == Frames{kKeepalive, kMark, kBothFrame});
  client.smux.announce();
  CHECK_FALSE(client.smux.has_control());
  client.smux.open_stream();
  CHECK(client.control() == Frames{frame(SmuxCommand::kSyn, 3), kKeepalive});
}

TEST_CASE("a client that has marked its session with a stream does not announce itself again") {
  End client(Role::kClient);
  client.smux.open_stream();
  client.control();
  client.smux.announce();
  CHECK_FALSE(client.smux.has_control());
}

TEST_CASE("both ends know each other's capabilities; without the frame there are none") {
  End client(Role::kClient, capable(kRequestStreams));
  End server(Role::kServer, capable(kBoth));
  client.smux.announce();
  exchange(client, server);
  exchange(server, client);
  CHECK(server.smux.peer_capabilities() == kRequestStreams);
  CHECK(client.smux.peer_capabilities() == kBoth);

  End old_client(Role::kClient);
  End new_server(Role::kServer, capable(kBoth));
  old_client.smux.open_stream();
  exchange(old_client, new_server);
  exchange(new_server, old_client);
  CHECK(new_server.smux.peer_is_ours());
  CHECK(new_server.smux.peer_capabilities() == 0);
  CHECK(new_server.events() == Strings{"opened 3"});
}

TEST_CASE("unknown capability bits are kept apart, and the first announcement counts") {
  End client(Role::kClient);
  client.smux.open_stream();
  client.control();
  client.give(kMark);
  client.give(frame(SmuxCommand::kNop, capability_sid(0x20000000 | kDatagramPackets)));
  CHECK((client.smux.peer_capabilities() & kRequestStreams) == 0);
  CHECK((client.smux.peer_capabilities() & kDatagramPackets) != 0);
  client.give(frame(SmuxCommand::kNop, capability_sid(kRequestStreams)));
  CHECK((client.smux.peer_capabilities() & kRequestStreams) == 0);
  CHECK_FALSE(client.smux.has_control());
}

TEST_CASE("capabilities of a peer that has not marked itself are ignored") {
  End server(Role::kServer);
  server.give(frame(SmuxCommand::kNop, capability_sid(kBoth)));
  CHECK(server.smux.peer_capabilities() == 0);
  server.give(kMark);
  CHECK(server.smux.peer_capabilities() == 0);
}

TEST_CASE("NOPs of other even sids mean nothing, with and without the mark") {
  const bool marked = GENERATE(false, true);
  End server = server_with_stream();
  if (marked) server.give(kMark);
  server.control();
  for (const std::uint32_t sid : {2u, 4u, 6u, 0x756b74u, 0x756b78u, 0x7ffffffeu})
    server.give(frame(SmuxCommand::kNop, sid));
  CHECK(server.smux.error().empty());
  CHECK(server.events().empty());
  CHECK(server.smux.peer_capabilities() == 0);
  CHECK(server.smux.kind(3) == StreamKind::kPlain);
  CHECK(server.smux.stream_room(3) > 0);
}

TEST_CASE("the NOP behind the SYN makes a request stream; it is reported when its kind is known") {
  const std::uint32_t version = GENERATE(1u, 2u);
  End server = server_of_requests(version);
  server.give(frame(SmuxCommand::kSyn, 3, {}, version));
  CHECK(server.events().empty());
  server.give(frame(SmuxCommand::kNop, 4, {}, version));
  CHECK(server.smux.kind(3) == StreamKind::kRequest);
  server.give(frame(SmuxCommand::kPush, 3, "request", version));
  CHECK(server.events() == Strings{"opened 3", "data 3 request"});
}

TEST_CASE("the frame behind the SYN settles a plain stream, whatever it is") {
  const Frame next = GENERATE(frame(SmuxCommand::kNop, 0), frame(SmuxCommand::kNop, 8),
                              frame(SmuxCommand::kPush, 3, "plain"), frame(SmuxCommand::kFin, 3),
                              update(3, 0, 262144), frame(SmuxCommand::kSyn, 3));
  End server = server_of_requests();
  server.give(frame(SmuxCommand::kSyn, 3));
  server.give(next);
  const Strings events = server.events();
  REQUIRE_FALSE(events.empty());
  CHECK(events[0] == "opened 3");
  server.give(frame(SmuxCommand::kNop, 4));  // too late
  CHECK(server.smux.kind(3) == StreamKind::kPlain);
}

TEST_CASE("a SYN settles the stream before it and waits itself") {
  End server = server_of_requests();
  server.give(frame(SmuxCommand::kSyn, 3));
  server.give(frame(SmuxCommand::kSyn, 5));
  CHECK(server.events() == Strings{"opened 3"});
  server.give(frame(SmuxCommand::kNop, 6));
  CHECK(server.events() == Strings{"opened 5"});
  CHECK(server.smux.kind(3) == StreamKind::kPlain);
  CHECK(server.smux.kind(5) == StreamKind::kRequest);
}

TEST_CASE("a second SYN of a stream, or one that is rejected, has no kind") {
  SmuxSettings s = settings();
  s.max_streams = 1;
  End server(Role::kServer, s);
  server.give(kMark);
  server.give(frame(SmuxCommand::kNop, capability_sid(kRequestStreams)));
  server.give(frame(SmuxCommand::kSyn, 3));
  server.give(kKeepalive);
  server.give(frame(SmuxCommand::kSyn, 3));
  server.give(frame(SmuxCommand::kNop, 4));
  server.give(frame(SmuxCommand::kSyn, 5));
  server.give(frame(SmuxCommand::kNop, 6));
  CHECK(server.events() == Strings{"opened 3"});
  CHECK(server.smux.kind(3) == StreamKind::kPlain);
  CHECK(server.smux.counters().rejected_streams == 1);
  CHECK(server.smux.kind(99) == StreamKind::kPlain);
}

TEST_CASE("a request mark of a client that did not announce request streams means nothing") {
  End server = server_with_stream();
  server.give(frame(SmuxCommand::kNop, 4));
  server.give(kMark);
  server.give(frame(SmuxCommand::kSyn, 5));
  server.give(frame(SmuxCommand::kNop, 6));
  CHECK(server.events() == Strings{"opened 5"});
  CHECK(server.smux.kind(3) == StreamKind::kPlain);
  CHECK(server.smux.kind(5) == StreamKind::kPlain);
}

TEST_CASE("a request mark may have the form of capabilities, and does not change them") {
  End server = server_of_requests();
  server.give(frame(SmuxCommand::kSyn, 0x80000005));
  server.give(frame(SmuxCommand::kNop, 0x80000006));
  CHECK(server.smux.kind(0x80000005) == StreamKind::kRequest);
  CHECK(server.smux.peer_capabilities() == kRequestStreams);
}

TEST_CASE("a whole exchange opens streams of both kinds") {
  const std::uint32_t version = GENERATE(1u, 2u);
  End client(Role::kClient, capable(kBoth, version));
  End server(Role::kServer, capable(kBoth, version));
  client.smux.open_stream();
  client.smux.open_stream(StreamKind::kRequest);
  exchange(client, server);
  CHECK(server.events() == Strings{"opened 3", "opened 5"});
  CHECK(server.smux.kind(3) == StreamKind::kPlain);
  CHECK(server.smux.kind(5) == StreamKind::kRequest);
}

}  // namespace kcptun::opening_test
