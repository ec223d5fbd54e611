// Applications for simulated links: streams that carry known bytes in both directions, with readers that
// pause, writers that write varying amounts, half-closes and streams reset midway.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <limits>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/base/random.h"
#include "core/link/link.h"
#include "core/smux/stream_scheduler.h"

namespace kcptun::test {

inline constexpr std::size_t kNever = std::numeric_limits<std::size_t>::max();

/// One stream, as known to both ends.
struct FlowPlan {
  std::uint64_t salt = 1;
  std::size_t request = 0;               // bytes from the client
  std::size_t answer = 0;                // bytes from the server
  bool answer_waits = false;             // the server writes nothing before it has received the client's FIN
  std::size_t client_abandons = kNever;  // after writing this many bytes
  std::size_t server_abandons = kNever;
  double pause = 0;  // probability that a reader pauses at an event, or a writer after a write
  Duration longest_pause{0};
  bool server_reads = true;  // false: the server never reads
  bool takes_turns = false;  // both ends write when StreamScheduler says so; of all plans or none
  TimePoint opens_at{};
  // Both sides write a message of this many bytes at opens_at and every message_gap from then on. 0: as much
  // as is accepted.
  std::size_t message_size = 0;
  Duration message_gap{0};
  bool echoes = false;  // the server returns what arrives at once, instead of writing at message_gap

  TimePoint message_at(std::size_t offset) const {
    return opens_at + message_gap * static_cast<std::int64_t>(offset / message_size);
  }
  bool is_reset_locally() const { return client_abandons != kNever || server_abandons != kNever; }
};

/// Byte `offset` of a stream. Half of all blocks of 256 bytes are compressible.
inline std::uint8_t pattern(std::uint64_t salt, std::size_t offset) {
  const std::uint64_t block = offset >> 8;
  const std::uint64_t word = block & 1 ? block : offset >> 3;
  std::uint64_t z = (salt ^ word) * 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 29)) * 0xbf58476d1ce4e5b9u;
  return static_cast<std::uint8_t>((z ^ (z >> 32)) >> 8 * (offset & 7));
}

/// All applications at one end of a link.
class SimFlows {
 public:
  SimFlows(Role role, const std::vector<FlowPlan>& plans, std::uint64_t seed)
      : role_(role), plans_(plans), random_(seed) {}

  /// Does all work that is due at `now`: opens, reads, writes. Call it after every mutation of the link.
  void act(TimePoint now, Link& link) {
    open_due(now, link);
    read_due(now, link);
    do {
      drain(now, link);
    } while (write_due(now, link));
    link.release_views();
  }

  std::optional<TimePoint> next_timeout() const {
    std::optional<TimePoint> next;
    if (role_ == Role::kClient && opened_ < plans_.size()) next = plans_[opened_].opens_at;
    for (const Flow& flow : flows_)
      if (!flow.over) next = earliest(next, earliest(flow.read_at, flow.write_at));
    return next;
  }

  /// All planned streams are closed, and all bytes arrived.
  bool done() const {
    if (flows_.size() < plans_.size() && role_ == Role::kClient) return false;
    return std::all_of(flows_.begin(), flows_.end(), [this](const Flow& flow) { return flow_done(flow); });
  }
  /// The first error; empty if there was none.
  const std::string& failure() const { return failure_; }
  std::uint64_t received() const { return received_; }
  /// The delay between each message's time and its arrival, in message order.
  const std::vector<Duration>& message_delays() const { return delays_; }
  std::size_t received_on(std::size_t index) const {
    for (const Flow& flow : flows_)
      if (flow.plan == &plans_[index]) return flow.received;
    return 0;
  }
  std::string progress() const {
    std::string text;
    for (const Flow& flow : flows_) {
      if (flow_done(flow)) continue;
      text += " [sid " + std::to_string(flow.sid) + " sent " + std::to_string(flow.sent) + "/" +
              std::to_string(flow.to_send) + " received " + std::to_string(flow.received) + "/" +
              std::to_string(flow.expected) + (flow.finished ? " finished" : "") +
              (flow.peer_finished ? " peer finished" : "") + " unread " + std::to_string(flow.unread) + "]";
    }
    return text;
  }

 private:
  struct Flow : StreamTurn {
    const FlowPlan* plan = nullptr;
    std::uint32_t sid = 0;
    std::size_t to_send = 0;
    std::size_t expected = 0;
    std::size_t abandon_at = kNever;
    bool reads = true;
    std::size_t turn = kNever;  // bytes that it may write yet
    std::size_t sent = 0;
    std::size_t received = 0;
    std::size_t unread = 0;
    bool may_send = true;
    bool finished = false;  // by this end
    bool peer_finished = false;
    bool over = false;  // reset by either end
    std::optional<TimePoint> read_at;
    std::optional<TimePoint> write_at;
    bool cut_short = false;  // the last write had less room than the application had bytes
  };

