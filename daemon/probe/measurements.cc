#include "daemon/probe/measurements.h"

#include <algorithm>
#include <array>

#include "core/probe/mtu_search.h"
#include "core/probe/ping_train.h"
#include "core/probe/probe_segment.h"
#include "core/smux/frame.h"
#include "core/stream/snappy_frames.h"
#include "daemon/net/address.h"

namespace kcptun {
namespace {

constexpr Duration kGreetingTimeout = seconds(4);  // for the first answer
// The same where a server takes no session in its first seconds (docs/develop/protocol.md section 11).
constexpr Duration kLateAnswerTimeout = seconds(10);
constexpr Duration kKnocking = milliseconds(100);  // between the first packets
constexpr Duration kSlowKnocking = milliseconds(300);
// Wait after the first answer, because kcp-go advertises a small window until its session is set up.
constexpr Duration kGreeting = milliseconds(500);
// Interval of the pings. Pings and answers then use about 1 Mbit/s each way.
constexpr Duration kSpacing = microseconds(2500);
constexpr std::uint32_t kMaxPings = 1000;       // in one train
constexpr Duration kMaxResolving = seconds(8);  // for one train
// Exceeds the flush interval that delays a server's acknowledgement in every preset mode, plus scheduling.
constexpr Duration kServerClock = milliseconds(120);
// Every path carries this much: the minimum IPv6 MTU is 1280 (RFC 8200 section 5).
constexpr std::uint32_t kMinPayload = 500;
constexpr Duration kRateStep = milliseconds(600);
constexpr std::uint64_t kFirstRate = 250'000;  // bytes per second
// Packets per trial of a cipher: fewer than the five after which a server logs a wrong key or cipher
// (RejectedPeers::kThreshold).
constexpr int kCipherTries = 4;
constexpr Duration kCipherSpacing = milliseconds(250);  // between them
constexpr Duration kCipherAnswer = seconds(1);          // after the last packet
// Fraction of the sent packets that arrives. Below it the path counts as full.
constexpr double kFullShare = 0.9;

/// Receives until `until`, even if packets arrive earlier.
template <typename Handle>
void receive_until(ProbeSocket& socket, TimePoint until, Handle handle) {
  do {
    socket.wait(until);
    socket.receive(handle);
  } while (read_probe_clock() < until);
}

/// The time after which una advances no further until its gap is filled.
Duration settling_time(const PingTrain& train) {
  Duration longest = milliseconds(0);
  for (const Duration trip : train.round_trips()) longest = std::max(longest, trip);
  return longest + longest / 2 + kServerClock;
}

void resolve_losses(ProbeSocket& socket, PingTrain& train) {
  const auto handle = [&train](TimePoint now, Bytes body) { train.handle(now, body); };
  const Duration timeout = settling_time(train);
  const TimePoint end = read_probe_clock() + kMaxResolving;
  receive_until(socket, read_probe_clock() + timeout, handle);
  while (!train.resolved() && read_probe_clock() < end) {
    const std::uint32_t before = train.una();
    socket.send_body(train.write_gap_segment(socket.body()));
    const TimePoint again = read_probe_clock() + timeout;
    while (train.una() == before && read_probe_clock() < again) {
      socket.wait(again);
      socket.receive(handle);
    }
  }
}

void run_train(ProbeSocket& socket, PingTrain& train) {
  const auto handle = [&train](TimePoint now, Bytes body) { train.handle(now, body); };
  TimePoint next = read_probe_clock();
  while (train.pings_left()) {
    socket.send_body(train.write_ping(read_probe_clock(), socket.body()));
    next = std::max(next + kSpacing, read_probe_clock());
    receive_until(socket, next, handle);
  }
  resolve_losses(socket, train);
}

Duration jitter_of(const std::vector<Duration>& trips) {
  Duration sum{0};
  for (std::size_t i = 1; i < trips.size(); ++i) sum += std::chrono::abs(trips[i] - trips[i - 1]);
  return trips.size() < 2 ? sum : sum / static_cast<Duration::rep>(trips.size() - 1);
}

/// A PUSH with sn 1 while sn 0 is missing: the server acknowledges it, echoing `ts`, but never delivers it.
Segment echo_request(std::uint32_t conv, std::uint32_t ts) {
  Segment segment;
  segment.conv = conv;
  segment.sn = 1;
  segment.ts = ts;
  return segment;
}

}  // namespace

std::uint32_t ip_overhead(const IpEndpoint& remote) { return is_ipv4(remote) ? 20 + 8 : 40 + 8; }

Result<Handshake> greet(const ProbePeer& peer) {
  auto socket = ProbeSocket::open(peer.remote, peer.profile, peer.keys);
  if (!socket) return Error{socket.error()};
  const bool may_be_late = is_own_suite(peer.profile.crypt);
  TimePoint end = read_probe_clock() + (may_be_late ? kLateAnswerTimeout : kGreetingTimeout);
  PingTrain train(random_conv(), PingTrain::kFirstWindow - 1);
  const auto handle = [&train](TimePoint now, Bytes body) { train.handle(now, body); };
  while (read_probe_clock() < end) {
    const bool first_answer = !train.heard();
    if (train.pings_left()) socket->send_body(train.write_ping(read_probe_clock(), socket->body()));
    const TimePoint next = read_probe_clock() + (may_be_late ? kSlowKnocking : kKnocking);
    receive_until(*socket, next, handle);
    if (first_answer && train.heard()) end = read_probe_clock() + kGreeting;
  }
  Handshake greeting{
      .answered = train.heard(), .refusals = socket->refusals(), .rejected = socket->rejected()};
  greeting.window = train.window();
  if (train.heard()) greeting.round_trip = train.round_trips().front();
  return greeting;
}

namespace {

/// One candidate cipher: its socket and the answers.
struct CipherTrial {
  Cipher cipher;
  ProbeSocket socket;
  PingTrain train{random_conv(), PingTrain::kFirstWindow - 1};
};

}  // namespace

Result<std::optional<Cipher>> find_cipher(const Profile& profile, const IpEndpoint& remote) {
  std::vector<CipherTrial> trials;
  for (const auto& row : kCipherNames) {
    if (row.cipher == profile.crypt) continue;
    Profile other = profile;
    other.crypt = row.cipher;
    other.private_key.reset();
    const Result<TunnelKeys> keys = TunnelKeys::derive(other);
    if (!keys && is_own_suite(row.cipher)) continue;  // there is no memory for Argon2id
    if (!keys) return Error{keys.error()};
    auto socket = ProbeSocket::open(remote, other, keys.value());
    if (!socket) return Error{socket.error()};
    trials.push_back({row.cipher, std::move(*socket)});
  }
  const auto listen = [&trials](TimePoint until) -> std::optional<Cipher> {
    do {
      for (CipherTrial& trial : trials) {
        trial.socket.receive([&trial](TimePoint now, Bytes body) { trial.train.handle(now, body); });
        if (trial.train.heard()) return trial.cipher;
      }
      trials.front().socket.wait(std::min(until, read_probe_clock() + milliseconds(10)));
    } while (read_probe_clock() < until);
    return std::nullopt;
  };
  std::optional<Cipher> found;
  for (int round = 0; round < kCipherTries && !found; ++round) {
    for (CipherTrial& trial : trials)
      trial.socket.send_body(trial.train.write_ping(read_probe_clock(), trial.socket.body()));
    found = listen(read_probe_clock() + kCipherSpacing);
  }
  return found ? found : listen(read_probe_clock() + kCipherAnswer);
}

Result<PathQuality> measure_quality(const ProbePeer& peer, std::uint32_t window, Duration duration) {
  PathQuality quality;
  std::vector<Duration> trips;
  auto left = static_cast<std::uint32_t>(duration / kSpacing);
  while (left > 0) {
    auto socket = ProbeSocket::open(peer.remote, peer.profile, peer.keys);
    if (!socket) return Error{socket.error()};
    const std::uint32_t most = window > 1 ? std::min(window - 1, kMaxPings) : 1;
    PingTrain train(random_conv(), std::min(left, most));
    run_train(*socket, train);
    left -= std::min(left, most);
    quality.up += train.up();
    quality.down += train.down();
    if (const auto shards = train.server_shards()) quality.server_shards = shards;
    for (const Duration trip : train.round_trips()) trips.push_back(trip);
  }
  quality.jitter = jitter_of(trips);
  std::ranges::sort(trips);
  quality.round_trips = std::move(trips);
  return quality;
}

Result<std::uint32_t> measure_mtu(const ProbePeer& peer, Duration round_trip) {
  auto socket = ProbeSocket::open(peer.remote, peer.profile, peer.keys);
  if (!socket) return Error{socket.error()};
  socket->forbid_fragments();
  const std::uint32_t conv = random_conv();
  MtuSearch search(kMinPayload, static_cast<std::uint32_t>(kMaxDatagram));
  while (!search.sizes().empty()) {
    for (std::uint32_t copy = 0; copy < MtuSearch::kCopies; ++copy) {
      for (const std::uint32_t size : search.sizes()) {
        const std::size_t padding = size - socket->overhead() - kSegmentHeader;
        socket->send_body(write_probe_segment(socket->body(), echo_request(conv, size), {}, padding));
      }
      // The copies are spread in time, so that a burst of loss does not hit all copies of one size.
      receive_until(*socket, read_probe_clock() + kSpacing * 4, [&](TimePoint, Bytes body) {
        for_each_segment(body, conv, [&](const Segment& segment) { search.handle_answer(segment.ts); });
      });
    }
    receive_until(
        *socket, read_probe_clock() + round_trip * 3 / 2 + kServerClock, [&](TimePoint, Bytes body) {
          for_each_segment(body, conv, [&](const Segment& segment) { search.handle_answer(segment.ts); });
        });
    search.finish_round();
  }
  return search.largest();
}

namespace {

struct RateStep {
  std::uint32_t sent = 0;
  std::uint32_t arrived = 0;
  Duration arriving{0};  // from the first answer to the last
};

/// Sends packets of `payload` bytes at `rate` for kRateStep and counts the answers.
RateStep try_rate(ProbeSocket& socket, std::uint32_t payload, std::uint64_t rate, Duration round_trip) {
  const std::uint32_t conv = random_conv();
  RateStep step;
  std::vector<bool> seen;
  std::optional<TimePoint> first, last;
  const auto handle = [&](TimePoint now, Bytes body) {
    for_each_segment(body, conv, [&](const Segment& segment) {
      if (segment.command != KcpCommand::kAck || segment.ts >= seen.size() || seen[segment.ts]) return;
      seen[segment.ts] = true;
      ++step.arrived;
      if (!first) first = now;
      last = now;
    });
  };
  const std::size_t padding = payload - socket.overhead() - kSegmentHeader;
  const TimePoint begin = read_probe_clock();
  const TimePoint end = begin + kRateStep;
  while (read_probe_clock() < end) {
    const auto elapsed = static_cast<std::uint64_t>((read_probe_clock() - begin).count());
    const std::uint64_t due = elapsed * rate / 1'000'000 / payload + 1;
    while (step.sent < due) {
      seen.push_back(false);
      socket.send_body(write_probe_segment(socket.body(), echo_request(conv, step.sent++), {}, padding));
    }
    receive_until(socket, std::min(end, read_probe_clock() + milliseconds(1)), handle);
  }
  receive_until(socket, end + round_trip * 2 + kServerClock * 2, handle);
  if (first) step.arriving = *last - *first;
  return step;
}

}  // namespace

Result<Bandwidth> measure_bandwidth(const ProbePeer& peer, std::uint32_t payload, std::uint64_t most,
                                    Duration round_trip) {
  // Steps that must fall short before the path counts as full, because one may be a burst of loss.
  constexpr int kTries = 2;
  Bandwidth best;
  std::uint64_t rate = std::min(kFirstRate, most);
  for (int short_falls = 0;;) {
    auto socket = ProbeSocket::open(peer.remote, peer.profile, peer.keys);
    if (!socket) return Error{socket.error()};
    const RateStep step = try_rate(*socket, payload, rate, round_trip);
    const double bits = 8.0 * (payload + ip_overhead(peer.remote)) * step.arrived;
    // A full path still delivers its queue after the last packet was sent.
    const double took = static_cast<double>(std::max(step.arriving, kRateStep).count()) / 1e6;
    best.bits_per_second = std::max(best.bits_per_second, bits / took);
    short_falls = step.arrived < kFullShare * step.sent ? short_falls + 1 : 0;
    best.limited = short_falls == kTries;
    if (best.limited || (rate == most && short_falls == 0)) return best;
    if (short_falls == 0) rate = std::min(rate * 2, most);
  }
}

namespace {

/// A session that begins with one smux keepalive, in one of the formats that the server may expect. The
/// keepalive carries our mark (docs/develop/protocol.md section 12). Go servers ignore it; our servers
/// recognise a probe and answer with their own.
class StreamTrial {
 public:
  StreamTrial(ProbeSocket socket, StreamSettings settings) : socket_(std::move(socket)), settings_(settings) {
    std::array<std::uint8_t, kFrameHeader>& frame = mark_;
    write_frame_header(frame.data(), {static_cast<std::uint8_t>(settings.smux_version),
                                      static_cast<std::uint8_t>(SmuxCommand::kNop), 0, kProgramMark});
    data_.assign(frame.begin(), frame.end());
    if (!settings.compress) return;
    data_.resize(kSnappyMaxEncoded);
    Bytes plain = frame;
    data_.resize(SnappyFramer().encode(plain, data_));
  }

