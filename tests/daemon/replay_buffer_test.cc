// The bytes of a stream kept for its restart, on both sides of the bound.
#include "daemon/engine/replay_buffer.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <string>
#include <vector>

namespace kcptun::replay_buffer_test {
namespace {

/// Records the text in pieces of three bytes, as a read into segments does.
void record(ReplayBuffer& buffer, std::string text) {
  std::vector<MutableBytes> pieces;
  auto* const data = reinterpret_cast<std::uint8_t*>(text.data());
  for (std::size_t at = 0; at < text.size(); at += 3)
    pieces.push_back({data + at, std::min<std::size_t>(3, text.size() - at)});
  pieces.push_back({data, 1});  // room that the read did not fill
  buffer.record(pieces, text.size());
}

std::string text_of(Bytes bytes) { return {bytes.begin(), bytes.end()}; }

TEST_CASE("what was read is taken back in order, and sent before anything else in the next session") {
  ReplayBuffer first;
  record(first, "GET / HT");
  record(first, "TP/1.1");
  CHECK(first.unsent().empty());  // sent when it was read
  REQUIRE(first.movable());
  ReplayBuffer second(first.take());
  CHECK(text_of(second.unsent()) == "GET / HTTP/1.1");
  second.drop_unsent(4);
  CHECK(text_of(second.unsent()) == "/ HTTP/1.1");
  ReplayBuffer third(second.take());  // and in the session after it, from the start
  CHECK(text_of(third.unsent()) == "GET / HTTP/1.1");
  third.drop_unsent(14);
  record(third, "!");
  const std::vector<std::uint8_t> all = third.take();
  CHECK(text_of(all) == "GET / HTTP/1.1!");
}

TEST_CASE("a stream that is bound keeps nothing but what it has still to send") {
  ReplayBuffer sent;
  record(sent, "abc");
  sent.bind();
  CHECK_FALSE(sent.movable());
  CHECK(sent.size() == 0);
  record(sent, "def");
  CHECK(sent.size() == 0);
  ReplayBuffer sending(std::vector<std::uint8_t>{'x', 'y', 'z'});
  sending.drop_unsent(1);
  sending.bind();
  CHECK(text_of(sending.unsent()) == "yz");
  sending.drop_unsent(2);
  CHECK(sending.size() == 0);
}

TEST_CASE("kLimit bytes can move, one more cannot") {
  ReplayBuffer buffer;
  record(buffer, std::string(ReplayBuffer::kLimit - 1, 'a'));
  record(buffer, "b");
  CHECK(buffer.movable());
  CHECK(buffer.size() == ReplayBuffer::kLimit);
  record(buffer, "c");
  CHECK_FALSE(buffer.movable());
  CHECK(buffer.size() == 0);
}

}  // namespace
}  // namespace kcptun::replay_buffer_test