  static bool flow_done(const Flow& flow) {
    if (flow.over) return true;
    if (!flow.reads) return flow.finished;
    const bool complete = flow.received == flow.expected || flow.plan->is_reset_locally();
    return flow.finished && flow.peer_finished && complete && flow.unread == 0;
  }

  void fail(std::string what) {
    if (failure_.empty()) failure_ = std::move(what);
  }

  std::optional<TimePoint> maybe_pause(TimePoint now, const Flow& flow) {
    if (flow.plan->pause == 0 || !random_.chance(flow.plan->pause)) return std::nullopt;
    const auto longest = static_cast<std::uint64_t>(flow.plan->longest_pause.count());
    return now + Duration(1 + static_cast<std::int64_t>(random_.next() % (longest + 1)));
  }

  Flow& add(std::uint32_t sid, const FlowPlan& plan) {
    index_[sid] = flows_.size();
    Flow& flow = flows_.emplace_back();
    flow.plan = &plan;
    flow.sid = sid;
    const bool client = role_ == Role::kClient;
    flow.to_send = client ? plan.request : plan.answer;
    flow.expected = client ? plan.answer : plan.request;
    flow.abandon_at = client ? plan.client_abandons : plan.server_abandons;
    flow.may_send = client || !plan.answer_waits;
    flow.reads = client || plan.server_reads;
    return flow;
  }

  void open_due(TimePoint now, Link& link) {
    while (role_ == Role::kClient && opened_ < plans_.size() && plans_[opened_].opens_at <= now) {
      const std::optional<std::uint32_t> sid = link.open_stream();
      if (!sid) return fail("the link opened no stream");
      add(*sid, plans_[opened_]);
      link.set_tag(*sid, ++opened_);
    }
  }

  void read_due(TimePoint now, Link& link) {
    for (Flow& flow : flows_) {
      if (flow.over || !flow.read_at || *flow.read_at > now) continue;
      flow.read_at.reset();
      const std::size_t take = random_.chance(0.5) ? flow.unread : 1 + random_.next() % flow.unread;
      flow.unread -= take;
      link.consume(flow.sid, take);
      if (flow.unread > 0) flow.read_at = now + milliseconds(1);
    }
  }

  void drain(TimePoint now, Link& link) {
    while (std::optional<StreamEvent> event = link.poll_event(now)) handle(now, link, *event);
  }

  void handle(TimePoint now, Link& link, const StreamEvent& event) {
    if (event.type == StreamEvent::Type::kOpened) {
      const std::size_t plan = (event.sid - 3) / 2;
      if (role_ == Role::kClient || plan >= plans_.size() || index_.count(event.sid))
        return fail("a wrong sid opened");
      add(event.sid, plans_[plan]);
      link.set_tag(event.sid, plan + 1);
      return;
    }
    const auto it = index_.find(event.sid);
    if (it == index_.end()) return fail("an event of an unknown stream");
    Flow& flow = flows_[it->second];
    if (event.tag != (event.sid - 3) / 2 + 1) fail("a wrong tag");
    switch (event.type) {
      case StreamEvent::Type::kOpened:
        break;
      case StreamEvent::Type::kData:
        return handle_data(now, link, flow, event.data);
      case StreamEvent::Type::kFinished:
        if (flow.peer_finished) fail("finished twice");
        if (!flow.plan->is_reset_locally() && flow.received != flow.expected)
          fail("an end before all bytes came");
        flow.peer_finished = flow.may_send = true;
        break;
      case StreamEvent::Type::kWritable:
        break;
      case StreamEvent::Type::kEvicted:
        return fail("a stream was given up");
      case StreamEvent::Type::kReset:
        if (!flow.plan->is_reset_locally()) fail("a stream broke");
        if (flow.received <
            (role_ == Role::kClient ? flow.plan->server_abandons : flow.plan->client_abandons))
          fail("a reset overtook bytes");
        flow.over = true;
        link.reset_stream(flow.sid);  // no longer reads
        break;
    }
  }

  void handle_data(TimePoint now, Link& link, Flow& flow, Bytes data) {
    if (flow.over || flow.peer_finished) fail("data behind the end");
    if (flow.received + data.size() > flow.expected) return fail("too many bytes");
    const std::uint64_t salt = flow.plan->salt * 2 + (role_ == Role::kClient);
    for (const std::uint8_t byte : data)
      if (byte != pattern(salt, flow.received++))
        return fail("sid " + std::to_string(flow.sid) + ": wrong byte at " +
                    std::to_string(flow.received - 1));
    received_ += data.size();
    note_messages(now, flow, data.size());
    if (!flow.reads) return;
    if (!flow.read_at) {
      flow.read_at = maybe_pause(now, flow);
      if (!flow.read_at) return link.consume(flow.sid, data.size());
    }
    flow.unread += data.size();
  }

