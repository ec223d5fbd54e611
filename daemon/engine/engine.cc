#include "daemon/engine/engine.h"

#include <sodium.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "core/base/check.h"
#include "daemon/engine/session.h"
#include "daemon/log/log.h"
#include "daemon/system/allocator.h"
#include "daemon/system/clock.h"

namespace kcptun {
namespace {

// Receive calls in a row before other work is done.
constexpr int kReceiveCalls = 8;
// In bytes. Buffers for data that a TCP peer does not accept immediately.
constexpr std::size_t kBacklogBuffer = 16 * 1024;
// Memory that stayed unused for this long is returned to the system.
constexpr Duration kTrimEvery = seconds(2);
// After this many ended sessions, returning the heap's holes to the system is worth its cost.
constexpr std::size_t kHeapTrimSessions = 100;
// Retry delay in ms after ENOBUFS, which no event ends.
constexpr std::uint64_t kRetrySendMs = 1;
// In ms. Retry interval for a socket that the system refuses to watch.
constexpr std::uint64_t kRewatchMs = 100;
constexpr Duration kLogAgainAfter = seconds(60);

UnixTime read_wall_clock() {
  timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  return UnixTime(seconds(t.tv_sec));
}

void add_counters(DatagramSocket::Counters& sum, const DatagramSocket::Counters& one) {
  sum.datagrams_sent += one.datagrams_sent;
  sum.bytes_sent += one.bytes_sent;
  sum.datagrams_received += one.datagrams_received;
  sum.bytes_received += one.bytes_received;
  sum.send_calls += one.send_calls;
  sum.receive_calls += one.receive_calls;
  sum.gso_messages += one.gso_messages;
  sum.gro_messages += one.gro_messages;
  sum.would_block += one.would_block;
  sum.send_errors += one.send_errors;
  sum.datagrams_dropped += one.datagrams_dropped;
  sum.too_big += one.too_big;
  sum.pending_errors += one.pending_errors;
  sum.connection_refused += one.connection_refused;
  sum.receive_errors += one.receive_errors;
  sum.truncated += one.truncated;
  sum.malformed += one.malformed;
  sum.misrouted += one.misrouted;
  sum.gso_fallbacks += one.gso_fallbacks;
}

}  // namespace

Engine::Engine(uv_loop_t& shared, const LinkSettings& settings, std::unique_ptr<Suite> suite,
               const QppPads* qpp)
    : uv_(shared), context_(settings), backlog_pool_(kBacklogBuffer), suite_(std::move(suite)) {
  context_.set_overhead(*suite_);
  context_.secrets = &secrets_;
  context_.qpp = qpp;
  mailbox_ = std::make_unique<Mailbox>(uv_);
  timer_ = std::make_unique<TimerHandle>(uv_, [this] {
    armed_.reset();
    pump();  // libuv may wait again before it runs the check handle
  });
  retry_ = std::make_unique<TimerHandle>(uv_, [this] {
    transmit_rest();
    pump();
  });
  rewatch_ = std::make_unique<TimerHandle>(uv_, [this] { watch_sockets_again(); });
  check_ = std::make_unique<CheckHandle>(uv_, [this] {
    receive_pending();
    pump();
  });
}

Engine::~Engine() {
  empty_disposed();
  bound_sockets_.clear();
  check_.reset();
  rewatch_.reset();
  retry_.reset();
  timer_.reset();
  mailbox_.reset();
}

void Engine::SystemSecrets::fill(MutableBytes bytes) { randombytes_buf(bytes.data(), bytes.size()); }

void Engine::run() {
  pump();  // work from before the start
  uv_run(&uv_, UV_RUN_DEFAULT);
}

TimePoint Engine::now() {
  if (now_is_fresh_) return now_;
  now_ = read_clock();
  if (context_.session_header > 0) context_.wall = read_wall_clock();
  now_is_fresh_ = true;
  return now_;
}

// --- sockets ---

std::uint32_t Engine::next_socket_index() {
  return free_indexes_.empty() ? static_cast<std::uint32_t>(bound_sockets_.size()) : free_indexes_.back();
}

void Engine::add_socket(std::unique_ptr<DatagramSocket> socket, PacketReceiver& receiver) {
  const std::uint32_t index = next_socket_index();
  KCPTUN_CHECK(socket->index() == index);
  if (index == bound_sockets_.size()) {
    bound_sockets_.emplace_back();
    sockets_.push_back(nullptr);
  } else {
    free_indexes_.pop_back();
  }
  bound_sockets_[index] = std::make_unique<BoundSocket>(BoundSocket{std::move(socket), receiver, nullptr, 0});
  BoundSocket& bound = *bound_sockets_[index];
  sockets_[index] = bound.socket.get();
  bound.poll = std::make_unique<PollHandle>(uv_, bound.socket->fd(),
                                            [this, index](int events) { handle_socket(index, events); });
  watch_socket(index);
}

void Engine::remove_socket(std::uint32_t index) {
  add_counters(closed_udp_, bound_sockets_[index]->socket->counters());
  sockets_[index] = nullptr;
  dispose(std::move(bound_sockets_[index]));
  (blocked_ ? closed_indexes_ : free_indexes_).push_back(index);
  if (blocked_ && blocked_socket_ == index) retry_->start(0);
}

const DatagramSocket* Engine::socket(std::uint32_t index) const { return sockets_[index]; }

DatagramSocket::Counters Engine::udp_counters() const {
  DatagramSocket::Counters sum = closed_udp_;
  for (const DatagramSocket* socket : sockets_)
    if (socket) add_counters(sum, socket->counters());
  return sum;
}

std::optional<OffloadUse> Engine::offload_use() const {
  std::optional<OffloadUse> use;
  for (const DatagramSocket* socket : sockets_) {
    if (!socket) continue;
    if (!use) use.emplace();
    use->gso |= socket->uses_gso();
    use->gro |= socket->uses_gro();
  }
  return use;
}

void Engine::watch_socket(std::uint32_t index) {
  const bool writing = blocked_ && blocked_socket_ == index && !waits_for_memory_;
  if (bound_sockets_[index]->poll->watch(UV_READABLE | (writing ? UV_WRITABLE : 0))) return;
  const int error = errno;
  if (!rewatch_logged_at_ || now() - *rewatch_logged_at_ >= kLogAgainAfter) {
    EventLog().warning("cannot watch a socket, retrying", {{"error", std::strerror(error)}});
    rewatch_logged_at_ = now();
  }
  rewatch_->start(kRewatchMs);
}

// Sockets that are already watched are unaffected.
void Engine::watch_sockets_again() {
  for (std::uint32_t index = 0; index < bound_sockets_.size(); ++index)
    if (bound_sockets_[index]) watch_socket(index);
}

void Engine::handle_socket(std::uint32_t index, int events) {
  if (events & UV_WRITABLE) transmit_rest();
  if (events & UV_READABLE) readable_.push_back(index);
  if (bound_sockets_[index]) watch_socket(index);  // an error event stops the watch
}

// After all events of this turn: receiving pumps the sessions, which then know of every connection that has
// input. A small request is read before more bulk data is.
void Engine::receive_pending() {
  for (const std::uint32_t index : readable_) receive(index);
  readable_.clear();
}

// Sends acknowledgements after each receive call, so that the peer gets them while there is more to read.
void Engine::receive(std::uint32_t index) {
  for (int call = 0; call < kReceiveCalls && bound_sockets_[index]; ++call) {
    BoundSocket& bound = *bound_sockets_[index];
    const DatagramSocket::Received received = bound.socket->receive(arena_);
    now_is_fresh_ = false;
    for (const ReceivedRun& run : received.runs) handle_received(bound, run);
    pump();  // the arena is reused: no view into it may remain
    if (received.dry) return;
  }
}

void Engine::handle_received(BoundSocket& bound, const ReceivedRun& run) {
  packets_.clear();
  for (std::size_t i = 0; i < run.count(); ++i) packets_.push_back(run.packet(i));
  if (run.stride >
      kMaxDatagram) {  // no supported peer sends such a datagram (docs/develop/protocol.md section 2)
    counters_.rejected_packets += packets_.size();
    return;
  }
  counters_.rejected_packets += suite_->open(packets_);
  bound.receiver.handle_run(now(), run.path, packets_);
}

// --- sending ---

bool Engine::send_batch() {
  if (blocked_) return false;
  if (batch_.empty()) return true;
  suite_->seal(batch_.packets());
  counters_.sealed_packets += batch_.size();
  batch_position_ = 0;
  transmit_rest();
  return !blocked_;
}

void Engine::transmit_rest() {
  const std::uint32_t was_blocked_on = blocked_socket_;
  const bool was_blocked = std::exchange(blocked_, false);
  const BatchSendResult result = kcptun::send_batch(sockets_, batch_, batch_position_);
  batch_position_ = result.position;
  if (result.dropped > 0) report_send_failures();
  if (result.state == DatagramSocket::SendState::kDone) {
    batch_.clear();
    free_indexes_.insert(free_indexes_.end(), closed_indexes_.begin(), closed_indexes_.end());
    closed_indexes_.clear();
  } else {
    wait_for_socket(result);
  }
  if (was_blocked && bound_sockets_[was_blocked_on]) watch_socket(was_blocked_on);
}

void Engine::report_send_failures() {
  for (const std::unique_ptr<BoundSocket>& bound : bound_sockets_) {
    if (!bound) continue;
    const std::uint64_t errors = bound->socket->counters().send_errors;
    if (std::exchange(bound->send_errors, errors) != errors) bound->receiver.handle_send_failure(now());
  }
}

void Engine::wait_for_socket(const BatchSendResult& result) {
  blocked_ = true;
  blocked_socket_ = result.socket;
  waits_for_memory_ = result.state == DatagramSocket::SendState::kNoBuffers;
  if (waits_for_memory_) {
    retry_->start(kRetrySendMs);
  } else {
    watch_socket(result.socket);
  }
}

// --- sessions ---

void Engine::wake(Session& session) {
  if (!session.set_awake(true)) awake_.push_back(&session);
}

void Engine::remove(Session& session) {
  ++sessions_ended_;
  note_activity();
  deadlines_.set(session, std::nullopt);
  std::erase(awake_, &session);
  std::replace(pumping_.begin(), pumping_.end(), &session, static_cast<Session*>(nullptr));
}

// While a batch is blocked, sessions deliver received data and stay awake for the rest of their work.
void Engine::pump() {
  deadlines_.run(now());
  std::swap(awake_, pumping_);
  if (!pumping_.empty()) note_activity();
  for (std::size_t i = 0; i < pumping_.size(); ++i) {
    if (!pumping_[i]) continue;
    Session& session = *pumping_[i];
    session.set_awake(false);
    session.pump(now());
  }
  pumping_.clear();
  send_batch();
  empty_disposed();
  trim();
  arm_timer();
  now_is_fresh_ = false;
}

// Runs while there is work, and once or twice after the work has ended.
void Engine::trim() {
  const bool holding =
      context_.segments.held_bytes() + context_.blocks.held_bytes() + backlog_pool_.held_bytes() > 0;
  if (!trim_at_ && (holding || sessions_ended_ >= kHeapTrimSessions)) trim_at_ = now_ + kTrimEvery;
  if (!trim_at_ || now_ < *trim_at_) return;
  trim_at_.reset();
  context_.trim();
  backlog_pool_.trim();
  if (context_.segments.in_use() == 0) arena_.release();
  if (std::exchange(sessions_ended_, 0) >= kHeapTrimSessions) return_free_memory();
}

void Engine::arm_timer() {
  std::optional<TimePoint> at = earliest(deadlines_.next(), trim_at_);
  if (!awake_.empty() && !blocked_) at = now_;
  if (at == armed_) return;
  armed_ = at;
  if (!at) return timer_->stop();
  const Duration wait = std::max<Duration>(*at - now_, Duration(0));
  timer_->start(static_cast<std::uint64_t>(std::chrono::ceil<milliseconds>(wait).count()));
}

void Engine::empty_disposed() {
  while (!disposed_.empty()) {
    std::vector<Disposed> disposed;
    disposed.swap(disposed_);
    for (const Disposed& one : disposed) one.destroy(one.object);
  }
}

}  // namespace kcptun