  void speak() {
    if (accepted_) return;
    Segment push;
    push.conv = conv_;
    socket_.send_body(write_probe_segment(socket_.body(), push, data_, 0));
  }
  /// Asks for una after the server has read the keepalive. A server that rejected the keepalive has ended the
  /// session by then, so this segment begins a new session, whose una is 0.
  void ask() {
    Segment ask;
    ask.conv = conv_;
    ask.command = KcpCommand::kWindowProbe;
    socket_.send_body(write_probe_segment(socket_.body(), ask, {}, 0));
  }
  void listen(TimePoint until) {
    receive_until(socket_, until, [this](TimePoint, Bytes body) {
      for_each_segment(body, conv_, [this](const Segment& segment) {
        marked_ |= segment.command == KcpCommand::kPush && has_mark(segment.data);
        if (segment.command != KcpCommand::kWindowUpdate) return;
        answered_ = true;
        accepted_ = segment.una == 1;
      });
    });
  }
  bool answered() const { return answered_; }
  bool accepted() const { return accepted_; }
  StreamSettings settings() const { return {settings_.compress, settings_.smux_version, marked_}; }

 private:
  /// Searches for the mark as it is: a Snappy chunk stores so few bytes as a literal.
  bool has_mark(Bytes data) const {
    const Bytes mark = Bytes(mark_);
    return !std::ranges::search(data, mark).empty();
  }

