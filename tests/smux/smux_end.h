// One end of a session without a link, for tests of smux.
#pragma once

#include <algorithm>
#include <catch2/catch.hpp>
#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "core/smux/smux.h"

namespace kcptun::test {

using Type = StreamEvent::Type;
inline const TimePoint kStart{seconds(100)};

inline SmuxSettings settings(std::uint32_t version = 2) {
  SmuxSettings s;
  s.version = version;
  return s;
}

struct Frame {
  std::uint8_t version = 2;
  std::uint8_t command = 0;
  std::uint32_t sid = 0;
  std::vector<std::uint8_t> payload;
  bool operator==(const Frame&) const = default;
};

inline Frame frame(SmuxCommand command, std::uint32_t sid, const std::string& payload = {},
                   std::uint32_t version = 2) {
  return {static_cast<std::uint8_t>(version),
          static_cast<std::uint8_t>(command),
          sid,
          {payload.begin(), payload.end()}};
}
inline Frame update(std::uint32_t sid, std::uint32_t consumed, std::uint32_t window) {
  Frame f = frame(SmuxCommand::kUpdate, sid, std::string(8, '\0'));
  store_u32(f.payload.data(), consumed);
  store_u32(f.payload.data() + 4, window);
  return f;
}

inline std::vector<std::uint8_t> encode(const Frame& f) {
  std::vector<std::uint8_t> out(kFrameHeader);
  write_frame_header(out.data(), {f.version, f.command, static_cast<std::uint16_t>(f.payload.size()), f.sid});
  out.insert(out.end(), f.payload.begin(), f.payload.end());
  return out;
}

inline std::vector<Frame> decode(Bytes bytes) {
  std::vector<Frame> out;
  while (!bytes.empty()) {
    REQUIRE(bytes.size() >= kFrameHeader);
    const FrameHeader h = read_frame_header(bytes.data());
    REQUIRE(bytes.size() >= kFrameHeader + h.length);
    const Bytes payload = bytes.subspan(kFrameHeader, h.length);
    out.push_back({h.version, h.command, h.sid, {payload.begin(), payload.end()}});
    bytes = bytes.subspan(kFrameHeader + h.length);
  }
  return out;
}

/// A Smux and its output.
struct End {
  explicit End(Role role, const SmuxSettings& s = settings()) : smux(role, s, kStart) {}

  /// Stores the bytes, because events are views of them.
  void give(std::vector<std::uint8_t> bytes) { smux.handle_bytes(now, given.emplace_back(std::move(bytes))); }
  void give(const Frame& f) { give(encode(f)); }
  std::vector<Frame> control() {
    std::vector<std::uint8_t> out;
    while (smux.has_control()) smux.poll_control(out, out.size() + 1);
    return decode(out);
  }
  /// Events as text: "opened 3", "data 3 abc", ...
  std::vector<std::string> events() {
    static const char* const names[] = {"opened", "data", "finished", "writable", "broken", "given up"};
    std::vector<std::string> out;
    while (const auto e = smux.poll_event()) {
      std::string text = std::string(names[static_cast<int>(e->type)]) + " " + std::to_string(e->sid);
      if (e->type == Type::kData) text += " " + std::string(e->data.begin(), e->data.end());
      out.push_back(text);
    }
    return out;
  }

  TimePoint now = kStart;
  std::deque<std::vector<std::uint8_t>> given;
  Smux smux;
};

inline End server_with_stream(const SmuxSettings& s = settings(), std::uint32_t sid = 3) {
  End end(Role::kServer, s);
  end.give(frame(SmuxCommand::kSyn, sid, {}, s.version));
  CHECK(end.events() == std::vector<std::string>{"opened " + std::to_string(sid)});
  return end;
}

using Strings = std::vector<std::string>;
using Frames = std::vector<Frame>;

inline const Frame kMark = frame(SmuxCommand::kNop, kProgramMark);

}  // namespace kcptun::test
