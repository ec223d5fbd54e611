// Whole sessions recorded between the real client and server (tests/vectors/session-*.json), replayed into
// our links: what the Go programs put on the wire comes out as the bytes that their applications wrote.
#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/link/demux.h"
#include "tests/support/suites.h"
#include "tests/support/vectors.h"

namespace kcptun::test::session_replay_test {
namespace {

struct Datagram {
  TimePoint at;
  std::vector<std::uint8_t> bytes;
};

/// One recorded session: what its flags say, its datagrams by direction, and its streams, each carrying the
/// same bytes both ways.
struct Recording {
  explicit Recording(const std::string& file) {
    const nlohmann::json json = load_vectors(file);
    key = json.at("key").get<std::string>();
    parse_flags(json.at("flags").get<std::vector<std::string>>());
    if (file.find("smux1") != std::string::npos) settings.smux.version = 1;
    settings.kcp.send_window = settings.kcp.receive_window = 1024;  // the echo's many segments
    for (const auto& stream : json.at("streams")) streams.push_back(from_hex(stream.get<std::string>()));
    for (const auto& row : json.at("datagrams")) {
      auto& list = row.at(0) == "c2s" ? from_client : from_server;
      list.push_back({TimePoint(milliseconds(row.at(1).get<int>())), from_hex(row.at(2).get<std::string>())});
    }
  }

  void parse_flags(const std::vector<std::string>& flags) {
    for (std::size_t i = 0; i < flags.size(); ++i) {
      const std::string& flag = flags[i];
      const auto value = [&] { return flags.at(++i); };
      if (flag == "--crypt")
        cipher = cipher_named(value());
      else if (flag == "--ds")
        settings.fec.data_shards = static_cast<std::uint32_t>(std::stoul(value()));
      else if (flag == "--ps")
        settings.fec.parity_shards = static_cast<std::uint32_t>(std::stoul(value()));
      else if (flag == "--nocomp")
        settings.compress = false;
      else if (flag == "--QPP")
        qpp = true;
      else if (flag == "--QPPCount")
        qpp_count = std::stoul(value());
      else if (flag == "--mode")
        value();
      else
        FAIL("a recorded flag that this test does not know: " << flag);
    }
  }

  std::string key;
  LinkSettings settings;
  Cipher cipher = Cipher::kAes;
  bool qpp = false;
  std::size_t qpp_count = 61;
  std::vector<std::vector<std::uint8_t>> streams;
  std::vector<Datagram> from_client;
  std::vector<Datagram> from_server;
};

/// What a link needs around it, made from a recording.
struct Surroundings {
  explicit Surroundings(const Recording& recording)
      : suite(make_suite(recording.cipher, MasterKey(recording.key), 1)), context(recording.settings) {
    context.set_overhead(*suite);
    if (!recording.qpp) return;
    pads.emplace(recording.key, recording.qpp_count);
    context.qpp = &*pads;
  }

  std::unique_ptr<Suite> suite;
  std::optional<QppPads> pads;
  LinkContext context;
  TransmitBatch batch;
};

/// What came out of a link's events.
struct Output {
  void drain(TimePoint now, Link& link) {
    while (const auto event = link.poll_event(now)) {
      switch (event->type) {
        case StreamEvent::Type::kOpened:
          opened.push_back(event->sid);
          break;
        case StreamEvent::Type::kData: {
          auto& bytes = streams[event->sid];
          bytes.insert(bytes.end(), event->data.begin(), event->data.end());
          link.consume(event->sid, event->data.size());
          break;
        }
        case StreamEvent::Type::kFinished:
          finished.insert(event->sid);
          break;
        case StreamEvent::Type::kWritable:
          break;
        case StreamEvent::Type::kReset:
        case StreamEvent::Type::kEvicted:
          FAIL("stream " << event->sid << " broke");
          break;
      }
    }
    link.release_views();
  }

