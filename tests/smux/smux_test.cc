#include "tests/smux/smux_end.h"

namespace kcptun::smux_test {
namespace {

using namespace test;

}  // namespace

TEST_CASE("a client opens streams 3, 5, 7 with SYN frames") {
  const std::uint32_t version = GENERATE(1u, 2u);
  End client(Role::kClient, settings(version));
  CHECK(client.smux.open_stream() == 3u);
  CHECK(client.smux.open_stream() == 5u);
  CHECK(client.smux.open_stream() == 7u);
  std::vector<std::uint8_t> out;
  client.smux.poll_control(out, SIZE_MAX);
  CHECK(decode(out) == Frames{frame(SmuxCommand::kSyn, 3, {}, version),
                              frame(SmuxCommand::kSyn, 5, {}, version),
                              frame(SmuxCommand::kSyn, 7, {}, version),
                              frame(SmuxCommand::kNop, kProgramMark, {}, version)});
  CHECK_FALSE(client.smux.has_control());
}

TEST_CASE("frames mean the same however the byte stream is cut") {
  const std::uint32_t version = GENERATE(1u, 2u);
  std::vector<std::uint8_t> bytes;
  const auto add = [&bytes](const Frame& f) {
    const auto one = encode(f);
    bytes.insert(bytes.end(), one.begin(), one.end());
  };
  add(frame(SmuxCommand::kSyn, 3, {}, version));
  add(frame(SmuxCommand::kPush, 3, "hello", version));
  add(frame(SmuxCommand::kNop, 0, {}, version));
  if (version == 2) add(update(3, 0, 1000000));
  add(frame(SmuxCommand::kPush, 3, "", version));
  add(frame(SmuxCommand::kPush, 99, "unknown", version));
  add(frame(SmuxCommand::kPush, 3, "world", version));
  add(frame(SmuxCommand::kFin, 3, {}, version));
  for (std::size_t step = 1; step <= bytes.size(); ++step) {
    End server(Role::kServer, settings(version));
    std::string data;
    std::string others;
    for (std::size_t at = 0; at < bytes.size(); at += step) {
      const std::size_t size = std::min(step, bytes.size() - at);
      server.give(std::vector<std::uint8_t>(bytes.begin() + static_cast<std::ptrdiff_t>(at),
                                            bytes.begin() + static_cast<std::ptrdiff_t>(at + size)));
      while (const auto e = server.smux.poll_event()) {
        if (e->type == Type::kData)
          data.append(e->data.begin(), e->data.end());
        else
          others += e->type == Type::kOpened ? "o" : e->type == Type::kFinished ? "f" : "?";
      }
    }
    REQUIRE(server.smux.error().empty());
    REQUIRE(data == "helloworld");
    REQUIRE(others == "of");
    REQUIRE(server.smux.counters().discarded_bytes == 7);
    REQUIRE(server.smux.stream_room(3) == (version == 2 ? 1000000 : SIZE_MAX));
  }
}

TEST_CASE("data events are views of the bytes given") {
  End server = server_with_stream();
  std::vector<std::uint8_t> bytes = encode(frame(SmuxCommand::kPush, 3, "hello"));
  server.smux.handle_bytes(kStart, bytes);
  const auto event = server.smux.poll_event();
  REQUIRE(event);
  CHECK(event->data.data() == bytes.data() + kFrameHeader);
  CHECK(std::string(event->data.begin(), event->data.end()) == "hello");
}

TEST_CASE("version 2 begins with a window of 262144 bytes, version 1 has none") {
  End two = server_with_stream();
  CHECK(two.smux.stream_room(3) == 262144);
  two.smux.record_sent(3, 262000);
  CHECK(two.smux.stream_room(3) == 144);
  two.smux.record_sent(3, 144);
  CHECK(two.smux.stream_room(3) == 0);
  End one = server_with_stream(settings(1));
  one.smux.record_sent(3, 10000000);
  CHECK(one.smux.stream_room(3) == SIZE_MAX);
}

TEST_CASE("a stream without room is told of the peer's next word about it") {
  End server = server_with_stream();
  server.smux.record_sent(3, 262144);
  server.give(update(3, 100, 262144));
  CHECK(server.events().empty());  // no kWritable was due
  CHECK(server.smux.stream_room(3) == 100);
  server.smux.record_sent(3, 100);
  CHECK(server.smux.stream_room(3) == 0);
  server.give(update(3, 100, 262144));
  CHECK(server.events() == Strings{"writable 3"});  // no room yet, but the peer is active
  CHECK(server.smux.stream_room(3) == 0);
  server.give(update(3, 200, 262144));
  CHECK(server.events() == Strings{"writable 3"});
  CHECK(server.smux.stream_room(3) == 100);
}

TEST_CASE("a window smaller than what is under way gives no room") {
  End server = server_with_stream();
  server.smux.record_sent(3, 1000);
  server.give(update(3, 0, 10));
  CHECK(server.smux.stream_room(3) == 0);
  server.give(update(3, 990, 10));
  CHECK(server.smux.stream_room(3) == 0);
  server.give(update(3, 991, 10));
  CHECK(server.smux.stream_room(3) == 1);
}

TEST_CASE("buffers that follow the receive window are told of, and only grow") {
  SmuxSettings s = settings();
  s.stream_buffer = 1000;
  s.receive_buffer = 1000;
  s.buffers_follow_window = true;
  End server = server_with_stream(s);
  const std::string text(8000, 'x');
  server.give(frame(SmuxCommand::kPush, 3, text));
  CHECK(server.smux.budget().limit() == 1000);
  server.smux.fit_buffers(9000);
  server.smux.fit_buffers(500);
  CHECK(server.smux.budget().limit() == 18000);
  server.events();
  server.smux.consume(3, 8000);
  CHECK(server.control() == Frames{update(3, 8000, 9000)});
}

TEST_CASE(
    "a buffer that grew is told of after an eighth of the window that the peer knows, which may be all that "
    "it has") {
  SmuxSettings s = settings();
  s.stream_buffer = 1000;
  s.buffers_follow_window = true;
  End server = server_with_stream(s);
  server.give(frame(SmuxCommand::kPush, 3, std::string(1001, 'x')));
  server.events();
  server.smux.consume(3, 1);
  CHECK(server.control() == Frames{update(3, 1, 1000)});
  server.smux.fit_buffers(9000);  // an eighth of which is more than the peer can send
  server.smux.consume(3, 124);
  CHECK(server.control().empty());
  server.smux.consume(3, 1);
  CHECK(server.control() == Frames{update(3, 126, 9000)});
  server.smux.consume(3, 875);
  CHECK(server.control().empty());
}

TEST_CASE("consumption is told at the first read and after each eighth of the stream buffer") {
  SmuxSettings s = settings();
  s.stream_buffer = 1000;
  End server = server_with_stream(s);
  const std::string text(5000, 'x');
  server.give(frame(SmuxCommand::kPush, 3, text));
  server.events();
  server.smux.consume(3, 1);
  CHECK(server.control() == Frames{update(3, 1, 1000)});
  server.smux.consume(3, 124);
  CHECK(server.control().empty());
  server.smux.consume(3, 1);
  CHECK(server.control() == Frames{update(3, 126, 1000)});
  server.smux.consume(3, 4874);
  CHECK(server.control() == Frames{update(3, 5000, 1000)});
  End one = server_with_stream(settings(1));
  one.give(frame(SmuxCommand::kPush, 3, text, 1));
  one.events();
  one.smux.consume(3, 5000);
  CHECK(one.control().empty());
}

TEST_CASE("counts of consumed bytes wrap at 2^32, both ways") {
  End server = server_with_stream();
  std::vector<std::uint8_t> bytes = encode(frame(SmuxCommand::kPush, 3, std::string(65535, 'x')));
  std::uint64_t total = 0;
  std::uint32_t told = 0;
  while (total < (std::uint64_t{1} << 32) + 5000000) {
    server.smux.handle_bytes(kStart, bytes);
    while (const auto e = server.smux.poll_event()) server.smux.consume(3, e->data.size());
    total += 65535;
    server.smux.record_sent(3, 65535);
    server.give(update(3, static_cast<std::uint32_t>(total), 262144));
    if (!server.smux.has_control()) continue;
    for (const Frame& f : server.control()) told = load_u32(f.payload.data());
    REQUIRE(told == static_cast<std::uint32_t>(total));
  }
  CHECK(server.smux.counters().broken_streams == 0);
  CHECK(server.smux.stream_room(3) == 262144);
  server.smux.record_sent(3, 100);
  server.give(update(3, static_cast<std::uint32_t>(total) + 101, 262144));
  CHECK(server.smux.counters().broken_streams == 1);
}

TEST_CASE("a peer that claims to have consumed more than was sent breaks that stream and no other") {
  End server = server_with_stream();
  server.give(frame(SmuxCommand::kSyn, 5));
  server.events();
  server.smux.record_sent(3, 10);
  server.give(frame(SmuxCommand::kPush, 3, "unread"));
  server.events();
  server.give(update(3, 11, 262144));
  CHECK(server.events() == Strings{"broken 3"});
  CHECK(server.smux.error().empty());
  CHECK(server.smux.buffered() == 6);  // earlier bytes can still be read
  CHECK(server.smux.stream_room(3) == 0);
  CHECK(server.control() == Frames{frame(SmuxCommand::kFin, 3)});
  server.smux.consume(3, 6);
  CHECK_FALSE(server.smux.has_control());
  CHECK(server.smux.buffered() == 0);
  CHECK(server.smux.streams() == 1);
  CHECK(server.smux.stream_room(5) == 262144);
}

TEST_CASE("another version, a wrong length or an unknown command ends the session") {
  const auto [f, version] = GENERATE(table<Frame, std::uint32_t>({
      {frame(SmuxCommand::kNop, 0, {}, 1), 2},
      {frame(SmuxCommand::kNop, 0, {}, 2), 1},
      {frame(SmuxCommand::kNop, 0, {}, 0), 2},
      {frame(SmuxCommand::kSyn, 3, "x"), 2},
      {frame(SmuxCommand::kFin, 3, "x"), 2},
      {frame(SmuxCommand::kNop, 0, "x"), 2},
      {frame(SmuxCommand::kUpdate, 3, "1234567"), 2},
      {frame(SmuxCommand::kUpdate, 3, "123456789"), 2},
      {frame(SmuxCommand::kUpdate, 3, ""), 2},
      {frame(SmuxCommand::kUpdate, 3, "12345678", 1), 1},
      {frame(SmuxCommand{5}, 3), 2},
      {frame(SmuxCommand{255}, 3), 2},
  }));
  End server(Role::kServer, settings(version));
  server.give(f);
  CHECK_FALSE(server.smux.error().empty());
  server.give(frame(SmuxCommand::kSyn, 3, {}, version));  // too late
  CHECK(server.events().empty());
  CHECK(server.smux.streams() == 0);
}

TEST_CASE("a server opens no streams") {
  End client(Role::kClient);
  client.give(frame(SmuxCommand::kSyn, 2));
  CHECK_FALSE(client.smux.error().empty());
}

TEST_CASE("a stream ends when both sides have finished and all was consumed") {
  const std::uint32_t version = GENERATE(1u, 2u);
  const bool we_first = GENERATE(false, true);
  End server = server_with_stream(settings(version));
  if (we_first) server.smux.finish(3);
  server.give(frame(SmuxCommand::kPush, 3, "tail", version));
  server.give(frame(SmuxCommand::kFin, 3, {}, version));
  CHECK(server.events() == Strings{"data 3 tail", "finished 3"});
  if (!we_first) server.smux.finish(3);
  CHECK(server.control().back() == frame(SmuxCommand::kFin, 3, {}, version));
  CHECK(server.smux.streams() == 1);
  CHECK(server.smux.buffered() == 4);
  server.smux.consume(3, 4);
  CHECK(server.smux.streams() == 0);
  CHECK(server.smux.buffered() == 0);
  CHECK_FALSE(server.smux.has_control());
}

TEST_CASE("after a half-close data flows on in the other direction") {
  End server = server_with_stream();
  server.smux.finish(3);
  CHECK(server.smux.stream_room(3) == 0);
  CHECK(server.control() == Frames{frame(SmuxCommand::kFin, 3)});
  server.smux.finish(3);
  CHECK_FALSE(server.smux.has_control());
  server.give(frame(SmuxCommand::kPush, 3, "answer"));
  CHECK(server.events() == Strings{"data 3 answer"});
  server.smux.consume(3, 6);
  CHECK(server.smux.streams() == 1);
}

TEST_CASE("data behind the peer's FIN is discarded, and a second FIN is nothing new") {
  End server = server_with_stream();
  server.give(frame(SmuxCommand::kFin, 3));
  server.give(frame(SmuxCommand::kPush, 3, "late"));
  server.give(frame(SmuxCommand::kFin, 3));
  CHECK(server.events() == Strings{"finished 3"});
  CHECK(server.smux.counters().discarded_bytes == 4);
  CHECK(server.smux.buffered() == 0);
}

TEST_CASE("a stream reset is gone at once, and the peer is told to give it up too") {
  End server = server_with_stream();
  server.give(frame(SmuxCommand::kPush, 3, "unread"));
  server.events();
  server.smux.reset_stream(3);
  CHECK(server.smux.buffered() == 0);
  const auto told = server.control();
  REQUIRE(told.size() == 2);
  CHECK(told[0].command == static_cast<std::uint8_t>(SmuxCommand::kUpdate));
  CHECK(told[1] == frame(SmuxCommand::kFin, 3));
  CHECK(server.smux.streams() == 0);
  server.give(frame(SmuxCommand::kPush, 3, "more"));
  CHECK(server.events().empty());
  server.smux.consume(3, 6);  // it was read after the FIN had arrived
  CHECK(server.smux.buffered() == 0);

  End client(Role::kClient);
  client.smux.open_stream();
  client.control();
  client.smux.record_sent(3, 10);
  for (const Frame& f : told) client.give(f);
  CHECK(client.events() == Strings{"broken 3"});
}

TEST_CASE("with version 1 a stream reset is only finished, and what still comes is discarded") {
  End server = server_with_stream(settings(1));
  server.smux.reset_stream(3);
  CHECK(server.control() == Frames{frame(SmuxCommand::kFin, 3, {}, 1)});
  CHECK(server.smux.streams() == 0);
  server.give(frame(SmuxCommand::kPush, 3, "more", 1));
  CHECK(server.smux.counters().discarded_bytes == 4);
}

TEST_CASE("a stream opened and given up before anything left is both opened and ended for the peer") {
  End client(Role::kClient);
  client.smux.open_stream();
  client.smux.reset_stream(3);
  const auto told = client.control();
  REQUIRE(told.size() == 4);
  CHECK(told.front() == frame(SmuxCommand::kSyn, 3));
  CHECK(told[2] == frame(SmuxCommand::kFin, 3));
  CHECK(told.back() == kMark);
  CHECK(client.smux.streams() == 0);
}

TEST_CASE("streams beyond the limit are refused") {
  SmuxSettings s = settings();
  s.max_streams = 2;
  End server(Role::kServer, s);
  for (const std::uint32_t sid : {3u, 5u, 7u}) server.give(frame(SmuxCommand::kSyn, sid));
  CHECK(server.events() == Strings{"opened 3", "opened 5"});
  CHECK(server.smux.counters().rejected_streams == 1);
  const auto told = server.control();
  REQUIRE(told.size() == 2);
  CHECK(told[0].sid == 7);
  CHECK(told[1] == frame(SmuxCommand::kFin, 7));
  CHECK(server.smux.streams() == 2);
  End client(Role::kClient, s);
  CHECK(client.smux.open_stream());
  CHECK(client.smux.open_stream());
  CHECK_FALSE(client.smux.open_stream());
}

TEST_CASE("a flood of refused streams is bounded") {
  SmuxSettings s = settings();
  s.max_streams = 10;
  End server(Role::kServer, s);
  for (std::uint32_t sid = 3; sid < 20003; sid += 2) server.give(frame(SmuxCommand::kSyn, sid));
  CHECK(server.smux.streams() == 20);
  CHECK(server.smux.counters().rejected_streams == 9990);
  server.control();
  CHECK(server.smux.streams() == 10);
}

TEST_CASE("a second SYN of an open stream changes nothing") {
  End server = server_with_stream();
  server.smux.set_tag(3, 77);
  server.give(frame(SmuxCommand::kSyn, 3));
  server.give(frame(SmuxCommand::kPush, 3, "x"));
  const auto event = server.smux.poll_event();
  CHECK(event->type == Type::kData);
  CHECK(event->tag == 77);
}

TEST_CASE("the session takes no more while its budget is used up") {
  SmuxSettings s = settings(1);
  s.receive_buffer = 100;
  End server = server_with_stream(s);
  server.give(frame(SmuxCommand::kPush, 3, std::string(99, 'x'), 1));
  CHECK(server.smux.can_receive());
  server.give(frame(SmuxCommand::kPush, 3, "x", 1));
  CHECK_FALSE(server.smux.can_receive());
  server.events();
  server.smux.consume(3, 1);
  CHECK(server.smux.can_receive());
  CHECK(server.smux.buffered() == 99);
  server.smux.reset_stream(3);
  CHECK(server.smux.buffered() == 0);
}

TEST_CASE("a stream opened anew in the batch that broke it does not inherit its events") {
  End server = server_with_stream();
  server.smux.finish(3);
  server.control();  // removes the FIN
  server.give(frame(SmuxCommand::kPush, 3, "abc"));
  server.give(update(3, 0x7fffffff, 1000));  // claims bytes that were never sent
  server.give(frame(SmuxCommand::kSyn, 3));
  CHECK(server.events() == Strings{"data 3 abc", "broken 3"});
  server.smux.consume(3, 3);
  server.control();
  CHECK(server.smux.streams() == 0);
  CHECK(server.smux.buffered() == 0);
}

TEST_CASE("an abandoned stream breaks at the peer even if the peer has finished, in version 2") {
  End server = server_with_stream();
  server.give(frame(SmuxCommand::kFin, 3));
  server.events();
  server.smux.reset_stream(3);
  const auto frames = server.control();
  REQUIRE(frames.size() == 2);
  CHECK(frames[0].command == static_cast<std::uint8_t>(SmuxCommand::kUpdate));
  CHECK(frames[1] == frame(SmuxCommand::kFin, 3));
}

TEST_CASE("a stream that we only read is told to be alive with each keepalive") {
  End client(Role::kClient);
  client.smux.open_stream();
  client.smux.finish(3);
  client.control();
  client.now += seconds(10);
  client.smux.handle_timeout(client.now, false);
  CHECK(client.control() == Frames{frame(SmuxCommand::kNop, 0), update(3, 0, settings().stream_buffer)});
}

TEST_CASE("a NOP leaves every keepalive interval") {
  End client(Role::kClient);
  for (int i = 1; i <= 5; ++i) {
    CHECK(client.smux.next_timeout() <= kStart + i * seconds(10));
    client.now = kStart + i * seconds(10);
    client.smux.handle_timeout(client.now - Duration(1), false);
    CHECK_FALSE(client.smux.has_control());
    client.smux.handle_timeout(client.now, false);
    CHECK(client.control() == Frames{frame(SmuxCommand::kNop, 0)});
    client.give(frame(SmuxCommand::kNop, 0));
  }
  CHECK_FALSE(client.smux.dead());
}

TEST_CASE(
    "a session on which nothing arrives for 30 s is dead, not earlier, and not if its reader is stopped") {
  End client(Role::kClient);
  client.now = kStart + seconds(7);
  client.give(frame(SmuxCommand::kNop, 0));
  client.smux.handle_timeout(client.now + seconds(30) - Duration(1), false);
  CHECK_FALSE(client.smux.dead());
  CHECK(client.smux.next_timeout() <= client.now + seconds(30));
  client.smux.handle_timeout(client.now + seconds(30), false);
  CHECK(client.smux.dead());

  End stalled(Role::kClient);
  for (int i = 0; i < 20; ++i) {
    stalled.now += seconds(10);
    stalled.smux.handle_timeout(stalled.now, true);
  }
  CHECK_FALSE(stalled.smux.dead());
  stalled.smux.handle_timeout(stalled.now + seconds(19), false);
  CHECK_FALSE(stalled.smux.dead());  // the peer gets its time again after the stall
}

}  // namespace kcptun::smux_test
