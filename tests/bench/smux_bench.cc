// The multiplexer alone: frames in, frames out, streams that come and go.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <vector>

#include "core/smux/frame.h"
#include "core/smux/smux.h"

namespace kcptun {
namespace {

constexpr TimePoint kNow{seconds(1)};
constexpr std::size_t kPiece = 1298;  // the stream comes in KCP segments
constexpr std::uint32_t kFirstSid = 3;
constexpr std::size_t kAll = std::numeric_limits<std::size_t>::max();

void append(std::vector<std::uint8_t>& out, SmuxCommand command, std::uint32_t sid, std::size_t length) {
  const std::size_t at = out.size();
  out.resize(at + kFrameHeader + length, 0x5a);
  write_frame_header(out.data() + at,
                     {2, static_cast<std::uint8_t>(command), static_cast<std::uint16_t>(length), sid});
}

void feed(Smux& smux, std::vector<std::uint8_t>& bytes) {
  MutableBytes rest(bytes);
  while (!rest.empty()) {
    const std::size_t take = std::min(kPiece, rest.size());
    smux.handle_bytes(kNow, rest.first(take));
    rest = rest.subspan(take);
  }
}

/// Frames of `range(0)` bytes in turn for `range(1)` streams, read and given back to the budget.
void smux_parse(benchmark::State& state) {
  const auto frame = static_cast<std::size_t>(state.range(0));
  const auto streams = static_cast<std::uint32_t>(state.range(1));
  Smux smux(Role::kServer, SmuxSettings{}, kNow);
  std::vector<std::uint8_t> bytes, control;
  for (std::uint32_t i = 0; i < streams; ++i) append(bytes, SmuxCommand::kSyn, kFirstSid + 2 * i, 0);
  feed(smux, bytes);
  while (smux.poll_event()) {
  }
  bytes.clear();
  const std::size_t frames = std::max<std::size_t>(65536 / frame, streams);
  for (std::size_t i = 0; i < frames; ++i)
    append(bytes, SmuxCommand::kPush, kFirstSid + 2 * static_cast<std::uint32_t>(i % streams), frame);
  for (auto _ : state) {
    feed(smux, bytes);
    while (const auto event = smux.poll_event()) smux.consume(event->sid, event->data.size());
    control.clear();
    smux.poll_control(control, kAll);
  }
  if (!smux.error().empty() || smux.buffered() != 0) state.SkipWithError("the frames were not taken");
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * frames));
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * frames * frame));
}
BENCHMARK(smux_parse)->ArgsProduct({{64, 1024, 8192}, {1, 64}})->Args({8192, 4096});

/// Frames of `range(0)` bytes: the headers, the accounting and the peer's window updates, without the
/// payload.
void smux_emit(benchmark::State& state) {
  const auto frame = static_cast<std::size_t>(state.range(0));
  Smux smux(Role::kClient, SmuxSettings{}, kNow);
  const std::uint32_t sid = *smux.open_stream();
  std::vector<std::uint8_t> update, out;
  append(update, SmuxCommand::kUpdate, sid, kUpdatePayload);
  store_u32(update.data() + kFrameHeader + 4, 262144);
  smux.poll_control(out, kAll);
  constexpr std::size_t kFrames = 16;
  out.resize(kFrames * (kFrameHeader + frame));
  std::uint32_t sent = 0;
  for (auto _ : state) {
    std::uint8_t* at = out.data();
    for (std::size_t i = 0; i < kFrames; ++i) {
      if (smux.stream_room(sid) < frame) return state.SkipWithError("no room");
      write_frame_header(
          at, {2, static_cast<std::uint8_t>(SmuxCommand::kPush), static_cast<std::uint16_t>(frame), sid});
      smux.record_sent(sid, frame);
      at += kFrameHeader + frame;
    }
    sent += static_cast<std::uint32_t>(kFrames * frame);
    store_u32(update.data() + kFrameHeader, sent);
    feed(smux, update);
    while (smux.poll_event()) {
    }
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * kFrames));
}
BENCHMARK(smux_emit)->Arg(1024)->Arg(8192);

/// A stream's whole life without payload, at both ends, beside `range(0)` others that are open.
void smux_open_close(benchmark::State& state) {
  Smux client(Role::kClient, SmuxSettings{}, kNow), server(Role::kServer, SmuxSettings{}, kNow);
  std::vector<std::uint8_t> bytes;
  const auto exchange = [&](Smux& from, Smux& to) {
    bytes.clear();
    from.poll_control(bytes, kAll);
    feed(to, bytes);
    while (to.poll_event()) {
    }
  };
  for (std::int64_t i = 0; i < state.range(0); ++i) client.open_stream();
  exchange(client, server);
  const std::size_t standing = client.streams();
  for (auto _ : state) {
    const auto sid = client.open_stream();
    if (!sid) return state.SkipWithError("no stream");
    exchange(client, server);
    client.finish(*sid);
    exchange(client, server);
    server.finish(*sid);
    exchange(server, client);
  }
  if (client.streams() != standing || server.streams() != standing) state.SkipWithError("streams stayed");
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(smux_open_close)->Arg(0)->Arg(10000);

}  // namespace
}  // namespace kcptun
