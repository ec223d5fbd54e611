#include "daemon/io/uv_handles.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <optional>
#include <thread>

#include "tests/daemon/daemon_harness.h"

namespace kcptun::uv_handles_test {
namespace {

using test::PlainLoop;

struct Pipe {
  Pipe() {
    int fds[2];
    REQUIRE(pipe2(fds, O_NONBLOCK | O_CLOEXEC) == 0);
    read = FileDescriptor(fds[0]);
    write = FileDescriptor(fds[1]);
  }
  void fill() { REQUIRE(::write(write.get(), "x", 1) == 1); }
  FileDescriptor read, write;
};

}  // namespace

// PlainLoop aborts if a handle was not closed. The leak checker detects handles that were not freed.

TEST_CASE("a poll handle calls back for what it watches, until it watches nothing") {
  PlainLoop loop;
  Pipe pipe;
  int calls = 0;
  PollHandle handle(loop.uv, pipe.read.get(), [&calls](int events) {
    CHECK(events == UV_READABLE);
    ++calls;
  });
  pipe.fill();
  uv_run(&loop.uv, UV_RUN_NOWAIT);
  CHECK(calls == 0);
  CHECK(handle.watch(UV_READABLE));
  CHECK(handle.watch(UV_READABLE));
  uv_run(&loop.uv, UV_RUN_NOWAIT);
  CHECK(calls == 1);
  (void)handle.watch(0);
  uv_run(&loop.uv, UV_RUN_NOWAIT);
  CHECK(calls == 1);
}

TEST_CASE("handles are silent after their owner is gone") {
  PlainLoop loop;
  Pipe pipe;
  int calls = 0;
  {
    PollHandle poll(loop.uv, pipe.read.get(), [&calls](int) { ++calls; });
    CHECK(poll.watch(UV_READABLE));
    TimerHandle timer(loop.uv, [&calls] { ++calls; });
    timer.start(0);
    CheckHandle check(loop.uv, [&calls] { ++calls; });
    Mailbox mailbox(loop.uv);
    mailbox.post([&calls] { ++calls; });
    pipe.fill();
  }
  for (int i = 0; i < 5; ++i) uv_run(&loop.uv, UV_RUN_NOWAIT);
  CHECK(calls == 0);
  CHECK(uv_loop_alive(&loop.uv) == 0);
}

TEST_CASE("a poll handle may be destroyed inside its own callback") {
  PlainLoop loop;
  Pipe pipe;
  int calls = 0;
  std::unique_ptr<PollHandle> handle;
  handle = std::make_unique<PollHandle>(loop.uv, pipe.read.get(), [&](int) {
    ++calls;
    handle.reset();
  });
  CHECK(handle->watch(UV_READABLE));
  pipe.fill();
  CHECK(loop.until([&] { return !handle; }));
  uv_run(&loop.uv, UV_RUN_NOWAIT);
  CHECK(calls == 1);
}

// As in Connection when one address of the target rejects the connection. The callback's captures are
// destroyed with its handle; what runs after the destruction is a member function of another object.
TEST_CASE("a poll handle may be replaced inside its own callback by one for another descriptor") {
  struct Owner {
    void first_ready() {
      order += '1';
      handle.reset();
      handle = std::make_unique<PollHandle>(loop.uv, second.read.get(), [this](int) { second_ready(); });
      CHECK(handle->watch(UV_READABLE));
    }
    void second_ready() {
      order += '2';
      handle.reset();
    }
    PlainLoop loop;
    Pipe first, second;
    std::string order;
    std::unique_ptr<PollHandle> handle;
  } owner;
  owner.handle = std::make_unique<PollHandle>(owner.loop.uv, owner.first.read.get(),
                                              [&owner](int) { owner.first_ready(); });
  CHECK(owner.handle->watch(UV_READABLE));
  owner.first.fill();
  owner.second.fill();
  CHECK(owner.loop.until([&owner] { return !owner.handle; }));
  CHECK(owner.order == "12");
}

TEST_CASE("timer, check and mailbox may be destroyed inside their own callbacks") {
  PlainLoop loop;
  std::unique_ptr<TimerHandle> timer;
  timer = std::make_unique<TimerHandle>(loop.uv, [&timer] { timer.reset(); });
  timer->start(0);
  std::unique_ptr<CheckHandle> check;
  check = std::make_unique<CheckHandle>(loop.uv, [&check] { check.reset(); });
  auto mailbox = std::make_unique<Mailbox>(loop.uv);
  int after = 0;
  mailbox->post([&mailbox] { mailbox.reset(); });
  mailbox->post([&after] { ++after; });  // posted before the end, so it still runs
  CHECK(loop.until([&] { return !timer && !check && !mailbox; }));
  CHECK(after == 1);
}

TEST_CASE("two descriptors in one wake-up: the first callback may destroy the handle of the second") {
  PlainLoop loop;
  Pipe a, b;
  int calls = 0;
  std::unique_ptr<PollHandle> one, two;
  one = std::make_unique<PollHandle>(loop.uv, a.read.get(), [&](int) {
    ++calls;
    two.reset();
    one.reset();
  });
  two = std::make_unique<PollHandle>(loop.uv, b.read.get(), [&](int) {
    ++calls;
    one.reset();
    two.reset();
  });
  CHECK(one->watch(UV_READABLE));
  CHECK(two->watch(UV_READABLE));
  a.fill();
  b.fill();
  CHECK(loop.until([&] { return !one && !two; }));
  for (int i = 0; i < 3; ++i) uv_run(&loop.uv, UV_RUN_NOWAIT);
  CHECK(calls == 1);
}

TEST_CASE("an error event stops a poll handle, and watch() starts it again") {
  PlainLoop loop;
  std::uint16_t port;
  // No socket is bound there now: a packet to it causes an ICMP error.
  { port = test::must_bind().local().port; }
  UdpSocket socket = test::must_connect(test::loopback(port));
  std::vector<int> seen;
  PollHandle handle(loop.uv, socket.fd(), [&seen](int events) { seen.push_back(events); });
  CHECK(handle.watch(UV_READABLE));
  const auto send = [&socket] { return ::send(socket.fd(), "x", 1, 0); };
  send();
  REQUIRE(loop.until([&] { return !seen.empty(); }));
  CHECK(seen == std::vector<int>{UV_READABLE});  // all watched events: the next system call finds the cause
  for (int i = 0; i < 5; ++i) uv_run(&loop.uv, UV_RUN_NOWAIT);
  CHECK(seen.size() == 1);  // stopped, although the error is still pending

  char byte;
  CHECK(::recv(socket.fd(), &byte, 1, MSG_DONTWAIT) == -1);
  CHECK(errno == ECONNREFUSED);
  CHECK(handle.watch(UV_READABLE));  // the same events as before
  send();
  REQUIRE(loop.until([&] { return seen.size() == 2; }));
}

TEST_CASE("what the system does not watch is refused, and the loop goes on") {
  PlainLoop loop;
  const FileDescriptor file(::open("/proc/self/exe", O_RDONLY | O_CLOEXEC));  // epoll_ctl(2): EPERM
  PollHandle handle(loop.uv, file.get(), [](int) {});
  CHECK_FALSE(handle.watch(UV_READABLE));
  CHECK(errno == EPERM);
  CHECK(handle.watch(0));  // still watches nothing
  CHECK(uv_loop_alive(&loop.uv) == 0);
  Pipe pipe;
  int calls = 0;
  PollHandle other(loop.uv, pipe.read.get(), [&calls](int) { ++calls; });
  CHECK(other.watch(UV_READABLE));
  pipe.fill();
  CHECK(loop.until([&] { return calls > 0; }));
}

TEST_CASE("a watch that was had costs no new one: it changes where no other is to be had") {
  PlainLoop loop;
  Pipe pipe;
  int calls = 0;
  PollHandle handle(loop.uv, pipe.read.get(), [&calls](int) { ++calls; });
  CHECK(handle.watch(UV_READABLE));
  for (int i = 0; i < 100; ++i) {
    CHECK(handle.watch(0));
    CHECK(handle.watch(i % 2 ? UV_READABLE : UV_READABLE | UV_DISCONNECT));
  }
  pipe.fill();
  CHECK(loop.until([&] { return calls > 0; }));
  pipe.write = FileDescriptor();  // a hang-up that is not watched
  CHECK(handle.watch(0));
  calls = 0;
  for (int i = 0; i < 3; ++i) uv_run(&loop.uv, UV_RUN_NOWAIT);
  CHECK(calls == 0);
}

TEST_CASE("a timer runs once, can be stopped and started again") {
  PlainLoop loop;
  int calls = 0;
  TimerHandle timer(loop.uv, [&calls] { ++calls; });
  timer.start(0);
  timer.stop();
  for (int i = 0; i < 3; ++i) uv_run(&loop.uv, UV_RUN_NOWAIT);
  CHECK(calls == 0);
  timer.start(1);
  CHECK(loop.until([&] { return calls == 1; }));
  for (int i = 0; i < 3; ++i) uv_run(&loop.uv, UV_RUN_NOWAIT);
  CHECK(calls == 1);
}

TEST_CASE("a timer may start itself again from its callback") {
  PlainLoop loop;
  int calls = 0;
  std::unique_ptr<TimerHandle> timer;
  timer = std::make_unique<TimerHandle>(loop.uv, [&] {
    if (++calls < 3) timer->start(1);
  });
  timer->start(1);
  CHECK(loop.until([&] { return calls == 3; }));
}

TEST_CASE("a check handle runs once in each iteration") {
  PlainLoop loop;
  int calls = 0;
  CheckHandle check(loop.uv, [&calls] { ++calls; });
  for (int i = 0; i < 10; ++i) uv_run(&loop.uv, UV_RUN_NOWAIT);
  CHECK(calls == 10);
}

TEST_CASE("tasks from another thread arrive all, on the loop's thread and in order") {
  constexpr int kTasks = 20'000;
  PlainLoop loop;
  Mailbox mailbox(loop.uv);
  std::vector<int> got;
  const auto loop_thread = std::this_thread::get_id();
  bool elsewhere = false;
  std::thread sender([&] {
    for (int i = 0; i < kTasks; ++i)
      mailbox.post([&, i] {
        got.push_back(i);
        elsewhere |= std::this_thread::get_id() != loop_thread;
      });
  });
  const bool all = loop.until([&] { return got.size() == kTasks; });
  sender.join();
  REQUIRE(all);
  CHECK_FALSE(elsewhere);
  bool in_order = true;
  for (int i = 0; i < kTasks; ++i) in_order &= got[static_cast<std::size_t>(i)] == i;
  CHECK(in_order);
}

TEST_CASE("a task may post another, which runs later") {
  PlainLoop loop;
  Mailbox mailbox(loop.uv);
  std::string order;
  mailbox.post([&] {
    mailbox.post([&order] { order += 'c'; });
    order += 'a';
  });
  mailbox.post([&order] { order += 'b'; });
  CHECK(loop.until([&] { return order.size() == 3; }));
  CHECK(order == "abc");
}

}  // namespace kcptun::uv_handles_test
