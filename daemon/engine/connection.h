// A local TCP or unix connection and its smux stream.
#pragma once

#include <sys/uio.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/time.h"
#include "core/link/link.h"
#include "core/link/saturation_monitor.h"
#include "core/smux/stream_scheduler.h"
#include "daemon/engine/backlog.h"
#include "daemon/engine/deadlines.h"
#include "daemon/engine/engine.h"
#include "daemon/engine/local_connection.h"
#include "daemon/engine/replay_buffer.h"
#include "daemon/engine/stream_end.h"
#include "daemon/engine/stream_request.h"
#include "daemon/engine/target.h"
#include "daemon/io/listener.h"
#include "daemon/metrics/traffic.h"
#include "daemon/system/file_descriptor.h"

namespace kcptun {

/// Copies bytes in both directions without buffering them. It reads only what the link has room for, directly
/// into segments. It writes received bytes directly from the receive arena and stores only what the local
/// peer does not accept, bounded by smux flow control. It forwards half-closes in both directions, and resets
/// after the bytes before them: bytes that the local peer sent before its reset are read first, and bytes for
/// the local peer are written before the tunnel's reset is applied, within Session::drain_limit(). Owned by
/// its Session, which learns of its end through detach().
class Connection : public StreamTurn, private Deadline {
 public:
  enum class Pull : std::uint8_t {
    kMore,     // there may be more to read
    kEmpty,    // nothing to read now
    kBlocked,  // the stream has no send window: wait for kWritable
    kStopped,  // end of file, or the connection failed
  };

  /// An established connection. release() can return it until the peer may have forwarded part of it.
  Connection(Session& session, std::uint32_t sid, LocalConnection local);
  /// A connection that a Dialer is establishing. If the dial fails, the stream is reset.
  Connection(Session& session, std::uint32_t sid, Target& target);
  /// A connection to the target that the stream's first bytes request. A request that fails is answered with
  /// its reason.
  Connection(Session& session, std::uint32_t sid, RequestTargets& targets, RequestReader::Accepted accepted);
  ~Connection() override;

  std::uint32_t sid() const { return sid_; }
  const Traffic& traffic() const { return traffic_; }
  const SaturationMonitor::StreamLoad& load() const { return load_; }
  TimePoint opened_at() const { return opened_at_; }
  /// Reads the address at the other end of the descriptor, for peer().
  void note_peer() { peer_ = peer_name(fd_.get()); }
  const std::string& peer() const { return peer_; }
  /// Of a forward's connection; null: the stream is plain.
  const ForwardedRequest* forwarded() const { return forwarded_.get(); }
  /// Bytes that the local peer has not accepted yet.
  std::size_t backlog_bytes() const { return backlog_.size(); }
  /// True if bytes that an earlier session read are still to be sent.
  bool has_unsent() const { return !replay_.unsent().empty(); }
  /// True if the stream can restart in another session: the peer has sent nothing on it and cannot have read
  /// any of it, and the replay buffer holds every byte that was read.
  bool movable() const;

  // --- from the session ---

  /// Reads up to `limit` bytes into the link.
  Pull pull(std::size_t limit);
  /// Queues received bytes. flush() writes them, or copies them to the backlog, before the view becomes
  /// invalid.
  void queue_write(Bytes view);
  void flush();
  /// The peer has closed its direction of the stream.
  void handle_peer_finished();
  /// Stops reading because the link has no room. Reading resumes when it has.
  void pause_reading();
  void resume_reading();
  bool reading_paused() const { return reading_paused_; }
  /// The stream has a send window again.
  void handle_writable();
  /// Returns the connection without its stream. This object does nothing afterwards. REQUIRES: movable().
  LocalConnection release();
  /// The peer may have forwarded the bytes sent so far.
  void handle_forwarded() { replay_.bind(); }
  /// The peer has reset the stream. Resets the connection after the bytes received before the reset.
  void handle_peer_reset();
  /// The stream is gone. The local peer sees a reset, not an orderly close, after the bytes already written.
  void reset();

