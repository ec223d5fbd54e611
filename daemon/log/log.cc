#include "daemon/log/log.h"

#include <fcntl.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "daemon/log/held_log.h"
#include "daemon/log/log_writer.h"
#include "daemon/log/repeat_limiter.h"
#include "daemon/system/file_descriptor.h"
#include "daemon/system/missing_folder.h"

namespace kcptun {
namespace {

struct LevelNames {
  spdlog::level::level_enum level;
  std::string_view word;
  char priority;  // priority of syslog(3), for the journal
};
// In the order of LogLevel.
constexpr std::array<LevelNames, 4> kLevels{{{spdlog::level::debug, "debug", '7'},
                                             {spdlog::level::info, "info", '6'},
                                             {spdlog::level::warn, "warning", '4'},
                                             {spdlog::level::err, "error", '3'}}};

const LevelNames& names_of(LogLevel level) { return kLevels[static_cast<std::size_t>(level)]; }

TimePoint monotonic_now() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return TimePoint(seconds(t.tv_sec) + microseconds(t.tv_nsec / 1000));
}

class WriterSink final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  explicit WriterSink(std::shared_ptr<LogWriter> writer) : writer_(std::move(writer)) {}

 private:
  void sink_it_(const spdlog::details::log_msg& message) override {
    spdlog::memory_buf_t line;
    formatter_->format(message, line);
    writer_->append({line.data(), line.size()});
  }
  void flush_() override {}

  const std::shared_ptr<LogWriter> writer_;
};

// The registered logger with the fields that spdlog's base class lacks.
class EventLogger final : public spdlog::logger {
 public:
  EventLogger(std::shared_ptr<LogWriter> writer, LogWriter::Notice notice, LogFormat format)
      : logger("kcptun", std::make_shared<WriterSink>(writer)),
        writer_(std::move(writer)),
        notice_(std::move(notice)),
        format_(format) {}

  const std::shared_ptr<LogWriter>& writer() const { return writer_; }
  LogFormat format() const { return format_; }
  /// The writer now reports lost lines in this log's format instead of the previous log's.
  void adopt_writer() { writer_->set_notice(notice_); }
  bool admit(std::string_view event, std::string_view tunnel) {
    std::string kind(event);
    if (!tunnel.empty()) kind.append(" tunnel=").append(tunnel);
    const std::lock_guard lock(mutex_);
    return repeats_.admit(kind, monotonic_now());
  }
  std::vector<RepeatLimiter::Omitted> take_finished() {
    const std::lock_guard lock(mutex_);
    return repeats_.take_finished(monotonic_now());
  }
  std::vector<RepeatLimiter::Omitted> take_all() {
    const std::lock_guard lock(mutex_);
    return repeats_.take_all();
  }

  /// The held lines; nothing if lines are written immediately.
  std::optional<std::vector<HeldLine>>& held() { return held_; }

 private:
  std::optional<std::vector<HeldLine>> held_;
  const std::shared_ptr<LogWriter> writer_;
  const LogWriter::Notice notice_;
  const LogFormat format_;
  std::mutex mutex_;
  RepeatLimiter repeats_;
};

// Null: the registered logger is not an EventLogger and receives every line as text.
EventLogger* event_logger() { return dynamic_cast<EventLogger*>(spdlog::default_logger_raw()); }

std::string payload_of(LogFormat format, LogLevel level, std::string_view event, std::string_view tunnel,
                       LogFields fields) {
  if (format == LogFormat::kText) return text_of_event(event, tunnel, fields);
  std::string members = "\"level\":\"";
  members.append(names_of(level).word).append("\",");
  return members + json_of_event(event, tunnel, fields);
}

void write_line(LogLevel level, const std::string& line) {
  spdlog::default_logger_raw()->log(names_of(level).level, spdlog::string_view_t(line.data(), line.size()));
}

void log_line(LogLevel level, std::string_view event, std::string_view tunnel, LogFields fields) {
  EventLogger* logger = event_logger();
  std::string line = payload_of(logger ? logger->format() : LogFormat::kText, level, event, tunnel, fields);
  if (logger && logger->held()) {
    logger->held()->push_back({level, std::move(line)});
  } else {
    write_line(level, line);
  }
}

// A client has up to 65535 sessions, and an event often affects all of them at the same time.
constexpr std::array<std::string_view, 4> kPerSessionEvents{"session dialled", "session expired",
                                                            "session replaced", "session scavenged"};

