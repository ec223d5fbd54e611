// Writes the log to a descriptor that may block: a pipe whose reader has stopped, a suspended terminal, a
// full disk.
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

/// Accepts lines from any thread without blocking. Its own thread writes them in order.
/// Bounds: kMaxQueued bytes in the queue, and as many being written. Lines beyond that, and lines whose write
/// fails, are dropped and counted. A notice in their place gives the number as soon as the descriptor accepts
/// data again. Until start() there is no thread, and lines that can be written without blocking are written
/// immediately.
class LogWriter {
 public:
  static constexpr std::size_t kMaxQueued = 1024 * 1024;
  /// Formats the notice that `lines` lines are missing, with its line end.
  using Notice = std::function<std::string(std::uint64_t lines)>;

  /// `file`: invalid means standard error. `notice` is called by one thread at a time.
  LogWriter(FileDescriptor file, Notice notice);
  /// The thread keeps writing queued lines until the process ends.
  ~LogWriter();
  LogWriter(const LogWriter&) = delete;
  LogWriter& operator=(const LogWriter&) = delete;

  /// Appends one or more complete lines.
  void append(std::string_view lines);
  /// The error gives the system's reason for refusing a thread. A second call does nothing.
  Result<bool> start();
  bool to_standard_error() const;
  void set_notice(Notice notice);
  /// Starts writing after all lines of `predecessor` are written; `predecessor` accepts no more lines.
  /// Waits at most `timeout`, then drops what `predecessor` has not written.
  /// REQUIRES: nothing has been appended to this writer.
  void start_after(LogWriter& predecessor, Duration timeout);
  /// Accepts no further lines. True: all lines were written, or their write failed. False: `timeout` ran
  /// out.
  bool finish(Duration timeout);

 private:
  struct State;
  std::shared_ptr<State> state_;  // shared with the thread, which may outlive this object
  std::thread thread_;
};

/// Writes to a descriptor that may block, for at most `timeout`. False: part of the text was not written.
bool write_within(int fd, std::string_view text, Duration timeout);

}  // namespace kcptun