  ProbeSocket socket_;
  StreamSettings settings_;
  std::array<std::uint8_t, kFrameHeader> mark_{};
  const std::uint32_t conv_ = random_conv();
  std::vector<std::uint8_t> data_;
  bool answered_ = false;
  bool accepted_ = false;  // according to the last answer
  bool marked_ = false;    // the server sent its mark
};

}  // namespace

Result<std::optional<StreamSettings>> detect_streams(const ProbePeer& peer, Duration round_trip) {
  constexpr int kQuestions = 4;
  std::vector<StreamTrial> trials;
  for (const bool compress : {false, true}) {
    for (const std::uint32_t version : {1u, 2u}) {
      auto socket = ProbeSocket::open(peer.remote, peer.profile, peer.keys);
      if (!socket) return Error{socket.error()};
      trials.emplace_back(std::move(*socket), StreamSettings{compress, version});
    }
  }
  const auto wait = [&] {
    const TimePoint until = read_probe_clock() + round_trip * 3 / 2 + kServerClock;
    for (StreamTrial& trial : trials) trial.listen(until);
  };
  for (int question = 0; question < kQuestions; ++question) {
    for (StreamTrial& trial : trials) trial.speak();
    wait();
    for (StreamTrial& trial : trials) trial.ask();
    wait();
  }
  std::optional<StreamSettings> found;
  for (const StreamTrial& trial : trials) {
    // Under a suite of our own, the session of a rejected keepalive does not open again: it stays silent.
    const bool conclusive = trial.answered() || is_own_suite(peer.profile.crypt);
    if (!conclusive || (trial.accepted() && found)) return std::optional<StreamSettings>{};
    if (trial.accepted()) found = trial.settings();
  }
  return found;
}

}  // namespace kcptun
