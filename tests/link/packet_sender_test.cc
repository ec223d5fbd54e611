#include "core/link/packet_sender.h"

#include <catch2/catch.hpp>
#include <deque>
#include <memory>

#include "core/crypt/session_header.h"
#include "core/fec/fec_header.h"
#include "tests/link/kcp_pair.h"

namespace kcptun::test::packet_sender_test {
namespace {

constexpr std::size_t kHeader = 20;
constexpr std::size_t kTrailer = 16;

/// Has packets of the sizes that a test queues, each filled with its number.
class QueuedSource final : public PacketSource {
 public:
  explicit QueuedSource(Kind kind) : PacketSource(kind) {}
  Polled poll_packet(TimePoint, MutableBytes room) override {
    ++polls;
    last_room = room.size();
    if (queue.empty() || queue.front().size > room.size()) return {};
    const Polled next = queue.front();
    queue.pop_front();
    std::memset(room.data(), ++number, next.size);
    return next;
  }
  std::optional<TimePoint> next_timeout() const override { return std::nullopt; }

  std::deque<Polled> queue;
  std::size_t last_room = 0;
  int polls = 0;
  std::uint8_t number = 0;
};

LinkSettings settings_with(FecSettings fec, std::uint64_t rate_limit = 0) {
  LinkSettings settings;
  settings.fec = fec;
  settings.adaptive_parity = false;
  settings.rate_limit = rate_limit;
  return settings;
}

struct Fixture {
  explicit Fixture(const LinkSettings& settings, std::optional<AntiReplay> stamps = std::nullopt)
      : context(settings),
        kcp(kConv, settings.kcp, kKcpPacket, context.segments),
        anti_replay(std::move(stamps)) {
    context.crypto_header = kHeader;
    context.crypto_trailer = kTrailer;
    sender = std::make_unique<PacketSender>(
        PacketSender::Parts{context, kcp, validation, anti_replay ? &*anti_replay : nullptr}, now);
    path.remote.port = 9;
    batch.begin_run(path);
  }
  FecType type(std::size_t i) const { return fec_type(body(i)); }
  Bytes body(std::size_t i) const {
    return batch.packets()[i].bytes().subspan(kHeader, batch.packets()[i].size - kHeader - kTrailer);
  }