  std::vector<std::uint32_t> opened;
  std::map<std::uint32_t, std::vector<std::uint8_t>> streams;
  std::set<std::uint32_t> finished;
};

/// Copies of datagrams [first, first + count), opened: `store` holds what the packets point into.
std::vector<Packet> open_some(Suite& suite, const std::vector<Datagram>& datagrams, std::size_t first,
                              std::size_t count, std::vector<std::vector<std::uint8_t>>& store) {
  store.clear();
  std::vector<Packet> packets;
  for (std::size_t i = first; i < first + count; ++i) {
    auto& bytes = store.emplace_back(datagrams[i].bytes);
    const auto size = static_cast<std::uint32_t>(bytes.size());
    bytes.resize(kPacketStride);
    packets.push_back({bytes.data(), size});
  }
  CHECK(suite.open(packets) == 0);
  return packets;
}

std::optional<Segment> first_segment(Bytes body) {
  const FecType type = fec_type(body);
  if (type == FecType::kParity) return std::nullopt;
  if (type == FecType::kData) body = body.subspan(kFecHeader);
  return take_segment(body);
}

Path client_path() {
  Path path;
  path.remote.port = 40000;
  return path;
}

void transmit_and_forget(TimePoint now, Link& link, TransmitBatch& batch) {
  bool more = true;
  while (more) {
    batch.clear();
    more = link.poll_transmit(now, client_path(), batch);
  }
}

void write_all(Link& link, std::uint32_t sid, Bytes bytes) {
  const std::size_t size = bytes.size();
  for (const MutableBytes piece : link.prepare_write(sid, size)) {
    std::copy_n(bytes.begin(), piece.size(), piece.begin());
    bytes = bytes.subspan(piece.size());
  }
  CHECK(bytes.empty());
  link.commit_write(sid, size);
}

/// Echoes what came, as the recorded target did, in many small segments: the recorded client acknowledges
/// more segments than ours would need, and a una beyond what was sent is not believed.
void echo(TimePoint now, Link& link, const Output& output, std::map<std::uint32_t, std::size_t>& echoed,
          TransmitBatch& batch) {
  transmit_and_forget(now, link, batch);  // window updates go alone
  for (const auto& [sid, bytes] : output.streams) {
    for (std::size_t& done = echoed[sid]; done < bytes.size();) {
      const std::size_t size = done < 20 ? 1 : std::min<std::size_t>(40, bytes.size() - done);
      write_all(link, sid, Bytes(bytes).subspan(done, size));
      done += size;
      transmit_and_forget(now, link, batch);
    }
  }
  transmit_and_forget(now, link, batch);
}

/// The client's datagrams into a server, one at a time, for it must have answered before the next one's una
/// can be.
void replay_to_server(const Recording& recording) {
  Surroundings around(recording);
  Demux demux(around.context, 8);
  Output output;
  std::map<std::uint32_t, std::size_t> echoed;
  std::vector<std::vector<std::uint8_t>> store;
  const auto& datagrams = recording.from_client;
  for (std::size_t i = 0; i < datagrams.size(); ++i) {
    const TimePoint now = datagrams[i].at;
    demux.handle_run(now, client_path(), open_some(*around.suite, datagrams, i, 1, store));
    for (SessionEntry* session : demux.take_touched()) {
      output.drain(now, session->link);
      echo(now, session->link, output, echoed, around.batch);
      CHECK(session->link.closed_reason().empty());
      CHECK(session->link.kcp().counters().errors == 0);
    }
  }
  CHECK(demux.counters().opened == 1);
  CHECK(demux.counters().unmatched == 0);
  REQUIRE(output.opened.size() == recording.streams.size());
  for (std::size_t i = 0; i < recording.streams.size(); ++i) {
    const auto sid = static_cast<std::uint32_t>(3 + 2 * i);
    CHECK(output.streams[sid] == recording.streams[i]);
    CHECK(output.finished.count(sid) == 1);
  }
}

/// Opens the recorded streams and writes what the recorded client wrote.
void replay_client_writes(const Recording& recording, Link& link, TransmitBatch& batch) {
  for (const auto& bytes : recording.streams) {
    const std::uint32_t sid = link.open_stream().value();
    write_all(link, sid, bytes);
    link.finish(sid);
    transmit_and_forget(recording.from_server.front().at, link, batch);
  }
}

/// Opens more streams, a segment each, until the una in these packets can be believed.
void replay_writes_before(TimePoint now, std::span<const Packet> packets, Link& link, TransmitBatch& batch) {
  for (const Packet& packet : packets) {
    const std::optional<Segment> segment = first_segment(packet.bytes());
    while (segment && link.kcp().send_window().next() < segment->una) {
      const std::uint32_t before = link.kcp().send_window().next();
      REQUIRE(link.open_stream());
      transmit_and_forget(now, link, batch);
      REQUIRE(link.kcp().send_window().next() > before);
    }
  }
}

std::uint32_t conv_of(const Recording& recording, Suite& suite) {
  std::vector<std::vector<std::uint8_t>> store;
  return first_segment(open_some(suite, recording.from_server, 0, 1, store).front().bytes()).value().conv;
}

/// The server's datagrams, `step` at a time, into a client.
void replay_to_client(const Recording& recording, std::size_t step) {
  Surroundings around(recording);
  const auto& datagrams = recording.from_server;
  Link link(Role::kClient, conv_of(recording, *around.suite), around.context, datagrams.front().at);
  replay_client_writes(recording, link, around.batch);

  Output output;
  std::vector<std::vector<std::uint8_t>> store;
  for (std::size_t i = 0; i < datagrams.size(); i += step) {
    const std::size_t count = std::min(step, datagrams.size() - i);
    const TimePoint now = datagrams[i + count - 1].at;
    const std::vector<Packet> packets = open_some(*around.suite, datagrams, i, count, store);
    replay_writes_before(now, packets, link, around.batch);
    link.handle_packets(now, packets);
    output.drain(now, link);
    transmit_and_forget(now, link, around.batch);
  }
  CHECK(link.closed_reason().empty());
  CHECK(link.kcp().counters().errors == 0);
  for (std::size_t i = 0; i < recording.streams.size(); ++i) {
    const auto sid = static_cast<std::uint32_t>(3 + 2 * i);
    CHECK(output.streams[sid] == recording.streams[i]);
    // The newer server holds its FIN back for `closewait`, and the recordings end before.
    CHECK(output.finished.count(sid) == (recording.settings.smux.version == 1 ? 1 : 0));
  }
}

const std::vector<std::string> kRecordings{
    "session-null-nofec-smux2.json",
    "session-gcm-fec-smux2.json",
    "session-aes-fec-smux1-snappy.json",
    "session-salsa20-fec5x5-smux2-snappy-qpp.json",
};

/// `recording` without the datagram at `lost`, each way.
Recording without(Recording recording, std::size_t lost) {
  for (auto* list : {&recording.from_client, &recording.from_server})
    list->erase(list->begin() + static_cast<std::ptrdiff_t>(lost));
  return recording;
}

}  // namespace

TEST_CASE("a recorded client's datagrams come out of our server as the bytes its application wrote") {
  const std::string file = GENERATE(from_range(kRecordings));
  INFO(file);
  replay_to_server(Recording(file));
}

TEST_CASE("a recorded server's datagrams come out of our client as the bytes its application wrote") {
  const std::string file = GENERATE(from_range(kRecordings));
  const std::size_t step = GENERATE(1u, 2u, 7u);
  INFO(file << ", " << step << " datagrams at a time");
  replay_to_client(Recording(file), step);
}

TEST_CASE("with a recorded datagram lost, the recorded parity makes up for it") {
  const std::size_t lost = GENERATE(1u, 2u, 3u, 10u, 12u, 20u, 22u);
  const std::size_t step = GENERATE(1u, 2u, 7u);
  INFO("datagram " << lost << " lost, " << step << " at a time");
  const Recording recording = without(Recording("session-salsa20-fec5x5-smux2-snappy-qpp.json"), lost);
  replay_to_client(recording, step);
}

}  // namespace kcptun::test::session_replay_test
