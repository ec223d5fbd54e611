// Two links and whatever can happen to them: commands of both applications, packets lost, repeated and
// overtaken, time. The model knows what was written on each stream; what comes out must be that, in order,
// and at the end all of it.
#include <array>
#include <deque>
#include <map>
#include <memory>

#include "core/base/check.h"
#include "core/link/link.h"
#include "tests/fuzz/input.h"

using namespace kcptun;
using namespace kcptun::test;

namespace {

using Buffer = std::vector<std::uint8_t>;

std::uint8_t stream_byte(std::uint32_t sid, int direction, std::size_t at) {
  return static_cast<std::uint8_t>(at / 64 * 31 + sid * 7 + static_cast<std::size_t>(direction) * 13 +
                                   (at % 3 ? 0 : at));
}

struct Half {  // what one end wrote, and what the other has read
  std::size_t written = 0;
  std::size_t read = 0;
  bool finished = false;
  bool end_seen = false;
};
struct Stream {
  Half half[2];  // by the writing end
  bool given_up = false;
};

class Pair {
 public:
  Pair(const LinkSettings& settings, bool qpp) {
    static const QppPads pads("fuzz", 7);
    for (int end : {0, 1}) {
      contexts_[end] = std::make_unique<LinkContext>(settings);
      if (qpp) contexts_[end]->qpp = &pads;
      links_[end] =
          std::make_unique<Link>(end == 0 ? Role::kClient : Role::kServer, 0x01020304, *contexts_[end], now_);
    }
  }

  /// Packets that must stay whole pass up to so many bytes, and after three seconds up to `later`.
  void limit_whole(std::uint32_t first, std::uint32_t later) { passes_ = {first, later}; }

  void act(Input& input) {
    const int end = input.u8() & 1;
    switch (input.u8() % 9) {
      case 0:
        return open();
      case 1:
      case 2:
        return write(end, pick(input), input.u16() % 6000);
      case 3:
        return finish(end, pick(input));
      case 4:
        return input.u8() % 4 ? void() : give_up(end, pick(input));
      case 5:
      case 6:
        return deliver(end, input);
      case 7:
        return read(end, input.u16());
      case 8:
        return wait(milliseconds(input.u16() % 700));
    }
  }

  // From now on nothing is lost and everyone reads: all must arrive.
  void settle() {
    hungry_ = true;
    Input nothing(nullptr, 0);
    for (int round = 0; round < 3000; ++round) {
      for (int end : {0, 1}) {
        read(end, SIZE_MAX);
        while (!wires_[end].empty()) deliver(end, nothing);
      }
      if (settled()) return check_all_arrived();
      wait(milliseconds(10));
    }
    KCPTUN_CHECK(!"the links have not settled");
  }

 private:
  std::uint32_t pick(Input& input) const {
    const std::uint8_t choice = input.u8();
    return streams_.empty() ? 0 : std::next(streams_.begin(), choice % streams_.size())->first;
  }

  void open() {
    if (streams_.size() >= 12) return;
    if (const auto sid = links_[0]->open_stream()) streams_[*sid];
    drain(0);
  }

  void write(int end, std::uint32_t sid, std::size_t limit) {
    const auto it = streams_.find(sid);
    if (it == streams_.end() || (end == 1 && !known_.contains(sid))) return;
    Half& half = it->second.half[end];
    if (half.finished || it->second.given_up) return;
    const std::span<const MutableBytes> pieces = links_[end]->prepare_write(sid, limit);
    std::size_t at = half.written;
    for (const MutableBytes piece : pieces)
      for (std::uint8_t& byte : piece) byte = stream_byte(sid, end, at++);
    if (pieces.empty()) return;
    KCPTUN_CHECK(at - half.written <= limit);
    links_[end]->commit_write(sid, at - half.written);
    half.written = at;
    drain(end);
  }

  void finish(int end, std::uint32_t sid) {
    const auto it = streams_.find(sid);
    if (it == streams_.end() || (end == 1 && !known_.contains(sid))) return;
    links_[end]->finish(sid);
    it->second.half[end].finished = true;
    drain(end);
  }

  void give_up(int end, std::uint32_t sid) {
    const auto it = streams_.find(sid);
    if (it == streams_.end() || (end == 1 && !known_.contains(sid))) return;
    links_[end]->reset_stream(sid);
    it->second.given_up = true;
    drain(end);
  }

  // To `end`: the next datagrams of its wire, or what the input does with them.
  void deliver(int end, Input& input) {
    std::deque<Buffer>& wire = wires_[end];
    std::vector<Buffer> batch;
    for (std::size_t count = 1 + input.u8() % 8; count > 0 && !wire.empty(); --count) {
      const std::uint8_t fate = hungry_ ? 255 : input.u8();
      if (fate < 50) {
        wire.pop_front();
        continue;
      }
      if (fate < 70) {
        wire.push_back(wire.front());
      } else if (fate < 100) {
        std::swap(wire.front(), wire[fate % wire.size()]);
      }
      batch.push_back(std::move(wire.front()));
      wire.pop_front();
    }
    std::vector<Packet> packets;
    for (Buffer& bytes : batch) packets.push_back({bytes.data(), static_cast<std::uint32_t>(bytes.size())});
    links_[end]->handle_packets(now_, packets);
    drain(end);
  }

  void read(int end, std::size_t budget) {
    appetite_[end] += budget > 100000 ? 100000 : budget;
    for (auto& [sid, kept] : unread_[end]) {
      const std::size_t taken = std::min(kept, appetite_[end]);
      if (taken == 0) continue;
      appetite_[end] -= taken;
      kept -= taken;
      links_[end]->consume(sid, taken);
    }
    drain(end);
  }

