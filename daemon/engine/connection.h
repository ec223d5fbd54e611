// One TCP or unix connection at this end of the tunnel, and the stream that it is joined to.
#pragma once

#include <sys/uio.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/time.h"
#include "core/link/link.h"
#include "daemon/engine/backlog.h"
#include "daemon/engine/deadlines.h"
#include "daemon/engine/engine.h"
#include "daemon/engine/local_connection.h"
#include "daemon/engine/replay_buffer.h"
#include "daemon/engine/target.h"
#include "daemon/io/listener.h"
#include "daemon/metrics/traffic.h"
#include "daemon/system/file_descriptor.h"

namespace kcptun {

/// Moves bytes both ways without keeping them: what can be read is read only when the link has room for it, straight
/// into segments; what came is written straight from the receive arena, and only what the peer will not take is
/// kept, within the flow control of smux. Half-closes pass both ways at once, and resets behind what came before them:
/// what the peer at this end sent before it reset is read first, what is to be written to it before the tunnel's reset is
/// written first, within Session::drain_limit().
/// Owned by its Session, which is told when it is over.
class Connection : private Deadline {
 public:
  enum class Pull : std::uint8_t {
    kMore,     // there may be more to read
    kDry,      // nothing to read now
    kBlocked,  // the stream has no window: kWritable will tell
    kStopped,  // the end was read, or the connection failed
  };

  /// A connection that is there. It can be taken back while nothing of it can have been passed on.
  Connection(Session& session, std::uint32_t sid, LocalConnection local);
  /// A connection that is being made (Dialer); when it cannot be, the stream is abandoned.
  Connection(Session& session, std::uint32_t sid, Target& target);
  ~Connection() override;

  std::uint32_t sid() const { return sid_; }
  const Traffic& traffic() const { return traffic_; }
  TimePoint opened_at() const { return opened_at_; }
  /// Reads the address at the other end of the descriptor, for peer().
  void note_peer() { peer_ = peer_name(fd_.get()); }
  const std::string& peer() const { return peer_; }
  /// Bytes that the peer at this end has not taken yet.
  std::size_t waiting() const { return backlog_.size(); }
  /// True if an earlier session took bytes from it that are still to be sent.
  bool has_unsent() const { return !replay_.unsent().empty(); }
  /// True if its stream can begin anew in another session: the peer has answered nothing, cannot have read anything of
  /// it, and all that was read is still here.
  bool movable() const;

  // --- from the session ---

  /// Reads up to `limit` bytes into the link.
  Pull pull(std::size_t limit);
  /// Bytes came; they are written by flush(), before the view ends.
  void queue_write(Bytes view);
  void flush();
  /// The peer sends no more.
  void handle_peer_finished();
  /// Stops reading because the link has no room, and reads again.
  void pause_reading();
  void resume_reading();
  bool reading_paused() const { return reading_paused_; }
  /// The stream, which had no window, has some again.
  void handle_writable();
  /// The connection without its stream. Nothing happens to it here any more. REQUIRES: movable().
  LocalConnection take_back();
  /// The peer may have passed on what was sent.
  void handle_forwarded() { replay_.bind(); }
  /// The other end has reset the stream: so does this one, behind what has come.
  void handle_peer_reset();
  /// The stream is gone: the peer at this end sees a reset, not an orderly end, as soon as it has what was written.
  void reset();

  bool in_ready_list = false;  // the session's bookkeeping
  bool write_queued = false;

 private:
  void handle_deadline(TimePoint now) override;
  void handle_poll(int events);
  void handle_hang_up();
  void handle_connected(Dialer::Outcome outcome);
  Pull replay(std::span<const MutableBytes> room);
  void note_position();
  void bound_drain();
  void bound_idleness();
  void check_idleness(TimePoint now);
  void arm();
  void refuse(int error);
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
  const TimePoint opened_at_;
  std::string peer_;  // "" unless somebody asked for it
  std::vector<iovec> queued_writes_;
  std::unique_ptr<Dialer> dialer_;  // while the connection is being made
  int watch_error_ = 0;             // why the system refuses to watch fd_
  ReplayBuffer replay_;
  std::optional<std::uint32_t> first_position_;  // in the link's stream, of the first byte that was read
  std::uint8_t moves_ = 0;
  static constexpr std::size_t kMinRead = 4 * 1024;
  static constexpr std::size_t kMaxRead = 64 * 1024;
  std::size_t read_size_ = kMinRead;  // bytes asked of the next read
  bool reading_paused_ = false;
  bool send_blocked_ = false;      // the stream has no window
  bool read_ended_ = false;   // the end was read
  bool peer_finished_ = false;
  bool peer_reset_ = false;   // what has come is written yet, nothing is read
  bool write_ended_ = false;  // our side was shut down
  bool write_failed_ = false;  // the peer at this end takes no more; what it sent before is read yet
  bool watches_hang_up_ = false;  // while nothing else is watched
  bool hung_up_ = false;          // it is gone, with bytes that the stream has no window for
  bool failed_ = false;
  std::optional<TimePoint> give_up_at_;  // connecting, or draining
  std::optional<TimePoint> look_at_;     // then what has nothing to read or write is watched for a hang-up
  std::optional<TimePoint> idle_at_;     // half-closed: whether anything was moved
  std::uint64_t idle_traffic_ = 0;       // bytes moved when that was last looked at
};

}  // namespace kcptun