  bool write_queued = false;  // the session's bookkeeping

 private:
  void handle_deadline(TimePoint now) override;
  void handle_poll(int events);
  void handle_hang_up();
  void handle_connected(Dialer::Outcome outcome);
  void handle_established(Dialer::Outcome outcome);
  Bytes read_request(Bytes view);
  void send_first(Bytes bytes);
  void hand_over(HandedOver stream, Bytes reply);
  void handle_requested(StreamRequest::Outcome outcome);
  void refuse_request(Bytes reply);
  Pull end_refused();
  bool write_target_header(int fd) const;
  /// True while there is no connection yet.
  bool connecting() const { return dialer_ || request_; }
  Pull replay(std::span<const MutableBytes> room);
  void note_position();
  void bound_drain();
  void bound_idleness();
  void check_idleness(TimePoint now);
  void arm();
  Bytes strip_reply(Bytes view);
  bool settle_reply();
  bool send_reply(ReplyCode code);
  void refuse_forwarded(ReplyCode code, std::string_view reason);
  bool end_forwarded(std::string_view reason);
  void fail_watch(int error);
  void fail(const char* what, const std::string& error);
  void stop_writing(int error);
  void write_backlog();
  void end_if_drained();
  void update_watch();
  bool watch();
  bool takes_data() const { return !failed_ && !write_failed_; }
  void add_traffic(const Traffic& moved);
  std::size_t write_some(const iovec* vectors, std::size_t count);

  Session& session_;
  const std::uint32_t sid_;
  FileDescriptor fd_;
  std::unique_ptr<PollHandle> poll_;
  Backlog backlog_;
  Traffic traffic_;
  SaturationMonitor::StreamLoad load_;
  const TimePoint opened_at_;
  std::string peer_;  // "" until note_peer() is called
  std::vector<iovec> queued_writes_;
  std::unique_ptr<Dialer> dialer_;          // while the connection is being established
  std::unique_ptr<StreamRequest> request_;  // while it chooses the target and the connection is established
  int watch_error_ = 0;                     // errno of a refused watch on fd_
  ReplayBuffer replay_;
  std::unique_ptr<ForwardedRequest> forwarded_;  // of a forward's connection
  ForwardCounters* counters_ = nullptr;          // of the forward or reverse forward; null: neither
  std::optional<std::uint32_t> first_position_;  // position in the link's stream of the first byte read
  std::uint8_t moves_ = 0;
  static constexpr std::size_t kMinRead = 4 * 1024;
  static constexpr std::size_t kMaxRead = 64 * 1024;
  std::size_t read_size_ = kMinRead;  // bytes requested in the next read
  bool reading_paused_ = false;
  bool send_blocked_ = false;  // the stream has no send window
  bool read_ended_ = false;    // end of file was read
  bool peer_finished_ = false;
  bool peer_reset_ = false;    // remaining received bytes are still written, nothing is read
  bool write_ended_ = false;   // our direction was shut down
  bool write_failed_ = false;  // the local peer accepts no more bytes; those it sent earlier are still read
  bool watches_hang_up_ = false;  // while no other event is watched
  bool hung_up_ = false;  // the local peer is gone, and the stream has no send window for its remaining bytes
  std::size_t request_bytes_ = 0;  // of an incomplete request; not consumed yet
  bool refused_ = false;           // the request failed: the stream ends behind the reply
  bool failed_ = false;
  std::optional<TimePoint> deadline_;  // connecting, or draining
  // If the connection has nothing to read or write by then, it is watched for a hang-up.
  std::optional<TimePoint> hang_up_watch_at_;
  std::optional<TimePoint> idle_check_at_;  // half-closed: next check for progress
  std::uint64_t idle_traffic_ = 0;          // bytes moved at the previous check
};

}  // namespace kcptun