  void wait(Duration by) {
    now_ += by;
    for (int end : {0, 1}) {
      if (const auto due = links_[end]->next_timeout(); due && *due <= now_)
        links_[end]->handle_timeout(now_);
      drain(end);
    }
  }

  // After each mutation: events, packets.
  void drain(int end) {
    Link& link = *links_[end];
    do {
      while (const std::optional<StreamEvent> event = link.poll_event(now_)) handle(end, *event);
    } while (hungry_ && link.event_ready());
    link.release_views();
    KCPTUN_CHECK(link.closed_reason().empty() || now_ - born_ > seconds(20));
    KCPTUN_CHECK(link.closed_reason() !=
                 "the peer has restarted");  // it never does, however late its packets come
    for (bool more = true; more;) {
      batch_.clear();
      more = link.poll_transmit(now_, {}, batch_);
      for (const TransmitBatch::Run& run : batch_.runs()) send(end, run);
    }
  }

  void send(int end, const TransmitBatch::Run& run) {
    const KcpSettings& kcp = contexts_[end]->settings.kcp;
    const bool whole = run.fragments == TransmitBatch::Fragments::kDontFragment;
    for (const Packet& packet : batch_.packets().subspan(run.first, run.count)) {
      KCPTUN_CHECK(packet.size <= (kcp.find_mtu ? kMaxDatagram : kcp.mtu));
      if (whole && packet.size > passes_[now_ - born_ > seconds(3)]) continue;
      if (wires_[1 - end].size() < 2000) wires_[1 - end].emplace_back(packet.data, packet.data + packet.size);
    }
  }

  void handle(int end, const StreamEvent& event) {
    const auto it = streams_.find(event.sid);
    KCPTUN_CHECK(it != streams_.end());
    Half& half = it->second.half[1 - end];
    switch (event.type) {
      case StreamEvent::Type::kOpened:
        KCPTUN_CHECK(end == 1 && known_.insert({event.sid, true}).second);
        return;
      case StreamEvent::Type::kData:
        KCPTUN_CHECK(!half.end_seen);
        for (const std::uint8_t byte : event.data)
          KCPTUN_CHECK(byte == stream_byte(event.sid, 1 - end, half.read++));
        KCPTUN_CHECK(half.read <= half.written);
        if (hungry_) {
          links_[end]->consume(event.sid, event.data.size());
        } else {
          unread_[end][event.sid] += event.data.size();
        }
        return;
      case StreamEvent::Type::kFinished:
        KCPTUN_CHECK((half.finished && half.read == half.written) || it->second.given_up);
        half.end_seen = true;
        return;
      case StreamEvent::Type::kReset:
        KCPTUN_CHECK(it->second.given_up);
        KCPTUN_CHECK(half.read == half.written);  // a reset comes behind the bytes
        if (unread_[end][event.sid] == 0) links_[end]->reset_stream(event.sid);
        return;
      case StreamEvent::Type::kEvicted:
        KCPTUN_CHECK(false);  // there is no quota, and a link keeps to windows
        return;
      case StreamEvent::Type::kWritable:
        return;
    }
  }

  bool settled() const {
    if (!links_[0]->closed_reason().empty() || !links_[1]->closed_reason().empty()) return true;
    if (!wires_[0].empty() || !wires_[1].empty() || !links_[0]->drained() || !links_[1]->drained())
      return false;
    for (const auto& [sid, stream] : streams_)
      for (const Half& half : stream.half)
        if (!stream.given_up && (half.read != half.written || half.finished != half.end_seen)) return false;
    return true;
  }

  void check_all_arrived() const {
    if (!links_[0]->closed_reason().empty() || !links_[1]->closed_reason().empty()) return;
    for (int end : {0, 1}) KCPTUN_CHECK(links_[end]->smux().buffered() == 0);
    KCPTUN_CHECK(contexts_[0]->segments.in_use() == 0 && contexts_[1]->segments.in_use() == 0);
  }

  TimePoint now_{seconds(1)};
  const TimePoint born_ = now_;
  std::unique_ptr<LinkContext> contexts_[2];
  std::unique_ptr<Link> links_[2];
  std::deque<Buffer> wires_[2];  // by the end that they go to
  std::map<std::uint32_t, Stream> streams_;
  std::map<std::uint32_t, bool> known_;  // at the server
  std::map<std::uint32_t, std::size_t> unread_[2];
  std::size_t appetite_[2] = {0, 0};
  bool hungry_ = false;
  std::array<std::uint32_t, 2> passes_{kMaxDatagram, kMaxDatagram};
  TransmitBatch batch_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input input(data, std::min<std::size_t>(size, 4096));
  LinkSettings settings;
  const std::uint8_t how = input.u8();
  settings.compress = how & 1;
  settings.smux.version = how & 2 ? 2 : 1;
  settings.fec = how & 4 ? FecSettings{3, 2} : FecSettings{0, 0};
  settings.kcp.tuning.no_congestion_control = how & 16;
  settings.kcp.mtu = how & 32 ? 300 : 1350;
  settings.kcp.send_window = 1 + input.u8() % 64;
  settings.kcp.receive_window = 1 + input.u8() % 64;
  settings.smux.receive_buffer = how & 64 ? 65536 : 4194304;
  settings.smux.stream_buffer = 65536;
  settings.smux.frame_size = 1 + input.u16() % 8192;
  settings.kcp.find_mtu = how & 128;
  Pair pair(settings, how & 8);
  if (settings.kcp.find_mtu) {
    const std::uint32_t first = 1000 + input.u8() * 2, later = 1000 + input.u8() * 2;
    pair.limit_whole(first, later);
  }
  while (!input.empty()) pair.act(input);
  pair.settle();
  return 0;
}
