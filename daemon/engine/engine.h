// One thread's loop: the clock, the timer, the UDP sockets, the batches, and the sessions that have something to do.
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
#include "daemon/net/udp_socket.h"

namespace kcptun {

class Session;

/// Takes the opened packets of a run that came over one of the loop's sockets.
class PacketReceiver {
 public:
  virtual ~PacketReceiver() = default;
  virtual void handle_run(TimePoint now, const Path& path, std::span<const Packet> packets) = 0;
  /// The kernel refuses to send over this socket, and not because packets are too large or the system is out of memory.
  virtual void handle_send_failure(TimePoint) {}
};

/// Drives everything on its thread. One wake-up: sockets are drained into links, links' events into connections,
/// connections into links, links into the transmit batch, and the batch into the sockets.
/// Not thread-safe but for mailbox().
class Engine {
 public:
  struct Counters {
    std::uint64_t rejected_packets = 0;  // failed their CRC or tag
    std::uint64_t sealed_packets = 0;
  };

  /// `key` is used during construction only; `qpp` (may be null) outlives the loop. The error says what the system
  /// would not give.
  static Result<std::unique_ptr<Engine>> open(const LinkSettings& settings, Cipher cipher, const MasterKey& key,
                                            const QppPads* qpp);
  /// On a libuv loop that others use too, who close it: it outlives this one by a turn. run() and stop() are theirs.
  Engine(uv_loop_t& shared, const LinkSettings& settings, Cipher cipher, const MasterKey& key, const QppPads* qpp);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  /// Until stop(), on the caller's thread.
  void run();
  /// From the loop's own thread: run() returns soon.
  void stop() { uv_stop(&uv_); }
  /// Does what is due now, without waiting.
  void flush() { pump(); }
  Mailbox& mailbox() { return *mailbox_; }
  uv_loop_t& uv() { return uv_; }

  /// Read once per wake-up, and once per receive call within it.
  TimePoint now();

  LinkContext& context() { return context_; }
  /// Of sessions that begin from now on.
  void set_link_settings(const LinkSettings& settings) { context_.settings = settings; }
  BufferPool& backlog_pool() { return backlog_pool_; }
  DeadlineHeap& deadlines() { return deadlines_; }
  LingeringResets& lingering_resets() { return lingering_resets_; }

  /// The index that the next socket is to be opened with (UdpOptions::index).
  std::uint32_t next_socket_index();
  /// Takes a socket opened with next_socket_index() and watches it. `receiver` outlives it.
  void add_socket(std::unique_ptr<DatagramSocket> socket, PacketReceiver& receiver);
  void add_socket(UdpSocket socket, PacketReceiver& receiver) {
    add_socket(std::make_unique<UdpSocket>(std::move(socket)), receiver);
  }
  void remove_socket(std::uint32_t index);
  const DatagramSocket* socket(std::uint32_t index) const;
  /// Calls visit(DatagramSocket&) for each.
  template <typename Visit>
  void for_each_socket(Visit visit) {
    for (DatagramSocket* socket : sockets_)
      if (socket) visit(*socket);
  }

  /// The session has something to do: it is pumped before the loop waits again.
  void wake(Session& session);
  void forget(Session& session);
  /// Destroys `owned` when no callback of this wake-up can still be using it.
  template <typename T>
  void dispose(std::unique_ptr<T> owned) {
    if (owned) disposed_.push_back({owned.release(), [](void* p) { delete static_cast<T*>(p); }});
  }

  TransmitBatch& batch() { return batch_; }
  /// Seals and sends the batch. False: the sockets take no more now; what is left waits in the batch.
  bool send_batch();
  /// True while a batch waits for a socket: nothing may be added to it.
  bool blocked() const { return blocked_; }

  /// Changes whenever a session had something to do, or ended. From any thread.
  std::uint64_t activity() const { return activity_.load(std::memory_order_relaxed); }
  /// What the tunnel has logged, and so need not log again soon.
  HintLimiter& hints() { return *hints_; }
  /// That of all engines of the tunnel; outlives this one. Before, each engine has its own.
  void share_hints(HintLimiter& hints) { hints_ = &hints; }
  const Counters& counters() const { return counters_; }
  DatagramSocket::Counters udp_counters() const;

 private:
  struct Port {
    std::unique_ptr<DatagramSocket> socket;
    PacketReceiver& receiver;
    std::unique_ptr<PollHandle> poll;
    std::uint64_t send_errors = 0;  // that the receiver knows of
  };
  struct Disposed {
    void* object;
    void (*destroy)(void*);
  };

  void handle_socket(std::uint32_t index, int events);
  void receive(std::uint32_t index);
  void handle_received(Port& port, const ReceivedRun& run);
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

  std::unique_ptr<UvLoop> uv_owner_;  // null on a shared one
  uv_loop_t& uv_;
  TimePoint now_{};
  bool now_is_fresh_ = false;
  LinkContext context_;
  BufferPool backlog_pool_;
  std::unique_ptr<Suite> suite_;
  TransmitBatch batch_;
  std::size_t batch_position_ = 0;
  bool blocked_ = false;
  std::uint32_t blocked_socket_ = 0;
  bool waits_for_memory_ = false;     // blocked by ENOBUFS, while the socket counts as writable
  ReceiveArena arena_;
  std::vector<Packet> packets_;   // of one run, reused
  std::vector<std::unique_ptr<Port>> ports_;
  std::vector<DatagramSocket*> sockets_;  // ports_' sockets, for send_batch
  std::vector<std::uint32_t> free_ports_;
  std::vector<std::uint32_t> stale_ports_;  // free once the batch, which may still name them, is sent
  DatagramSocket::Counters closed_udp_;   // of sockets that are gone
  std::vector<Session*> awake_;
  std::vector<Session*> pumping_;
  DeadlineHeap deadlines_;
  LingeringResets lingering_resets_{deadlines_};
  std::optional<TimePoint> armed_;
  std::optional<TimePoint> trim_at_;
  std::size_t sessions_gone_ = 0;  // since the last trim()
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
