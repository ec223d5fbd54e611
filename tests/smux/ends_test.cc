// Ends of streams: the reset frame between programs of this project, and ends that wait until another peer
// has read.
#include "tests/smux/smux_end.h"

namespace kcptun::ends_test {
namespace {

using namespace test;

/// A server whose peer has opened stream 3 and marked itself. The server's answers were removed.
End server_of_ours(std::uint32_t version) {
  End server = server_with_stream(settings(version));
  server.give(frame(SmuxCommand::kNop, kProgramMark, {}, version));
  CHECK(server.control() == Frames{frame(SmuxCommand::kNop, kProgramMark, {}, version)});
  return server;
}

/// A server whose peer is not a program of this project, has opened stream 3 and has closed it. The server
/// has sent it 100 bytes before position 5.
End server_that_answered(std::uint32_t version) {
  End server = server_with_stream(settings(version));
  server.give(frame(SmuxCommand::kFin, 3, {}, version));
  server.events();
  server.smux.record_sent(3, 100);
  return server;
}

void wait(End& end, Duration by) {
  end.now += by;
  if (end.smux.next_timeout() <= end.now) end.smux.handle_timeout(end.now, false);
}

/// Control frames except keepalives, with those that become due within `by`, in steps of 100 ms.
Frames control_within(End& end, Duration by) {
  Frames told;
  for (Duration waited(0); waited < by; waited += milliseconds(100)) {
    wait(end, milliseconds(100));
    for (const Frame& f : end.control())
      if (f.sid != 0) told.push_back(f);
    end.give(frame(SmuxCommand::kNop, 0, {}, end.smux.version()));  // the peer is alive
  }
  return told;
}

}  // namespace

TEST_CASE("a client marks its session behind the first SYN, once; a server answers a mark, once") {
  End client(Role::kClient);
  client.smux.open_stream();
  CHECK(client.control() == Frames{frame(SmuxCommand::kSyn, 3), kMark});
  client.smux.open_stream();
  CHECK(client.control() == Frames{frame(SmuxCommand::kSyn, 5)});
  CHECK_FALSE(client.smux.peer_is_ours());

  End server(Role::kServer);
  server.give(frame(SmuxCommand::kSyn, 3));
  CHECK_FALSE(server.smux.has_control());  // the peer has not marked itself, so nothing is sent
  CHECK_FALSE(server.smux.peer_is_ours());
  for (int i = 0; i < 2; ++i) server.give(kMark);
  CHECK(server.control() == Frames{kMark});
  CHECK(server.smux.peer_is_ours());
  client.give(kMark);
  CHECK_FALSE(client.smux.has_control());
  CHECK(client.smux.peer_is_ours());
}

TEST_CASE("a reset of one of ours comes behind the bytes, which count until they are consumed") {
  const std::uint32_t version = GENERATE(1u, 2u);
  End server = server_of_ours(version);
  server.give(frame(SmuxCommand::kPush, 3, "all of it", version));
  server.give(frame(SmuxCommand::kNop, 3, {}, version));
  server.give(frame(SmuxCommand::kPush, 3, "behind", version));
  CHECK(server.smux.buffered() == 9);
  CHECK(server.events() == Strings{"data 3 all of it", "broken 3"});
  CHECK(server.smux.stream_room(3) == 0);
  CHECK(server.smux.counters().discarded_bytes == 6);
  CHECK(server.smux.streams() == 1);
  server.smux.consume(3, 9);
  CHECK(server.smux.streams() == 0);
  CHECK(server.smux.buffered() == 0);
  CHECK_FALSE(server.smux.has_control());  // the peer has already removed the stream
}

TEST_CASE("an owner may give up a stream that the peer has reset") {
  End server = server_of_ours(2);
  server.give(frame(SmuxCommand::kPush, 3, "unread"));
  server.give(frame(SmuxCommand::kNop, 3));
  server.events();
  server.smux.reset_stream(3);
  CHECK(server.smux.buffered() == 0);
  CHECK(server.control().empty());
  CHECK(server.smux.streams() == 0);
}

TEST_CASE("one of ours is told of a reset by one frame, at once and also behind a FIN") {
  const std::uint32_t version = GENERATE(1u, 2u);
  const bool finished = GENERATE(false, true);
  End server = server_of_ours(version);
  server.smux.record_sent(3, 100);
  if (finished) server.smux.finish(3);
  server.control();
  server.smux.reset_stream(3);
  CHECK(server.control() == Frames{frame(SmuxCommand::kNop, 3, {}, version)});
  CHECK(server.smux.streams() == 0);
}

TEST_CASE("a reset frame of a peer that has not marked itself is a keepalive") {
  End server = server_with_stream();
  server.give(frame(SmuxCommand::kNop, 3));
  CHECK(server.events().empty());
  CHECK(server.smux.stream_room(3) > 0);
}

TEST_CASE(
    "the FIN behind the peer's waits until all is acknowledged and a second more, unless the peer is ours") {
  const std::uint32_t version = GENERATE(1u, 2u);
  End server = server_that_answered(version);
  server.smux.finish(3, 5);
  CHECK_FALSE(server.smux.has_control());
  CHECK(server.smux.lingering());
  CHECK(control_within(server, seconds(5)).empty());
  server.smux.handle_acknowledged(server.now, 4);
  CHECK(control_within(server, seconds(5)).empty());
  if (version == 2) server.give(update(3, 99, 262144));
  server.smux.handle_acknowledged(server.now, 5);
  CHECK(control_within(server, milliseconds(900)).empty());
  CHECK(control_within(server, milliseconds(200)) == Frames{frame(SmuxCommand::kFin, 3, {}, version)});
  CHECK(server.smux.streams() == 0);
  CHECK_FALSE(server.smux.lingering());

  End ours = server_of_ours(version);
  ours.give(frame(SmuxCommand::kFin, 3, {}, version));
  ours.events();
  ours.smux.record_sent(3, 100);
  ours.smux.finish(3, 5);
  CHECK(ours.control() == Frames{frame(SmuxCommand::kFin, 3, {}, version)});
}

TEST_CASE("a FIN that comes first waits until all is acknowledged and 0.2 s more, unless the peer is ours") {
  const std::uint32_t version = GENERATE(1u, 2u);
  End server = server_with_stream(settings(version));
  server.smux.record_sent(3, 100);
  server.smux.finish(3, 5);
  CHECK(server.smux.lingering());
  CHECK(control_within(server, seconds(5)).empty());
  if (version == 2) server.give(update(3, 99, 262144));
  server.smux.handle_acknowledged(server.now, 5);
  CHECK(control_within(server, milliseconds(100)).empty());
  CHECK(control_within(server, milliseconds(200)) == Frames{frame(SmuxCommand::kFin, 3, {}, version)});
  CHECK_FALSE(server.smux.lingering());
  CHECK(server.smux.streams() == 1);  // the peer's direction is open

  End ours = server_of_ours(version);
  ours.smux.record_sent(3, 100);
  ours.smux.finish(3, 5);
  CHECK(ours.control() == Frames{frame(SmuxCommand::kFin, 3, {}, version)});
}

TEST_CASE("a FIN whose peer closes meanwhile waits a second") {
  const std::uint32_t version = GENERATE(1u, 2u);
  End server = server_with_stream(settings(version));
  server.smux.record_sent(3, 100);
  if (version == 2) server.give(update(3, 99, 262144));
  server.smux.finish(3, 5);
  server.smux.handle_acknowledged(server.now, 5);
  CHECK(control_within(server, milliseconds(100)).empty());
  server.give(frame(SmuxCommand::kFin, 3, {}, version));
  server.events();
  CHECK(control_within(server, milliseconds(900)).empty());
  CHECK(control_within(server, milliseconds(400)) == Frames{frame(SmuxCommand::kFin, 3, {}, version)});
  CHECK(server.smux.streams() == 0);
  CHECK_FALSE(server.smux.lingering());
}

TEST_CASE("a reset of a stream whose FIN waits leaves once, behind the longer wait") {
  End server = server_with_stream();
  server.smux.record_sent(3, 100);
  server.give(update(3, 99, 262144));
  server.smux.finish(3, 5);
  server.smux.reset_stream(3, 5);
  server.smux.handle_acknowledged(server.now, 5);
  CHECK(control_within(server, milliseconds(1000)).empty());
  const Frames told = control_within(server, milliseconds(400));
  REQUIRE(told.size() == 2);
  CHECK(told[0].command == static_cast<std::uint8_t>(SmuxCommand::kUpdate));
  CHECK(told[1] == frame(SmuxCommand::kFin, 3));
  CHECK(server.smux.streams() == 0);
}

TEST_CASE("a FIN behind nothing waits for nothing") {
  const std::uint32_t version = GENERATE(1u, 2u);
  const bool second = GENERATE(false, true);
  End server = server_with_stream(settings(version));
  if (second) server.give(frame(SmuxCommand::kFin, 3, {}, version));
  server.events();
  server.smux.finish(3, 5);
  CHECK(server.control() == Frames{frame(SmuxCommand::kFin, 3, {}, version)});
}

TEST_CASE("version 2's updates let a FIN go as soon as the peer has read all") {
  const bool before = GENERATE(false, true);
  End server = server_that_answered(2);
  if (before) server.give(update(3, 100, 262144));
  server.smux.finish(3, 5);
  if (!before) {
    CHECK_FALSE(server.smux.has_control());
    server.give(update(3, 100, 262144));
  }
  CHECK(server.control() == Frames{frame(SmuxCommand::kFin, 3)});
  CHECK(server.smux.streams() == 0);
}

TEST_CASE("a FIN waits for a peer that reads slowly: twice as long as it took for the part before") {
  End server = server_that_answered(2);
  server.smux.record_sent(3, 199'900);  // the peer sends an update for each 50,000 bytes
  server.give(update(3, 100'000, 100'000));
  server.smux.finish(3, 5);
  server.smux.handle_acknowledged(server.now, 5);
  CHECK(control_within(server, seconds(5)).empty());  // the peer has more to acknowledge
  server.give(update(3, 150'100, 100'000));           // five seconds for the last part
  CHECK(control_within(server, milliseconds(9900)).empty());
  CHECK(control_within(server, milliseconds(1200)) == Frames{frame(SmuxCommand::kFin, 3)});
}

TEST_CASE("a FIN waits 30 s at most for a peer that tells nothing") {
  End server = server_that_answered(2);
  server.smux.finish(3, 5);
  server.smux.handle_acknowledged(server.now, 5);
  CHECK(control_within(server, milliseconds(29'900)).empty());
  CHECK(control_within(server, milliseconds(1200)) == Frames{frame(SmuxCommand::kFin, 3)});
}

TEST_CASE(
    "a reset of a stream whose peer may not have read all waits likewise, and takes nothing more meanwhile") {
  End server = server_with_stream();
  server.smux.record_sent(3, 100);
  server.give(frame(SmuxCommand::kPush, 3, "unread"));
  server.events();
  server.smux.reset_stream(3, 5);
  CHECK(server.smux.buffered() == 0);
  CHECK(control_within(server, seconds(2)).empty());
  server.give(frame(SmuxCommand::kPush, 3, "more"));
  CHECK(server.events().empty());
  server.give(frame(SmuxCommand::kSyn, 3));  // no new stream while the previous one exists
  CHECK(server.events().empty());
  server.give(update(3, 100, 262144));
  const Frames told = server.control();
  REQUIRE(told.size() == 2);
  CHECK(told[0].command == static_cast<std::uint8_t>(SmuxCommand::kUpdate));
  CHECK(told[1] == frame(SmuxCommand::kFin, 3));
  CHECK(server.smux.streams() == 0);
}

TEST_CASE("ends that wait go when the peer marks itself, and when they are let go") {
  const bool mark = GENERATE(false, true);
  End server = server_with_stream();
  server.smux.record_sent(3, 100);
  server.smux.reset_stream(3, 5);
  CHECK_FALSE(server.smux.has_control());
  if (mark) {
    server.give(kMark);
    // A peer that has not seen the mark ignores resets.
    CHECK(server.control() == Frames{kMark, frame(SmuxCommand::kNop, 3)});
  } else {
    server.smux.release_lingering();
    CHECK(server.control().size() == 2);
  }
  CHECK_FALSE(server.smux.lingering());
  CHECK(server.smux.streams() == 0);
}

TEST_CASE("input that nobody reads is dropped and holds nothing up") {
  const std::uint32_t version = GENERATE(1u, 2u);
  End server = server_with_stream(settings(version));
  server.give(frame(SmuxCommand::kPush, 3, "unread", version));
  server.events();
  server.give(frame(SmuxCommand::kPush, 3, "not polled", version));
  server.smux.discard_input(3);
  CHECK(server.smux.buffered() == 0);
  server.give(frame(SmuxCommand::kPush, 3, "more", version));
  server.give(frame(SmuxCommand::kFin, 3, {}, version));
  CHECK(server.events() == Strings{"finished 3"});
  CHECK(server.smux.buffered() == 0);
  CHECK(server.smux.stream_room(3) > 0);  // the direction to the peer stays open
  server.smux.finish(3);
  server.control();
  CHECK(server.smux.streams() == 0);
}

TEST_CASE("streams that are over do not pile up where their ends waited") {
  End server(Role::kServer);
  for (std::uint32_t sid = 3; sid < 20'003; sid += 2) {
    server.give(frame(SmuxCommand::kSyn, sid));
    server.give(frame(SmuxCommand::kFin, sid));
    server.events();
    server.smux.record_sent(sid, 1);
    server.smux.finish(sid, sid);
    server.give(update(sid, 1, 262144));
    server.control();
  }
  CHECK(server.smux.streams() == 0);
  server.smux.handle_acknowledged(server.now, 3);
  wait(server, seconds(2));
  CHECK(server.smux.lingering() == true);  // the entries of the last ones, which are no longer needed
  server.smux.handle_acknowledged(server.now, 20'003);
  wait(server, seconds(2));
  CHECK_FALSE(server.smux.lingering());
}

}  // namespace kcptun::ends_test
