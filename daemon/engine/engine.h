// A tunnel's share of one thread: the clock, the timer, the UDP sockets, the batches and the sessions with
// work to do.
#pragma once

#include <uv.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "core/base/packet.h"
#include "core/base/time.h"
#include "core/crypt/suite.h"
#include "core/link/link.h"
#include "daemon/engine/deadlines.h"
#include "daemon/engine/hints.h"
#include "daemon/engine/lingering_resets.h"
#include "daemon/io/uv_handles.h"
#include "daemon/metrics/snapshot.h"
#include "daemon/net/udp_socket.h"

namespace kcptun {

class Session;

/// Receives the decrypted packets of a run from one of the engine's sockets.
class PacketReceiver {
 public:
  virtual ~PacketReceiver() = default;
  virtual void handle_run(TimePoint now, const Path& path, std::span<const Packet> packets) = 0;
  /// The kernel rejects sends on this socket, for a reason other than packet size or lack of memory.
  virtual void handle_send_failure(TimePoint) {}
};

/// Drives all sessions on its thread. One wake-up moves data from sockets to links, from links to
/// connections, from connections to links, from links to the transmit batch, and from the batch to the
/// sockets. Not thread-safe except for mailbox() and activity().
class Engine {
 public:
  struct Counters {
    std::uint64_t rejected_packets = 0;  // failed their CRC or tag
    std::uint64_t sealed_packets = 0;
  };

  /// Runs on a libuv loop that other engines share; the loop outlives this engine by one iteration. `qpp`
  /// (may be null) outlives the engine.
  Engine(uv_loop_t& shared, const LinkSettings& settings, std::unique_ptr<Suite> suite, const QppPads* qpp);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  /// Runs on the caller's thread until stop().
  void run();
  /// Called on the engine's thread. run() returns soon afterwards.
  void stop() { uv_stop(&uv_); }
  /// Does the work that is due now, without waiting.
  void flush() { pump(); }
  Mailbox& mailbox() { return *mailbox_; }
  uv_loop_t& uv() { return uv_; }

  /// The clock is read once per wake-up, and once per receive call within it.
  TimePoint now();

  LinkContext& context() { return context_; }
  /// Applies to sessions created from now on.
  void set_link_settings(const LinkSettings& settings) { context_.settings = settings; }
  BufferPool& backlog_pool() { return backlog_pool_; }
  DeadlineHeap& deadlines() { return deadlines_; }
  LingeringResets& lingering_resets() { return lingering_resets_; }

  /// The index to open the next socket with (UdpOptions::index).
  std::uint32_t next_socket_index();
  /// Takes ownership of a socket opened with next_socket_index() and watches it. `receiver` outlives it.
  void add_socket(std::unique_ptr<DatagramSocket> socket, PacketReceiver& receiver);
  void add_socket(UdpSocket socket, PacketReceiver& receiver) {
    add_socket(std::make_unique<UdpSocket>(std::move(socket)), receiver);
  }
  void remove_socket(std::uint32_t index);
  const DatagramSocket* socket(std::uint32_t index) const;
  /// Calls visit(DatagramSocket&) for each socket.
  template <typename Visit>
  void for_each_socket(Visit visit) {
    for (DatagramSocket* socket : sockets_)
      if (socket) visit(*socket);
  }

  /// Marks the session as having work to do: it is pumped before the loop waits again.
  void wake(Session& session);
  void remove(Session& session);
  /// Destroys `owned` when no callback of this wake-up can still use it.
  template <typename T>
  void dispose(std::unique_ptr<T> owned) {
    if (owned) disposed_.push_back({owned.release(), [](void* p) { delete static_cast<T*>(p); }});
  }

  TransmitBatch& batch() { return batch_; }
  /// Encrypts and sends the batch. False: the sockets accept no more now, and the remaining packets stay in
  /// the batch.
  bool send_batch();
  /// True while the batch waits for a socket. Nothing may be added to it then.
  bool blocked() const { return blocked_; }

  /// Changes whenever a session does work or ends. Callable from any thread.
  std::uint64_t activity() const { return activity_.load(std::memory_order_relaxed); }
  /// Limits the hints of the tunnel.
  HintLimiter& hints() { return *hints_; }
  /// Uses the limiter that all engines of the tunnel share. It outlives this engine.
  void share_hints(HintLimiter& hints) { hints_ = &hints; }
  const Counters& counters() const { return counters_; }
  DatagramSocket::Counters udp_counters() const;
  /// What the open sockets use. None without a socket.
  std::optional<OffloadUse> offload_use() const;

 private:
  struct BoundSocket {
    std::unique_ptr<DatagramSocket> socket;
    PacketReceiver& receiver;
    std::unique_ptr<PollHandle> poll;
    std::uint64_t send_errors = 0;  // that the receiver has been notified of
  };
  struct Disposed {
    void* object;
    void (*destroy)(void*);
  };

  void handle_socket(std::uint32_t index, int events);
  void receive_pending();
  void receive(std::uint32_t index);
  void handle_received(BoundSocket& bound, const ReceivedRun& run);
  void pump();
  void wait_for_socket(const BatchSendResult& result);
  void transmit_rest();
  void report_send_failures();
  void watch_socket(std::uint32_t index);
  void watch_sockets_again();
  void note_activity() { activity_.store(activity() + 1, std::memory_order_relaxed); }
  void trim();
  void arm_timer();
  void empty_disposed();

  uv_loop_t& uv_;
  class SystemSecrets final : public SecretSource {
   public:
    void fill(MutableBytes bytes) override;
  };

  TimePoint now_{};
  bool now_is_fresh_ = false;
  SystemSecrets secrets_;
  LinkContext context_;
  BufferPool backlog_pool_;
  std::unique_ptr<Suite> suite_;
  TransmitBatch batch_;
  std::size_t batch_position_ = 0;
  bool blocked_ = false;
  std::uint32_t blocked_socket_ = 0;
  bool waits_for_memory_ = false;  // blocked by ENOBUFS, while the socket is reported as writable
  ReceiveArena arena_;
  std::vector<Packet> packets_;  // of one run; reused
  std::vector<std::unique_ptr<BoundSocket>> bound_sockets_;
  std::vector<DatagramSocket*> sockets_;  // the sockets of bound_sockets_, for send_batch()
  std::vector<std::uint32_t> readable_;   // indexes, of this turn of the loop
  std::vector<std::uint32_t> free_indexes_;
  // Indexes to free once the batch, which may still refer to them, is sent.
  std::vector<std::uint32_t> closed_indexes_;
  DatagramSocket::Counters closed_udp_;  // of closed sockets
  std::vector<Session*> awake_;
  std::vector<Session*> pumping_;
  DeadlineHeap deadlines_;
  LingeringResets lingering_resets_{deadlines_};
  std::optional<TimePoint> armed_;
  std::optional<TimePoint> trim_at_;
  std::size_t sessions_ended_ = 0;  // since the last trim()
  std::atomic<std::uint64_t> activity_{0};
  std::vector<Disposed> disposed_;
  Counters counters_;
  HintLimiter own_hints_;
  HintLimiter* hints_ = &own_hints_;
  std::unique_ptr<Mailbox> mailbox_;
  std::unique_ptr<TimerHandle> timer_;
  std::unique_ptr<TimerHandle> retry_;
  std::unique_ptr<TimerHandle> rewatch_;
  std::optional<TimePoint> rewatch_logged_at_;  // when a refused watch was last logged
  std::unique_ptr<CheckHandle> check_;
};

}  // namespace kcptun