  void note_messages(TimePoint now, const Flow& flow, std::size_t news) {
    const std::size_t size = flow.plan->message_size;
    if (size == 0) return;
    for (std::size_t i = (flow.received - news) / size; i < flow.received / size; ++i)
      delays_.push_back(now - flow.plan->message_at(i * size));
  }

  /// True if anything was written or closed.
  bool write_due(TimePoint now, Link& link) {
    if (plans_.front().takes_turns) return write_by_turns(now, link);
    bool progress = false;
    const std::size_t count = flows_.size();
    for (std::size_t i = 0; i < count; ++i) progress |= write(now, link, flows_[(first_ + i) % count]);
    ++first_;
    return progress;
  }

  /// As daemon/engine/session.cc reads from its connections.
  bool write_by_turns(TimePoint now, Link& link) {
    for (Flow& flow : flows_) {
      if (!has_input(now, flow)) continue;
      flow.write_at.reset();
      scheduler_.activate(flow);
    }
    bool progress = false;
    while (!scheduler_.empty() && link.writable()) {
      auto& flow = static_cast<Flow&>(scheduler_.next());
      const std::size_t before = flow.sent;
      flow.turn = scheduler_.allowance(flow);
      progress |= write(now, link, flow);
      const std::size_t sent = flow.sent - before;
      scheduler_.record_sent(flow, sent);
      if (sent == 0 || !has_input(now, flow)) scheduler_.deactivate(flow);
    }
    return progress;
  }

  static bool has_input(TimePoint now, const Flow& flow) {
    if (flow.over || flow.finished || !flow.may_send) return false;
    return flow.plan->message_size == 0 || flow.plan->message_at(flow.sent) <= now;
  }

  bool write(TimePoint now, Link& link, Flow& flow) {
    if (flow.over || flow.finished || !flow.may_send) return false;
    if (flow.plan->echoes && role_ == Role::kServer) return echo(link, flow);
    if (flow.plan->message_size > 0) flow.write_at = flow.plan->message_at(flow.sent);
    if (flow.write_at && *flow.write_at > now) return false;
    flow.write_at.reset();
    bool progress = false;
    while (flow.turn > 0 && flow.sent < std::min(flow.to_send, flow.abandon_at)) {
      const std::size_t written = write_some(link, flow);
      if (written == kNever) return progress;
      if (flow.plan->takes_turns) flow.turn -= std::min(flow.turn, written);
      progress |= written > 0;
      if (!flow.cut_short && (flow.write_at = maybe_pause(now, flow))) return progress;
      if (flow.plan->message_size > 0 && (flow.write_at = flow.plan->message_at(flow.sent)) > now)
        return progress;
    }
    if (flow.sent < std::min(flow.to_send, flow.abandon_at)) return progress;
    if (flow.sent >= flow.abandon_at) {
      link.reset_stream(flow.sid);
      flow.over = true;
    } else {
      link.finish(flow.sid);
    }
    return flow.finished = true;
  }

  bool echo(Link& link, Flow& flow) {
    bool progress = false;
    while (flow.sent < flow.received) {
      const std::size_t written = write_some(link, flow);
      if (written == kNever) return progress;
      progress = true;
    }
    if (flow.sent < flow.to_send) return progress;
    link.finish(flow.sid);
    return flow.finished = true;
  }

  /// Returns the number of bytes written, or kNever if there was no room.
  std::size_t write_some(Link& link, Flow& flow) {
    const std::size_t message = flow.plan->message_size;
    const std::size_t wish =
        message > 0 ? message - flow.sent % message
                    : std::min({flow.to_send - flow.sent, flow.turn, std::size_t{1} + random_.below(20000)});
    const auto pieces = link.prepare_write(flow.sid, wish);
    if (pieces.empty()) return kNever;
    const std::uint64_t salt = flow.plan->salt * 2 + (role_ == Role::kServer);
    std::size_t size = 0;
    for (const MutableBytes piece : pieces)
      for (std::uint8_t& byte : piece) byte = pattern(salt, flow.sent + size++);
    if (size > wish) fail("more room than asked for");
    flow.cut_short = size < wish;
    if (message == 0 && random_.chance(0.1)) size = random_.next() % (size + 1);
    link.commit_write(flow.sid, size);
    flow.sent += size;
    return size;
  }

  const Role role_;
  const std::vector<FlowPlan>& plans_;
  Random random_;
  StreamScheduler scheduler_;
  std::deque<Flow> flows_;
  std::unordered_map<std::uint32_t, std::size_t> index_;
  std::size_t opened_ = 0;
  std::size_t first_ = 0;
  std::uint64_t received_ = 0;
  std::vector<Duration> delays_;
  std::string failure_;
};

}  // namespace kcptun::test
