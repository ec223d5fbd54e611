// Listeners and outgoing connections on real sockets.
#include "daemon/io/listener.h"

#include <sys/stat.h>
#include <sys/un.h>

#include <cstddef>
#include <cstring>

#include <filesystem>

#include "tests/daemon/daemon_harness.h"

namespace kcptun::listener_test {
namespace {

using test::App;
using test::LogCapture;
using test::loopback;
using test::PlainLoop;

/// A temporary directory, removed at the end.
struct TempDir {
  TempDir() {
    char name[] = "/tmp/kcptun-listener-XXXXXX";
    REQUIRE(mkdtemp(name));
    path = name;
  }
  ~TempDir() { std::filesystem::remove_all(path); }
  UnixPath file(const std::string& name) const { return {path + "/" + name}; }
  std::string path;
};

FileDescriptor must(Result<FileDescriptor> made) {
  if (!made) FAIL(made.error());
  return std::move(*made);
}

bool contains(const std::string& text, const std::string& word) {
  return text.find(word) != std::string::npos;
}

}  // namespace

TEST_CASE("a listener accepts TCP connections, many in one wake-up") {
  PlainLoop loop;
  std::vector<FileDescriptor> accepted;
  FileDescriptor listening = test::must_listen();
  const std::uint16_t port = test::port_of(listening.get());
  Listener listener(loop.uv, std::move(listening),
                    [&accepted](FileDescriptor fd) { accepted.push_back(std::move(fd)); });
  std::vector<FileDescriptor> clients;
  for (int i = 0; i < 100; ++i) clients.push_back(begin_connect(loopback(port)));
  CHECK(loop.until([&] { return accepted.size() == 100; }));
  for (const FileDescriptor& fd : accepted) {
    REQUIRE(fcntl(fd.get(), F_GETFL) & O_NONBLOCK);
    REQUIRE(fcntl(fd.get(), F_GETFD) & FD_CLOEXEC);
  }
}

TEST_CASE("a listening port that is taken is an error that names it") {
  const FileDescriptor listening = test::must_listen();
  const std::uint16_t port = test::port_of(listening.get());
  const Result<FileDescriptor> second = listen_tcp(loopback(port), false);
  REQUIRE_FALSE(second);
  CHECK(contains(second.error(), "127.0.0.1:" + std::to_string(port)));
  CHECK(contains(second.error(), "Address already in use"));
  // Cleaning up must preserve errno.
  CHECK_FALSE(contains(second.error(), "Success"));
}

TEST_CASE("an address that is not ours is an error that names it") {
  const Result<FileDescriptor> listening = listen_tcp(parse_ip("192.0.2.1", 4000).value(), false);
  REQUIRE_FALSE(listening);
  CHECK(contains(listening.error(), "192.0.2.1:4000"));
  CHECK(contains(listening.error(), "Cannot assign requested address"));
}

TEST_CASE("loops may share a listening port") {
  const FileDescriptor first = must(listen_tcp(loopback(), true));
  const std::uint16_t port = test::port_of(first.get());
  CHECK(listen_tcp(loopback(port), true).ok());
  CHECK_FALSE(listen_tcp(loopback(port), false).ok());
}

TEST_CASE("the wildcard listens for both families") {
  const FileDescriptor listening = must(listen_tcp(parse_ip("", 0).value(), false));
  App app = App::connect_to(test::port_of(listening.get()));
  pollfd entry{listening.get(), POLLIN, 0};
  CHECK(poll(&entry, 1, 10'000) == 1);
}

TEST_CASE("a unix listener accepts, in the file system and in the abstract name space") {
  PlainLoop loop;
  TempDir dir;
  const UnixPath path =
      GENERATE_REF(dir.file("socket"), UnixPath{"@kcptun-test-" + std::to_string(getpid())});
  INFO(path.path);
  int accepted = 0;
  Listener listener(loop.uv, must(listen_unix(path)), [&accepted](FileDescriptor) { ++accepted; });
  const FileDescriptor client = begin_connect(path);
  REQUIRE(client.valid());
  CHECK(loop.until([&] { return accepted == 1; }));
  struct stat info {};
  CHECK((::stat(path.path.c_str(), &info) == 0) == (path.path[0] != '@'));
}

TEST_CASE("an abstract name is as long as it is, without a trailing NUL") {
  const std::string name = "kcptun-test-exact-" + std::to_string(getpid());
  const FileDescriptor listening = must(listen_unix({"@" + name}));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path + 1, name.data(), name.size());
  const FileDescriptor client(::socket(AF_UNIX, SOCK_STREAM, 0));
  CHECK(::connect(client.get(), reinterpret_cast<const sockaddr*>(&address),
                  static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size())) == 0);
}

TEST_CASE("the longest unix path works") {
  TempDir dir;
  const UnixPath path = dir.file(std::string(107 - dir.path.size() - 1, 'p'));
  REQUIRE(path.path.size() == 107);
  const FileDescriptor listening = must(listen_unix(path));
  CHECK(begin_connect(path).valid());
}

TEST_CASE("a stale unix socket is replaced") {
  TempDir dir;
  const UnixPath path = dir.file("stale");
  must(listen_unix(path));  // closed immediately; the file stays
  CHECK(std::filesystem::exists(path.path));
  const FileDescriptor listening = must(listen_unix(path));
  CHECK(begin_connect(path).valid());
}

TEST_CASE("a unix socket has the permissions and the group that were asked for before anybody can connect") {
  TempDir dir;
  const mode_t umask_before = ::umask(0077);
  const UnixPath path = dir.file("shared");
  const FileDescriptor listening =
      must(listen_unix(path, {.mode = 0660, .owner = geteuid(), .group = getegid()}));
  const UnixPath plain = dir.file("plain");
  const FileDescriptor second = must(listen_unix(plain));
  CHECK(::umask(umask_before) == 0077);  // it was restored
  struct stat info {};
  REQUIRE(::stat(path.path.c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0660);
  CHECK(info.st_gid == getegid());
  REQUIRE(::stat(plain.path.c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0700);  // according to the umask
}

TEST_CASE("a live unix socket is refused, and goes on working") {
  TempDir dir;
  const UnixPath path = GENERATE_REF(dir.file("live"), UnixPath{"@kcptun-live-" + std::to_string(getpid())});
  const FileDescriptor listening = must(listen_unix(path));
  const Result<FileDescriptor> second = listen_unix(path);
  REQUIRE_FALSE(second);
  CHECK(contains(second.error(), path.path));
  CHECK(contains(second.error(), "Address already in use"));
  CHECK(begin_connect(path).valid());
}

TEST_CASE("a file that is no socket is never replaced") {
  TempDir dir;
  const UnixPath path = dir.file("file");
  { const FileDescriptor file(::open(path.path.c_str(), O_CREAT | O_WRONLY, 0600)); }
  const Result<FileDescriptor> listening = listen_unix(path);
  REQUIRE_FALSE(listening);
  CHECK(contains(listening.error(), path.path));
  CHECK(std::filesystem::is_regular_file(path.path));
}

TEST_CASE("a unix path in no directory is an error that names it") {
  const Result<FileDescriptor> listening = listen_unix({"/nonexistent/kcptun/socket"});
  REQUIRE_FALSE(listening);
  CHECK(contains(listening.error(), "/nonexistent/kcptun/socket"));
  CHECK(contains(listening.error(), "No such file or directory"));
}

TEST_CASE("without descriptors a listener pauses, says so once, and recovers") {
  PlainLoop loop;
  LogCapture log;
  std::vector<FileDescriptor> accepted;
  FileDescriptor listening = test::must_listen();
  const std::uint16_t port = test::port_of(listening.get());
  Listener listener(loop.uv, std::move(listening),
                    [&accepted](FileDescriptor fd) { accepted.push_back(std::move(fd)); });
  std::vector<FileDescriptor> clients;
  for (int i = 0; i < 3; ++i) clients.push_back(begin_connect(loopback(port)));
  std::size_t turns = 0;
  CheckHandle counter(loop.uv, [&turns] { ++turns; });
  // UBSan opens a pipe when it first checks a class with a vtable, and reports an error if that fails. The
  // log therefore writes one line before, and nothing new is checked while there are no descriptors.
  spdlog::warn("a first line: {}", std::strerror(EMFILE));
  const std::size_t said = log.count("Too many open files");
  std::size_t accepted_meanwhile;
  std::size_t turns_meanwhile;
  {
    const FileDescriptor next(::dup(clients[0].get()));  // the lowest free number, after it is closed
    bool over = false;
    TimerHandle alarm(loop.uv, [&over] { over = true; });
    alarm.start(350);
    const test::DescriptorLimit limit(static_cast<rlim_t>(next.get()));
    while (!over) uv_run(&loop.uv, UV_RUN_ONCE);
    accepted_meanwhile = accepted.size();
    turns_meanwhile = turns;
  }
  CHECK(accepted_meanwhile == 0);
  CHECK(turns_meanwhile < 20);  // a pause is 100 ms
  CHECK(log.count("Too many open files") == said + 1);
  CHECK(loop.until([&] { return accepted.size() == 3; }));
  CHECK(log.count("accepting pauses") == 1);

  clients.push_back(begin_connect(loopback(port)));  // a second pause soon afterwards is not logged
  {
    const FileDescriptor next(::dup(clients[0].get()));
    bool over = false;
    TimerHandle alarm(loop.uv, [&over] { over = true; });
    alarm.start(150);
    const test::DescriptorLimit limit(static_cast<rlim_t>(next.get()));
    while (!over) uv_run(&loop.uv, UV_RUN_ONCE);
    accepted_meanwhile = accepted.size();
  }
  CHECK(accepted_meanwhile == 3);
  CHECK(loop.until([&] { return accepted.size() == 4; }));
  CHECK(log.count("accepting pauses") == 1);
}

TEST_CASE("begin_connect begins: a listening port answers, a closed one refuses") {
  const FileDescriptor listening = test::must_listen();
  const auto outcome = [](std::uint16_t port) {
    const FileDescriptor fd = begin_connect(loopback(port));
    if (!fd.valid()) return errno;
    pollfd entry{fd.get(), POLLOUT, 0};
    REQUIRE(poll(&entry, 1, 10'000) == 1);
    int error = -1;
    socklen_t size = sizeof error;
    getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &size);
    return error;
  };
  CHECK(outcome(test::port_of(listening.get())) == 0);
  CHECK(outcome(test::closed_port()) == ECONNREFUSED);
}

TEST_CASE("begin_connect fails at once, with errno, where that is known at once") {
  TempDir dir;
  CHECK_FALSE(begin_connect(dir.file("nobody")).valid());
  CHECK(errno == ENOENT);
  const UnixPath stale = dir.file("stale");
  must(listen_unix(stale));
  CHECK_FALSE(begin_connect(stale).valid());
  CHECK(errno == ECONNREFUSED);
  CHECK_FALSE(begin_connect(UnixPath{"@kcptun-test-nobody"}).valid());
  CHECK(errno == ECONNREFUSED);
}

}  // namespace kcptun::listener_test
