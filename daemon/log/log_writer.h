// The log's bytes on their way to a descriptor that may not take them: a pipe whose reader stands still, a terminal that
// was stopped, a full disk.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>

#include "core/base/result.h"
#include "core/base/time.h"
#include "daemon/system/file_descriptor.h"

namespace kcptun {

/// Takes lines from any thread and never makes one wait: a thread of its own writes them, in order. Bounds: kMaxQueued
/// bytes wait, and as many are being written. Lines beyond are dropped and counted, and so are those that the system
/// refuses; a line in their place says how many, as soon as something can be written again.
/// Until start() there is no thread: what can be written without waiting is written at once.
class LogWriter {
 public:
  static constexpr std::size_t kMaxQueued = 1024 * 1024;
  /// Makes the line that says that so many are missing, with its line end.
  using Notice = std::function<std::string(std::uint64_t lines)>;

  /// `file`: none is standard error. `notice` is called by one thread at a time.
  LogWriter(FileDescriptor file, Notice notice);
  /// What waits is still written, if the descriptor takes it before the process ends.
  ~LogWriter();
  LogWriter(const LogWriter&) = delete;
  LogWriter& operator=(const LogWriter&) = delete;

  /// One or more whole lines.
  void append(std::string_view lines);
  /// The error says why the system gives no thread. Does nothing the second time.
  Result<bool> start();
  bool to_standard_error() const;
  void set_notice(Notice notice);
  /// Writes nothing before all lines of `before`, which takes no more, are written; waits for that no longer than
  /// `patience`, after which what `before` has not written is dropped. REQUIRES: nothing was appended.
  void follow(LogWriter& before, Duration patience);
  /// No line comes after this. True: all that came are written, or the system refused them; false: `patience` is over.
  bool finish(Duration patience);

 private:
  struct State;
  std::shared_ptr<State> state_;  // shared with the thread, which may outlive us
  std::thread thread_;
};

/// Writes to a descriptor that may block, and gives up when `patience` is over. False: not all of it was written.
bool write_within(int fd, std::string_view text, Duration patience);

}  // namespace kcptun