bool is_of_every_session(std::string_view event) {
  return std::ranges::find(kPerSessionEvents, event) != kPerSessionEvents.end();
}

void log_omitted(const std::vector<RepeatLimiter::Omitted>& omitted) {
  for (const auto& [kind, lines] : omitted)
    log_line(
        is_of_every_session(kind.substr(0, kind.find(" tunnel="))) ? LogLevel::kInfo : LogLevel::kWarning,
        "repeated lines left out", {}, std::array{LogField("of", kind), LogField("count", lines)});
}

/// The field whose value is a sentence. A text line has it last, after a colon and unquoted.
constexpr std::string_view kSentence = "text";

bool is_bare_word(std::string_view value) {
  if (value.empty()) return false;
  for (const char c : value)
    if (static_cast<unsigned char>(c) <= ' ' || c == '"' || c == '=' || c == '\\' || c == 0x7f) return false;
  return true;
}

/// Appends `value` with control bytes as \xNN, and with a backslash before each character of `escaped`.
void append_escaped(std::string& out, std::string_view value, std::string_view escaped) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  for (const char c : value) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < ' ' || byte == 0x7f) {
      out.append("\\x").append(1, kDigits[byte >> 4]).append(1, kDigits[byte & 15]);
      continue;
    }
    if (escaped.find(c) != escaped.npos) out += '\\';
    out += c;
  }
}

void append_quoted(std::string& out, std::string_view value) {
  out += '"';
  append_escaped(out, value, "\"\\");
  out += '"';
}

std::string json_string(std::string_view text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace

std::string hex_id(std::uint32_t conv) { return fmt::format("{:08x}", conv); }

std::string text_of_event(std::string_view event, std::string_view tunnel, LogFields fields) {
  std::string line(event);
  const auto append = [&line](std::string_view name, std::string_view value) {
    line.append(" ").append(name).append("=");
    if (is_bare_word(value)) {
      line.append(value);
    } else {
      append_quoted(line, value);
    }
  };
  if (!tunnel.empty()) append("tunnel", tunnel);
  std::string_view sentence;
  for (const LogField& field : fields) {
    if (field.name == kSentence) {
      sentence = field.value;
    } else {
      append(field.name, field.value);
    }
  }
  if (!sentence.empty()) append_escaped(line.append(": "), sentence, "");
  return line;
}

std::string json_of_event(std::string_view event, std::string_view tunnel, LogFields fields) {
  std::string members = "\"event\":" + json_string(event);
  if (!tunnel.empty()) members.append(",\"tunnel\":").append(json_string(tunnel));
  for (const LogField& field : fields)
    members.append(",")
        .append(json_string(field.name))
        .append(":")
        .append(field.number ? field.value : json_string(field.value));
  return members;
}

void EventLog::write(LogLevel level, std::string_view event, LogFields fields) const {
  const spdlog::logger* any = spdlog::default_logger_raw();  // null: the log is closed
  if (!any || !any->should_log(names_of(level).level)) return;
  if (EventLogger* logger = event_logger()) {
    log_omitted(logger->take_finished());
    if ((level >= LogLevel::kWarning || is_of_every_session(event)) && !logger->admit(event, tunnel_)) return;
  }
  log_line(level, event, tunnel_, fields);
}

void hold_log() {
  if (EventLogger* logger = event_logger()) logger->held().emplace();
}

std::vector<HeldLine> take_held_log() {
  EventLogger* logger = event_logger();
  if (!logger || !logger->held()) return {};
  std::vector<HeldLine> lines = std::move(*logger->held());
  logger->held().reset();
  return lines;
}

void log_held(const std::vector<HeldLine>& lines) {
  for (const HeldLine& line : lines) write_line(line.level, line.text);
}

namespace {

// Writes the digit of "<6>", the prefix that gives the journal a line's priority (sd-daemon(3)).
class PriorityFlag final : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& message, const std::tm&, spdlog::memory_buf_t& out) override {
    for (const LevelNames& names : kLevels)
      if (names.level == message.level) out.push_back(names.priority);
  }
  std::unique_ptr<custom_flag_formatter> clone() const override { return std::make_unique<PriorityFlag>(); }
};

// systemd.exec(5): JOURNAL_STREAM holds the device and inode of the stream that is connected to the journal.
bool stderr_is_the_journal() {
  const char* stream = std::getenv("JOURNAL_STREAM");
  struct stat info {};
  if (!stream || ::fstat(STDERR_FILENO, &info) != 0) return false;
  return stream == std::to_string(info.st_dev) + ":" + std::to_string(info.st_ino);
}

