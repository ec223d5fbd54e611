// The program's log: one line per event, never one per packet. An event has a name and fields, so one call
// produces either a text line or a JSON object. Used by daemon only. A field never contains user data or the
// key.
#pragma once

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "config/profile.h"
#include "core/base/result.h"
#include "core/base/time.h"

namespace spdlog {
class logger;
}

namespace kcptun {

/// "remote=192.0.2.1:47397". Valid during the call that it is passed to.
struct LogField {
  LogField(std::string_view field, std::string_view text) : name(field), value(text) {}
  LogField(std::string_view field, const char* text) : name(field), value(text) {}
  LogField(std::string_view field, const std::string& text) : name(field), value(text) {}
  LogField(std::string_view field, std::integral auto n)
      : name(field), value(std::to_string(n)), number(true) {}

  std::string_view name;
  std::string value;
  bool number = false;
};
using LogFields = std::span<const LogField>;
using LogFieldList = std::initializer_list<LogField>;

/// A session's conv in the log's format, "b87042de".
std::string hex_id(std::uint32_t conv);

/// Logs the events of one tunnel, or of the process. A cheap value: create one where it is needed.
class EventLog {
 public:
  /// `tunnel` outlives the EventLog. "": events have no tunnel field.
  explicit EventLog(std::string_view tunnel = {}) : tunnel_(tunnel) {}

  /// `event`: a constant phrase that names the event. Repeated warnings and errors beyond RepeatLimiter's
  /// bound are omitted and counted.
  void debug(std::string_view event, LogFieldList fields = {}) const {
    write(LogLevel::kDebug, event, fields);
  }
  void info(std::string_view event, LogFieldList fields = {}) const { write(LogLevel::kInfo, event, fields); }
  void warning(std::string_view event, LogFieldList fields = {}) const {
    write(LogLevel::kWarning, event, fields);
  }
  void error(std::string_view event, LogFieldList fields = {}) const {
    write(LogLevel::kError, event, fields);
  }
  void write(LogLevel level, std::string_view event, LogFields fields) const;

 private:
  std::string_view tunnel_;
};

/// `session opened tunnel=office conv=b87042de`. Quotes values that contain spaces, quotes, '=' or control
/// bytes. The field "text" is a sentence and ends the line: `hint tunnel=office: ...`.
std::string text_of_event(std::string_view event, std::string_view tunnel, LogFields fields);
/// `"event":"session opened","tunnel":"office","conv":"b87042de"`: the members of a JSON object without its
/// braces.
std::string json_of_event(std::string_view event, std::string_view tunnel, LogFields fields);

/// Opens a log that receives no lines yet. The error names the file and the missing folder. Reads
/// JOURNAL_STREAM from the environment: it shows whether standard error is the journal, which then gets
/// priorities and no timestamps, because it adds its own.
Result<std::shared_ptr<spdlog::logger>> open_log(const LogSettings& settings);
/// Starts the log's writer thread, so that callers never wait for the reader of the log. Before that, a line
/// that cannot be written immediately waits in the LogWriter's queue. The error gives the system's reason for
/// refusing a thread.
/// REQUIRES: `log` is from open_log(); called once, after the process has dropped its privileges (each thread
/// has its own).
Result<bool> start_log(spdlog::logger& log);
/// Directs all further events to `log`. Lines of the previous log are written first, for at most
/// kLogFlushTimeout.
/// REQUIRES: no other thread logs during the call.
void use_log(std::shared_ptr<spdlog::logger> log);
/// Logs the counts of omitted lines and closes the log. Waits at most kLogFlushTimeout until its lines are
/// written.
void close_log();

/// Maximum wait at exit for a slow reader of the log or of standard error.
constexpr Duration kLogFlushTimeout = seconds(2);
/// Writes a line to standard error, after the log's queued lines, from a process that is about to exit.
void write_last_line(std::string line);

}  // namespace kcptun
