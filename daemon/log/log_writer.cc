#include "daemon/log/log_writer.h"

#include <limits.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <utility>

#include "daemon/system/thread.h"

namespace kcptun {
namespace {

using Clock = std::chrono::steady_clock;

// In ms. Poll interval of a blocked write, to check whether the write was cancelled.
constexpr int kPollIntervalMs = 1000;
// A buffer that grew beyond this in a burst is freed.
constexpr std::size_t kKeptCapacity = 64 * 1024;

// As many whole lines as a pipe accepts in one atomic write (PIPE_BUF), so that lines of several programs do
// not mix.
std::string_view first_piece(std::string_view text) {
  if (text.size() <= PIPE_BUF) return text;
  std::size_t end = text.rfind('\n', PIPE_BUF - 1);
  if (end == text.npos) end = text.find('\n');
  return end == text.npos ? text : text.substr(0, end + 1);
}

bool can_write(int fd, int milliseconds) {
  pollfd entry{fd, POLLOUT, 0};
  return ::poll(&entry, 1, milliseconds) == 1;
}

bool is_retryable(int error) { return error == EINTR || error == EAGAIN; }

std::uint64_t lines_in(std::string_view text) {
  return static_cast<std::uint64_t>(std::count(text.begin(), text.end(), '\n'));
}

}  // namespace

struct LogWriter::State {
  FileDescriptor file;
  int fd = STDERR_FILENO;
  Notice notice;

  std::mutex mutex;
  std::condition_variable changed;
  std::string queue;
  std::uint64_t lost = 0;      // dropped lines that no notice has reported yet
  std::uint64_t reported = 0;  // dropped lines that the queued notices report
  std::uint64_t queued_notices = 0;
  bool last_write_failed = false;  // so a notice would fail too
  bool finishing = false;
  bool done = false;
  std::atomic<bool> cancelled{false};  // the successor's wait has ended
  std::shared_ptr<State> predecessor;
  Duration predecessor_timeout{};