std::unique_ptr<spdlog::formatter> make_formatter(const LogSettings& settings, bool journal) {
  std::string pattern = journal ? "<%*>" : "";
  if (settings.format == LogFormat::kJson) {
    pattern += "{\"time\":\"%Y-%m-%dT%H:%M:%S.%e%z\",%v}";
  } else {
    if (!journal) pattern += settings.utc ? "%Y/%m/%d %H:%M:%SZ " : "%Y/%m/%d %H:%M:%S%z ";
    pattern += "%l %v";
  }
  const auto time = settings.utc ? spdlog::pattern_time_type::utc : spdlog::pattern_time_type::local;
  auto formatter = std::make_unique<spdlog::pattern_formatter>(time);
  formatter->add_flag<PriorityFlag>('*').set_pattern(pattern);
  return formatter;
}

Result<FileDescriptor> open_file(const std::string& file) {
  // O_NONBLOCK: the file may be a pipe without a reader.
  constexpr int kFlags = O_WRONLY | O_CREAT | O_APPEND | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
  FileDescriptor fd(::open(file.c_str(), kFlags, 0666));
  if (fd.valid()) return fd;
  const int error = errno;
  const std::string folder = error == ENOENT || error == ENOTDIR ? missing_folder(file) : "";
  if (!folder.empty()) return Error{"cannot open log file " + file + ": there is no folder " + folder};
  return Error{"cannot open log file " + file + ": " + std::strerror(error)};
}

// Formats the notice like the log's other lines. The writer's thread calls it.
LogWriter::Notice notice_of_lost_lines(LogFormat format, std::shared_ptr<spdlog::formatter> formatter) {
  return [format, formatter](std::uint64_t lines) {
    const std::string payload = payload_of(format, LogLevel::kWarning, "lines of the log were lost", {},
                                           std::array{LogField("count", lines)});
    const spdlog::details::log_msg message("", names_of(LogLevel::kWarning).level, payload);
    spdlog::memory_buf_t line;
    formatter->format(message, line);
    return std::string(line.data(), line.size());
  };
}

// The writer of the log in use. A reload reuses it: a second one could block on the same descriptor. Null:
// there is none.
std::shared_ptr<LogWriter> writer_to_standard_error() {
  const EventLogger* current = event_logger();
  return current && current->writer()->to_standard_error() ? current->writer() : nullptr;
}

}  // namespace

Result<std::shared_ptr<spdlog::logger>> open_log(const LogSettings& settings) {
  FileDescriptor file;
  if (!settings.file.empty()) {
    Result<FileDescriptor> opened = open_file(settings.file);
    if (!opened) return Error{opened.error()};
    file = std::move(*opened);
  }
  const bool journal = settings.file.empty() && stderr_is_the_journal();
  auto notice = notice_of_lost_lines(settings.format, make_formatter(settings, journal));
  std::shared_ptr<LogWriter> writer = settings.file.empty() ? writer_to_standard_error() : nullptr;
  if (!writer) writer = std::make_shared<LogWriter>(std::move(file), notice);
  auto logger = std::make_shared<EventLogger>(std::move(writer), std::move(notice), settings.format);
  logger->set_formatter(make_formatter(settings, journal));
  logger->set_level(names_of(settings.level).level);
  return std::shared_ptr<spdlog::logger>(std::move(logger));
}

Result<bool> start_log(spdlog::logger& log) { return dynamic_cast<EventLogger&>(log).writer()->start(); }

void use_log(std::shared_ptr<spdlog::logger> log) {
  EventLogger* before = event_logger();
  if (before) log_omitted(before->take_all());
  auto* next = dynamic_cast<EventLogger*>(log.get());
  if (before && next && next->writer() != before->writer())
    next->writer()->start_after(*before->writer(), kLogFlushTimeout);
  if (next) next->adopt_writer();
  spdlog::set_default_logger(std::move(log));
}

void close_log() {
  if (EventLogger* logger = event_logger()) {
    log_omitted(logger->take_all());
    logger->writer()->finish(kLogFlushTimeout);
  }
  spdlog::shutdown();
}

void write_last_line(std::string line) {
  close_log();
  write_within(STDERR_FILENO, line.append("\n"), kLogFlushTimeout);
}

}  // namespace kcptun
