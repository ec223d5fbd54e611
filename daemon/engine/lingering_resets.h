// Connections to reset as soon as the peer's kernel has acknowledged all that was written.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "core/base/time.h"
#include "daemon/engine/deadlines.h"
#include "daemon/system/file_descriptor.h"

namespace kcptun {

/// A reset discards the kernel's unsent data. A connection with unsent data therefore waits here. It is
/// polled after 1 ms and then at growing intervals.
/// Bounds: kMaxConnections connections, beyond which a connection is reset immediately; each waits for its
/// `timeout` at most.
class LingeringResets : private Deadline {
 public:
  static constexpr std::size_t kMaxConnections = 1024;

  /// `deadlines` outlives it.
  explicit LingeringResets(DeadlineHeap& deadlines) : deadlines_(deadlines) {}
  ~LingeringResets() override { deadlines_.set(*this, std::nullopt); }
  LingeringResets(const LingeringResets&) = delete;
  LingeringResets& operator=(const LingeringResets&) = delete;

  /// Resets the connection when all written data is acknowledged, and after `timeout` in any case. The
  /// caller has stopped watching the descriptor.
  void add(TimePoint now, FileDescriptor fd, Duration timeout);
  std::size_t size() const { return waiting_.size(); }

 private:
  struct Waiting {
    FileDescriptor fd;  // closing it resets the connection
    TimePoint give_up_at;
  };
  void handle_deadline(TimePoint now) override;

  DeadlineHeap& deadlines_;
  std::vector<Waiting> waiting_;
  Duration interval_{0};  // until the next poll
};

/// Makes close() reset the connection. Undelivered data is lost, and the peer sees an error.
void set_reset_on_close(int fd);

}  // namespace kcptun
