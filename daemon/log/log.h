// The program's log: one line per event of its life, never per packet. An event has a name and fields, so
// that the same call makes a line for people or a JSON object. Used by daemon only. Never in a field: what
// connections carry, the key.
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

/// "remote=192.0.2.1:47397". Lives within the call that it is given to.
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

/// A conversation's id as lines have it, "b87042de".
std::string hex_id(std::uint32_t conv);

/// Events of one tunnel, or of the process: a name and a place in the code, made where it is used.
class EventLog {
 public:
  /// `tunnel`: outlives it; "" has no field.
  explicit EventLog(std::string_view tunnel = {}) : tunnel_(tunnel) {}

  /// `event`: what happened, in a few words that are the same each time. Warnings and errors that repeat are
  /// left out beyond RepeatLimiter's bound, and counted.
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

/// `session opened tunnel=office conv=b87042de`: values with spaces, quotes, '=' or control bytes stand in
/// quotes. The field "text" is a sentence, and ends the line: `hint tunnel=office: nothing at all comes from ...`.
std::string text_of_event(std::string_view event, std::string_view tunnel, LogFields fields);
/// `"event":"session opened","tunnel":"office","conv":"b87042de"`: the members of an object, without its
/// braces.
std::string json_of_event(std::string_view event, std::string_view tunnel, LogFields fields);

/// A log that nobody writes to yet. The error names the file, and the folder that is missing.
/// Of the process's environment: JOURNAL_STREAM tells that standard error is the journal, which then gets
/// priorities and no times, as it has its own.
Result<std::shared_ptr<spdlog::logger>> open_log(const LogSettings& settings);
/// Gives the log a thread of its own, so that whoever logs never waits for who reads; before, a line that cannot be
/// written at once waits in the log's queue (LogWriter). The error says why the system gives no thread. REQUIRES: `log`
/// is of open_log(); called once, when the process has given up its privileges: threads keep theirs.
Result<bool> start_log(spdlog::logger& log);
/// From now on events go there. The lines of the log before come first, for kLogPatience. REQUIRES: no other thread writes
/// to the log meanwhile.
void use_log(std::shared_ptr<spdlog::logger> log);
/// Tells what was left out, and ends the log: waits for its lines to be written, for kLogPatience at most.
void close_log();

/// How long an end waits for who reads the log or standard error.
constexpr Duration kLogPatience = seconds(2);
/// A line to standard error from a process that is about to end, after what the log holds.
void write_last_line(std::string line);

}  // namespace kcptun
