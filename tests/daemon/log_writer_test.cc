// The log writer with a pipe without a reader, with a full disk, and with a reader that resumes.
#include "daemon/log/log_writer.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <optional>
#include <string>
#include <thread>

namespace kcptun::log_writer_test {
namespace {

constexpr Duration kAnswerTimeout = seconds(20);
constexpr int kPipeBytes = 4096;

LogWriter::Notice notice() {
  return [](std::uint64_t lines) { return "lost " + std::to_string(lines) + "\n"; };
}

/// A small pipe with a writer.
struct Piped {
  Piped() {
    std::array<int, 2> ends;
    REQUIRE(pipe2(ends.data(), O_CLOEXEC) == 0);
    REQUIRE(fcntl(ends[1], F_SETPIPE_SZ, kPipeBytes) == kPipeBytes);
    read = FileDescriptor(ends[0]);
    writer.emplace(FileDescriptor(ends[1]), notice());
  }
  /// Reads until `end` was received.
  std::string until(const std::string& end) {
    std::string text;
    std::array<char, 8192> bytes;
    while (!text.ends_with(end)) {
      pollfd entry{read.get(), POLLIN, 0};
      if (poll(&entry, 1, 20'000) != 1) return text + "(nothing more came)";
      const ssize_t n = ::read(read.get(), bytes.data(), bytes.size());
      if (n <= 0) return text;
      text.append(bytes.data(), static_cast<std::size_t>(n));
    }
    return text;
  }
  FileDescriptor read;
  std::optional<LogWriter> writer;
};

std::string line(std::size_t number) { return std::to_string(number) + " " + std::string(90, 'x') + "\n"; }

}  // namespace

TEST_CASE(
    "whoever logs never waits for the reader; what is beyond the queue is counted, and said in its place",
    "[log]") {
  Piped pipe;
  REQUIRE(pipe.writer->start().ok());
  const std::size_t many = 4 * LogWriter::kMaxQueued / line(1'000'000).size();
  for (std::size_t i = 0; i < many; ++i) pipe.writer->append(line(i));  // the pipe is not read
  std::string text = pipe.until("x\n");
  while (text.find("lost ") == std::string::npos) text += pipe.until("\n");
  pipe.writer->append("last\n");
  text += pipe.until("last\n");

  std::size_t next = 0, lost = 0;
  std::size_t at = 0;
  while (at < text.size()) {
    const std::string one = text.substr(at, text.find('\n', at) + 1 - at);
    at += one.size();
    if (one.starts_with("lost ")) {
      lost += std::stoul(one.substr(5));
      next += std::stoul(one.substr(5));
    } else if (one != "last\n") {
      REQUIRE(one == line(next));
      ++next;
    }
  }
  CHECK(next == many);  // each line arrived or was counted, in order
  CHECK(lost > 0);
  CHECK((many - lost) * line(0).size() >= LogWriter::kMaxQueued / 2);
}

TEST_CASE("an end waits for the reader, but not for ever, and what it takes in time comes out", "[log]") {
  Piped pipe;
  REQUIRE(pipe.writer->start().ok());
  for (std::size_t i = 0; i < 1000; ++i) pipe.writer->append(line(i));
  CHECK_FALSE(pipe.writer->finish(milliseconds(20)));
  std::string text;
  std::thread reader([&] { text = pipe.until(line(999)); });
  CHECK(pipe.writer->finish(kAnswerTimeout));
  reader.join();
  CHECK(text.ends_with(line(999)));
}

TEST_CASE("without a thread lines are written at once as far as they fit, the others at the end, in order",
          "[log]") {
  Piped pipe;
  pipe.writer->append(line(0));
  CHECK(pipe.until(line(0)) == line(0));
  // The pipe is not read, and nothing blocks.
  for (std::size_t i = 1; i < 200; ++i) pipe.writer->append(line(i));
  std::string text;
  std::thread reader([&] { text = pipe.until(line(199)); });
  CHECK(pipe.writer->finish(kAnswerTimeout));
  reader.join();
  std::string wanted;
  for (std::size_t i = 1; i < 200; ++i) wanted += line(i);
  CHECK(text == wanted);
}

TEST_CASE("lines from before the thread come before the later ones", "[log]") {
  Piped pipe;
  std::string wanted;
  for (std::size_t i = 0; i < 100; ++i) {
    if (i == 50) REQUIRE(pipe.writer->start().ok());
    pipe.writer->append(line(i));
    wanted += line(i);
  }
  CHECK(pipe.until(line(99)) == wanted);
}

TEST_CASE("what the system refuses to take is counted, once, and nothing spins", "[log]") {
  std::uint64_t told = 0;
  LogWriter writer(FileDescriptor(::open("/dev/full", O_WRONLY | O_CLOEXEC)), [&told](std::uint64_t lines) {
    told = lines;
    return std::string("lost\n");
  });
  REQUIRE(writer.start().ok());
  for (std::size_t i = 0; i < 100; ++i) writer.append(line(i));
  CHECK(writer.finish(kAnswerTimeout));
  CHECK(told <= 100);
}

TEST_CASE("a log that follows another writes after it, and waits no longer than it is told", "[log]") {
  Piped pipe;
  REQUIRE(pipe.writer->start().ok());
  std::string lines;
  for (std::size_t i = 0; i < 200; ++i) lines += line(i);
  pipe.writer->append(lines);
  pollfd begun{pipe.read.get(), POLLIN, 0};
  REQUIRE(poll(&begun, 1, 20'000) == 1);  // its thread is writing all of them
  LogWriter next(FileDescriptor(fcntl(pipe.read.get(), F_DUPFD_CLOEXEC, 0)), notice());  // not writable
  REQUIRE(next.start().ok());
  next.start_after(*pipe.writer, milliseconds(10));
  next.append("refused\n");
  CHECK(next.finish(kAnswerTimeout));  // the other writer is blocked all the time
  CHECK(pipe.until(line(199)).ends_with(line(199)));
}

TEST_CASE("a last line has its time, whatever the descriptor does", "[log]") {
  Piped pipe;
  const std::string text(3 * kPipeBytes, 'y');
  std::array<int, 2> ends;
  REQUIRE(pipe2(ends.data(), O_CLOEXEC) == 0);
  const FileDescriptor read(ends[0]), write(ends[1]);
  REQUIRE(fcntl(write.get(), F_SETPIPE_SZ, kPipeBytes) == kPipeBytes);
  CHECK_FALSE(write_within(write.get(), std::string(90, 'z') + "\n" + std::string(8000, 'z') + "\n",
                           milliseconds(20)));
  CHECK(write_within(-1, text, milliseconds(20)) == false);
}

}  // namespace kcptun::log_writer_test
