#include "core/link/stream_codec.h"

#include <catch2/catch.hpp>
#include <memory>

#include "core/base/random.h"
#include "core/crypt/suite.h"
#include "tests/link/kcp_pair.h"

namespace kcptun::test::stream_codec_test {
namespace {

const QppPads& pads() {
  static const QppPads made("codec test", 61);
  return made;
}

struct Options {
  bool compress = false;
  bool qpp = false;
  std::uint32_t smux_version = 2;
};

/// One end: smux and a codec over its end of a KcpPair.
struct End {
  End(Role role, const Options& options, Kcp& kcp_end, TimePoint now)
      : context(settings(options)),
        kcp(kcp_end),
        smux(role, context.settings.smux, now),
        codec(context, kcp, smux) {
    if (options.qpp) context.qpp = &pads();
  }
  static LinkSettings settings(const Options& options) {
    LinkSettings s;
    s.compress = options.compress;
    s.smux.version = options.smux_version;
    return s;
  }
  void flush_control() {
    Buffer frames;
    smux.poll_control(frames, 65536);
    codec.append_frames(frames);
  }
  void write(std::uint32_t sid, Bytes payload) {
    PieceCursor(codec.prepare(payload.size())).write(payload);
    codec.commit(sid, payload.size());
    smux.record_sent(sid, payload.size());
  }
  /// Reads all that has come; payload is copied after everything was decoded, because views last until then.
  Buffer read(TimePoint now) {
    while (auto piece = kcp.read()) {
      codec.feed(std::move(*piece));
      for (MutableBytes bytes = codec.poll_bytes(); !bytes.empty(); bytes = codec.poll_bytes())
        smux.handle_bytes(now, bytes);
    }
    std::vector<MutableBytes> views;
    while (const auto event = smux.poll_event()) {
      codec.decrypt(*event);
      if (event->type != StreamEvent::Type::kData) continue;
      views.push_back(event->data);
      smux.consume(event->sid, event->data.size());
    }
    Buffer out;
    for (const MutableBytes view : views) out.insert(out.end(), view.begin(), view.end());
    codec.release_views();
    return out;
  }

  LinkContext context;
  Kcp& kcp;
  Smux smux;
  StreamCodec codec;
};

KcpSettings wide_windows() {
  KcpSettings settings;
  settings.send_window = settings.receive_window = 1024;
  settings.tuning = kModePresets[3].tuning;
  return settings;
}

struct Fixture {
  explicit Fixture(const Options& client_options) : Fixture(client_options, client_options) {}
  Fixture(const Options& client_options, const Options& server_options)
      : client(Role::kClient, client_options, pair.client, pair.now),
        server(Role::kServer, server_options, pair.server, pair.now) {
    sid = client.smux.open_stream().value();
    client.flush_control();
  }
  Buffer transfer() {
    Buffer got;
    for (int i = 0; i < 200; ++i) {
      pair.client.handle_timeout(pair.now);
      pair.carry(pair.client, pair.server);
      const Buffer part = server.read(pair.now);
      got.insert(got.end(), part.begin(), part.end());
      pair.now += milliseconds(20);
      pair.carry(pair.server, pair.client);
    }
    return got;
  }

  KcpPair pair{wide_windows()};
  End client;
  End server;
  std::uint32_t sid = 0;
};

// Half of it compresses well.
Buffer mixed_bytes(std::size_t size) {
  Random random(size);
  Buffer out(size);
  for (std::size_t i = 0; i < size; ++i)
    out[i] = i / 1000 % 2 ? static_cast<std::uint8_t>(i % 7) : static_cast<std::uint8_t>(random.next32());
  return out;
}

}  // namespace

TEST_CASE("payload comes out as it went in, compressed or not, with QPP or without, in writes of any size") {
  const bool compress = GENERATE(false, true);
  const bool qpp = GENERATE(false, true);
  CAPTURE(compress, qpp);
  Fixture f({compress, qpp});
  Buffer sent;
  for (const std::size_t size : {1u, 24u, 1000u, 8191u, 8192u, 8193u, 40000u, 3u}) {
    const Buffer part = mixed_bytes(size);
    f.client.write(f.sid, part);
    sent.insert(sent.end(), part.begin(), part.end());
  }
  CHECK(f.transfer() == sent);
  CHECK(f.server.codec.error().empty());
  CHECK(f.server.smux.error().empty());
  CHECK(f.server.codec.mismatch() == Mismatch::kNone);
}

TEST_CASE("prepare lays out exactly the payload, and a shorter commit sends only what was filled") {
  for (const bool compress : {false, true}) {
    Fixture f({compress});
    std::size_t room = 0;
    for (const MutableBytes piece : f.client.codec.prepare(20000)) room += piece.size();
    CHECK(room == 20000);
    f.client.codec.commit(f.sid, 0);
    const auto pieces = f.client.codec.prepare(20000);
    const Buffer filled = mixed_bytes(9000);
    PieceCursor(pieces).write(filled);
    f.client.codec.commit(f.sid, filled.size());
    f.client.smux.record_sent(f.sid, filled.size());
    CHECK(f.transfer() == filled);
    CHECK(f.client.codec.prepare(0).empty());
    f.client.codec.commit(f.sid, 0);
  }
}

TEST_CASE("many small compressed blocks share a buffer, and stay readable until the views are released") {
  Fixture f({true});
  Buffer sent;
  for (std::uint8_t i = 0; i < 200; ++i) {
    const Buffer part(100, i);
    f.client.write(f.sid, part);
    sent.insert(sent.end(), part.begin(), part.end());
  }
  CHECK(f.transfer() == sent);
}

TEST_CASE("a stream that is not compressed where it should be is an error, and the mismatch has a name") {
  Fixture plain_client({false}, {true});
  plain_client.client.write(plain_client.sid, mixed_bytes(100));
  CHECK(plain_client.transfer().empty());
  CHECK_FALSE(plain_client.server.codec.error().empty());
  CHECK(plain_client.server.codec.mismatch() == Mismatch::kOnlyWeCompress);

  Fixture compressing_client({true}, {false});
  compressing_client.client.write(compressing_client.sid, mixed_bytes(100));
  CHECK(compressing_client.transfer().empty());
  CHECK_FALSE(compressing_client.server.smux.error().empty());
  CHECK(compressing_client.server.codec.mismatch() == Mismatch::kOnlyPeerCompresses);

  Fixture old_client({false, false, 1}, {false, false, 2});
  old_client.transfer();
  CHECK(old_client.server.codec.mismatch() == Mismatch::kSmuxVersion);
}

}  // namespace kcptun::test::stream_codec_test