  // REQUIRES, for each function below: the lock is held.
  void add_notice() {
    reported += lost;
    ++queued_notices;
    queue += notice(std::exchange(lost, 0));
  }
  void append(std::string_view lines) {
    if (queue.size() + lines.size() > kMaxQueued) {
      lost += lines_in(lines);
      return;
    }
    if (lost > 0) add_notice();
    queue += lines;
  }
  void count_failed(std::string_view unwritten, std::uint64_t batch_reported, std::uint64_t batch_notices,
                    bool all) {
    lost += lines_in(unwritten);
    if (all) lost += batch_reported - batch_notices;
  }
  void write_without_waiting();
  void write_batch(std::unique_lock<std::mutex>& lock);
  void wait_for_predecessor(std::unique_lock<std::mutex>& lock);
  bool wait_done(std::unique_lock<std::mutex>& lock, Duration timeout) {
    return changed.wait_for(lock, timeout, [this] { return done; });
  }
  void run();
};

// Used while there is no thread.
void LogWriter::State::write_without_waiting() {
  while (!queue.empty() && can_write(fd, 0)) {
    const std::string_view piece = first_piece(queue);
    const ssize_t n = ::write(fd, piece.data(), piece.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) return;
    if (n < 0) {
      count_failed(queue, reported, queued_notices, true);
      queue.clear();
    } else {
      queue.erase(0, static_cast<std::size_t>(n));
    }
    if (queue.empty()) reported = queued_notices = 0;
  }
}

// Writes the current queue without holding the lock.
void LogWriter::State::write_batch(std::unique_lock<std::mutex>& lock) {
  const std::string batch = std::exchange(queue, {});
  const std::uint64_t batch_reported = std::exchange(reported, 0);
  const std::uint64_t batch_notices = std::exchange(queued_notices, 0);
  if (batch.capacity() <= kKeptCapacity) queue.reserve(batch.capacity());
  lock.unlock();
  std::string_view rest = batch;
  bool failed = false;
  while (!rest.empty() && !failed) {
    const std::string_view piece = first_piece(rest);
    const ssize_t n = ::write(fd, piece.data(), piece.size());
    if (n >= 0) {
      rest.remove_prefix(static_cast<std::size_t>(n));
    } else if (errno == EAGAIN) {  // a log file, or standard error that another program made non-blocking
      failed = cancelled;
      if (!failed) can_write(fd, kPollIntervalMs);
    } else {
      failed = errno != EINTR;
    }
  }
  lock.lock();
  last_write_failed = failed;
  if (failed) count_failed(rest, batch_reported, batch_notices, rest.size() == batch.size());
}

void LogWriter::State::wait_for_predecessor(std::unique_lock<std::mutex>& lock) {
  const std::shared_ptr<State> first = std::exchange(predecessor, nullptr);
  lock.unlock();
  {
    std::unique_lock theirs(first->mutex);
    if (!first->wait_done(theirs, predecessor_timeout)) {
      first->cancelled = true;
      first->queue.clear();
    }
  }
  lock.lock();
}

void LogWriter::State::run() {
  std::unique_lock lock(mutex);
  for (;;) {
    changed.wait(lock, [this] { return !queue.empty() || finishing || (lost > 0 && !last_write_failed); });
    if (predecessor) wait_for_predecessor(lock);
    if (queue.empty() && lost > 0 && !last_write_failed) add_notice();
    if (queue.empty()) break;
    write_batch(lock);
  }
  done = true;
  changed.notify_all();
}

LogWriter::LogWriter(FileDescriptor file, Notice notice) : state_(std::make_shared<State>()) {
  if (file.valid()) state_->fd = file.get();
  state_->file = std::move(file);
  state_->notice = std::move(notice);
}

LogWriter::~LogWriter() {
  finish(Duration(0));
  if (thread_.joinable()) thread_.detach();
}

void LogWriter::append(std::string_view lines) {
  const std::lock_guard lock(state_->mutex);
  state_->append(lines);
  if (thread_.joinable()) {
    state_->changed.notify_all();
  } else {
    state_->write_without_waiting();
  }
}

bool LogWriter::to_standard_error() const { return !state_->file.valid(); }

void LogWriter::set_notice(Notice notice) {
  const std::lock_guard lock(state_->mutex);
  state_->notice = std::move(notice);
}

Result<bool> LogWriter::start() {
  if (thread_.joinable()) return true;
  Result<std::thread> started = start_thread("log", [state = state_] { state->run(); });
  if (!started) return Error{started.error()};
  thread_ = std::move(*started);
  return true;
}

void LogWriter::start_after(LogWriter& predecessor, Duration timeout) {
  {
    const std::lock_guard lock(predecessor.state_->mutex);
    predecessor.state_->finishing = true;
  }
  predecessor.state_->changed.notify_all();
  if (!predecessor.thread_.joinable()) return;
  const std::lock_guard lock(state_->mutex);
  state_->predecessor = predecessor.state_;
  state_->predecessor_timeout = timeout;
}

bool LogWriter::finish(Duration timeout) {
  std::unique_lock lock(state_->mutex);
  state_->finishing = true;
  state_->changed.notify_all();
  if (thread_.joinable()) {
    if (!state_->wait_done(lock, timeout)) return false;
    lock.unlock();
    thread_.join();
    return true;
  }
  if (state_->queue.empty() && state_->lost > 0 && !state_->done) state_->add_notice();
  state_->done = true;
  return write_within(state_->fd, std::exchange(state_->queue, {}), timeout);
}

bool write_within(int fd, std::string_view text, Duration timeout) {
  const Clock::time_point end = Clock::now() + timeout;
  while (!text.empty()) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now()).count();
    if (!can_write(fd, static_cast<int>(std::max<decltype(left)>(left, 0)))) {
      if (left <= 0) return false;
      continue;  // interrupted by a signal, or the timeout is over
    }
    const std::string_view piece = first_piece(text);
    const ssize_t n = ::write(fd, piece.data(), piece.size());
    if (n < 0 && !is_retryable(errno)) return false;
    if (n > 0) text.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

}  // namespace kcptun
