// Connections that are to end with a reset once their peer's kernel has what was written to them.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "core/base/time.h"
#include "daemon/engine/deadlines.h"
#include "daemon/system/file_descriptor.h"

namespace kcptun {

/// A reset throws away what the kernel has not sent yet. So a connection that has some waits here, looked at after 1 ms
/// and then ever less often. Bounds: kMost connections, beyond which one is reset at once, each for the patience given.
class LingeringResets : private Deadline {
 public:
  static constexpr std::size_t kMost = 1024;

  /// `deadlines` outlives it.
  explicit LingeringResets(DeadlineHeap& deadlines) : deadlines_(deadlines) {}
  ~LingeringResets() override { deadlines_.set(*this, std::nullopt); }
  LingeringResets(const LingeringResets&) = delete;
  LingeringResets& operator=(const LingeringResets&) = delete;

  /// Resets the connection when all that was written has arrived, after `patience` in any case. Its owner watches it no
  /// more.
  void add(TimePoint now, FileDescriptor fd, Duration patience);
  std::size_t size() const { return waiting_.size(); }

 private:
  struct Waiting {
    FileDescriptor fd;  // closing it resets
    TimePoint give_up_at;
  };
  void handle_deadline(TimePoint now) override;

  DeadlineHeap& deadlines_;
  std::vector<Waiting> waiting_;
  Duration interval_{0};  // until the next look
};

/// Makes a connection end with a reset: what its peer has not got is lost, and it shall know.
void set_reset_on_close(int fd);

}  // namespace kcptun