  TimePoint now{seconds(50)};
  LinkContext context;
  Kcp kcp;
  PathValidation validation;
  std::optional<AntiReplay> anti_replay;
  Path path;
  TransmitBatch batch;
  std::unique_ptr<PacketSender> sender;
  QueuedSource data{PacketSource::Kind::kData};
  QueuedSource probes{PacketSource::Kind::kProbe};
};

}  // namespace

TEST_CASE("parity follows the last data packet of a group, and probes between disturb no group") {
  Fixture f(settings_with({2, 1}));
  f.data.queue = {{100}};
  f.probes.queue = {{60}};
  CHECK_FALSE(f.sender->send(f.now, f.data, f.batch));
  CHECK_FALSE(f.sender->send(f.now, f.probes, f.batch));
  f.data.queue = {{200}, {50}};
  CHECK_FALSE(f.sender->send(f.now, f.data, f.batch));
  f.sender->end_batch();
  REQUIRE(f.batch.size() == 5);
  CHECK(f.type(0) == FecType::kData);
  CHECK(f.type(1) == FecType::kNone);
  CHECK(f.body(1).size() == 60);
  CHECK(f.type(2) == FecType::kData);
  CHECK(f.type(3) == FecType::kParity);
  CHECK(f.body(3).size() == kFecHeader + 200);
  CHECK(load_u32(f.body(4).data()) == 3);  // the next group
  CHECK(kcp_packet_in(f.body(2)).size() == 200);
  CHECK(kcp_packet_in(f.body(2))[0] == 2);
  CHECK(f.sender->packets_sent() == 5);
  CHECK(f.sender->parity_sent() == 1);
}

TEST_CASE("without FEC a body is the source's packet and may fill the largest datagram") {
  Fixture f(settings_with({0, 0}));
  f.data.queue = {{100}};
  f.sender->send(f.now, f.data, f.batch);
  REQUIRE(f.batch.size() == 1);
  CHECK(f.body(0).size() == 100);
  CHECK(f.data.last_room == kMaxDatagram - kHeader - kTrailer);
}

TEST_CASE("the rate limiter holds back data but no probe, which it charges") {
  constexpr std::uint64_t kRate = 200'000;  // bytes per second: 5 ms are worth 1000 bytes
  Fixture f(settings_with({0, 0}, kRate));
  f.data.queue = {{1000}, {1000}};
  CHECK_FALSE(f.sender->send(f.now, f.data, f.batch));
  CHECK(f.batch.size() == 1);
  REQUIRE(f.sender->next_timeout());
  const TimePoint before = *f.sender->next_timeout();
  f.probes.queue = {{1000}};
  f.sender->send(f.now, f.probes, f.batch);
  CHECK(f.batch.size() == 2);
  f.sender->send(f.now, f.data, f.batch);
  CHECK(f.batch.size() == 2);
  CHECK(*f.sender->next_timeout() > before);
  f.sender->send(*f.sender->next_timeout(), f.data, f.batch);
  CHECK(f.batch.size() == 3);
  f.sender->set_rate_limit(0, f.now);
  f.data.queue = {{1000}, {1000}, {1000}};
  f.sender->send(f.now, f.data, f.batch);
  CHECK(f.batch.size() == 6);
  CHECK_FALSE(f.sender->next_timeout());
}

TEST_CASE("a path that is not validated gets three times what came from it, and no parity") {
  Fixture f(settings_with({1, 1}));
  f.validation.begin(f.now);
  f.data.queue = {{100}, {100}, {100}};
  CHECK_FALSE(f.sender->send(f.now, f.data, f.batch));
  CHECK(f.batch.empty());
  CHECK(f.data.polls == 0);
  f.validation.handle_received(100);
  f.sender->send(f.now, f.data, f.batch);
  CHECK(f.batch.size() == 2);  // 288 of the 300 bytes: what is left is worth no packet
  CHECK(f.data.last_room == 300 - (kHeader + kFecHeader + 100 + kTrailer) - kHeader - kFecHeader - kTrailer);
  f.validation.end();
  f.sender->send(f.now, f.data, f.batch);
  CHECK(f.batch.size() == 4);
  CHECK(f.type(3) == FecType::kParity);
}

TEST_CASE("a full batch is reported, and the rest goes into the next one") {
  Fixture f(settings_with({0, 0}));
  f.data.queue.assign(kBatchPackets + 3, {50});
  CHECK(f.sender->send(f.now, f.data, f.batch));
  CHECK(f.batch.size() == kBatchPackets);
  f.probes.queue = {{50}};
  CHECK(f.sender->send(f.now, f.probes, f.batch));
  CHECK(f.probes.polls == 0);
  f.batch.clear();
  f.batch.begin_run(f.path);
  CHECK_FALSE(f.sender->send(f.now, f.data, f.batch));
  CHECK(f.batch.size() == 3);
}

TEST_CASE("the parity of a full batch's last group still fits") {
  Fixture f(settings_with({kBatchPackets, 5}));
  f.data.queue.assign(kBatchPackets, {50});
  CHECK(f.sender->send(f.now, f.data, f.batch));
  CHECK(f.batch.size() == kBatchPackets + 5);
}

TEST_CASE("packets that must not be fragmented have a run of their own, to the same path") {
  Fixture f(settings_with({0, 0}));
  f.data.queue = {{50}};
  f.sender->send(f.now, f.data, f.batch);
  f.probes.queue = {{1200, TransmitBatch::Fragments::kDontFragment}, {60}};
  f.sender->send(f.now, f.probes, f.batch);
  const auto runs = f.batch.runs();
  REQUIRE(runs.size() == 3);
  CHECK(runs[1].fragments == TransmitBatch::Fragments::kDontFragment);
  CHECK(runs[1].path == f.path);
  CHECK(runs[2].fragments == TransmitBatch::Fragments::kAllowed);
  CHECK(runs[2].count == 1);
}

TEST_CASE("with a session header every packet is numbered, parity and the caller's own among them") {
  Fixture f(settings_with({1, 1}),
            AntiReplay(Role::kClient, 77, TimePoint{seconds(50)}, UnixTime(seconds(1000))));
  f.data.queue = {{100}, {100}};
  f.sender->send(f.now, f.data, f.batch);
  std::memset(f.sender->next_body(f.batch), 1, 24);
  f.sender->append(f.now, f.batch, 24);
  for (std::size_t i = 0; i < f.batch.size(); ++i) {
    const SessionHeader header = read_session_header(f.batch.packets()[i].data + kHeader - kSessionHeader);
    CHECK(header.session == 77);
    CHECK(header.counter == i);
  }
  CHECK(f.sender->packets_sent() == f.batch.size());
}

}  // namespace kcptun::test::packet_sender_test
