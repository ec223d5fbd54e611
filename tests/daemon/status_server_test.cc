// The status server on real sockets, with well-formed and malicious requests.
#include "daemon/status/status_server.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <cstring>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "daemon/net/address.h"

namespace kcptun::status_server_test {
namespace {

constexpr int kPatienceMs = 60000;

// Answers immediately, or stores the answers.
class Source {
 public:
  StatusServer::Collect collect() {
    return [this](StatusServer::Answer answer) {
      ++asked;
      if (keep) {
        const std::lock_guard lock(mutex_);
        kept_.push_back(std::move(answer));
        return;
      }
      ProcessSnapshot taken = snapshot();
      taken.tunnels[0].peer.state = peer;
      answer(std::move(taken));
    };
  }
  static ProcessSnapshot snapshot() {
    ProcessSnapshot snapshot;
    snapshot.tunnels.emplace_back().name = "default";
    return snapshot;
  }
  std::vector<StatusServer::Answer> take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(kept_, {});
  }
  std::atomic<int> asked = 0;
  std::atomic<bool> keep = false;
  std::atomic<PeerState> peer = PeerState::kWaiting;

 private:
  std::mutex mutex_;
  std::vector<StatusServer::Answer> kept_;
};

struct Served {
  explicit Served(Source& source, StatusServer::Limits limits = {}, const std::string& token = {}) {
    auto opened = StatusServer::open(HostPort{"127.0.0.1", 0, 0}, token, source.collect(), limits);
    REQUIRE(opened);
    server = std::move(*opened);
    const std::string place = server->place();
    address = *parse_endpoint(std::string_view(place).substr(7, place.size() - 8));
    REQUIRE(server->start().ok());
  }
  std::unique_ptr<StatusServer> server;
  IpEndpoint address;
};

class Client {
 public:
  explicit Client(const IpEndpoint& address) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const SocketAddress name = to_sockaddr(address, AF_INET);
    REQUIRE(::connect(fd_.get(), name.get(), name.size) == 0);
  }
  void send(const std::string& text) { ::send(fd_.get(), text.data(), text.size(), MSG_NOSIGNAL); }
  void finish() { ::shutdown(fd_.get(), SHUT_WR); }
  /// Reads until the peer closes. "reset" if it does not close in order.
  std::string read_all() {
    std::string all;
    for (;;) {
      pollfd ready{fd_.get(), POLLIN, 0};
      REQUIRE(::poll(&ready, 1, kPatienceMs) == 1);
      char bytes[4096];
      const ssize_t n = ::read(fd_.get(), bytes, sizeof bytes);
      if (n == 0) return all;
      if (n < 0) return "reset";
      all.append(bytes, static_cast<std::size_t>(n));
    }
  }
  std::string ask(const std::string& text) {
    send(text);
    return read_all();
  }

 private:
  FileDescriptor fd_;
};

std::string get(const std::string& target) {
  return "GET " + target + " HTTP/1.1\r\nHost: localhost\r\n\r\n";
}
std::string line_of(const std::string& response) { return response.substr(0, response.find('\r')); }

TEST_CASE("health asks for the peer only when it is told to", "[status]") {
  Source source;
  Served served(source);
  const auto ask = [&](const std::string& target) { return Client(served.address).ask(get(target)); };
  CHECK(line_of(ask("/healthz")) == "HTTP/1.1 200 OK");
  CHECK(line_of(ask("/healthz?peer=0")) == "HTTP/1.1 200 OK");
  const std::string failed = ask("/healthz?peer=1");
  CHECK(line_of(failed) == "HTTP/1.1 503 Service Unavailable");
  CHECK(failed.ends_with("default: waiting\n"));
  source.peer = PeerState::kConnected;
  Served other(source);
  CHECK(line_of(Client(other.address).ask(get("/healthz?peer=1"))) == "HTTP/1.1 200 OK");
}

TEST_CASE("history is kept while nobody watches", "[status]") {
  Source source;
  StatusServer::Limits limits;
  limits.history_ms = 20;
  Served served(source, limits);
  while (source.asked < 3) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  CHECK(Client(served.address).ask(get("/history.json")).find("\"total\":") != std::string::npos);
}

TEST_CASE("each path is answered, others and other methods are not", "[status]") {
  Source source;
  Served served(source);
  const auto status = [&](const std::string& request) {
    return line_of(Client(served.address).ask(request));
  };
  for (const char* path : {"/", "/metrics", "/status.json", "/history.json", "/healthz", "/?a=b"})
    CHECK(status(get(path)) == "HTTP/1.1 200 OK");
  for (const char* path : {"/index.html", "//", "/metrics/", "/../etc/passwd", "/%2e"})
    CHECK(status(get(path)) == "HTTP/1.1 404 Not Found");
  for (const char* method : {"POST", "PUT", "DELETE", "TRACE", "PRI"})
    CHECK(status(std::string(method) + " / HTTP/1.1\r\nHost: localhost\r\n\r\n").starts_with("HTTP/1.1 40"));
  CHECK(status("GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc") ==
        "HTTP/1.1 413 Payload Too Large");
  CHECK(status("GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n") == "HTTP/1.1 421 Misdirected Request");
  CHECK(status("\x16\x03\x01 TLS?\r\n\r\n") == "HTTP/1.1 400 Bad Request");
  const std::string head = Client(served.address).ask("HEAD /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
  CHECK(head.ends_with("\r\n\r\n"));
  CHECK(Client(served.address).ask(get("/")).find("Content-Security-Policy: default-src 'none'") !=
        std::string::npos);
}

TEST_CASE("a wrong token is 401, before anything is gathered", "[status]") {
  Source source;
  Served served(source, {}, "0123456789abcdef");
  CHECK(line_of(Client(served.address).ask(get("/status.json"))) == "HTTP/1.1 401 Unauthorized");
  CHECK(line_of(Client(served.address).ask(get("/healthz?token=0123456789abcdee"))) ==
        "HTTP/1.1 401 Unauthorized");
  CHECK(source.asked == 0);
  CHECK(line_of(Client(served.address).ask(get("/healthz?token=0123456789abcdef"))) == "HTTP/1.1 200 OK");
}

TEST_CASE("nothing is gathered while nobody watches, and one snapshot serves all who ask within its life",
          "[status]") {
  Source source;
  Served served(source, {.snapshot_life_ms = kPatienceMs});
  CHECK(line_of(Client(served.address).ask(get("/"))) == "HTTP/1.1 200 OK");
  CHECK(source.asked == 0);
  for (int i = 0; i < 5; ++i) Client(served.address).ask(get(i % 2 ? "/metrics" : "/status.json"));
  CHECK(source.asked == 1);
}

TEST_CASE("a snapshot that is too old is not given again", "[status]") {
  Source source;
  Served served(source, {.snapshot_life_ms = 0});
  for (int i = 1; i <= 3; ++i) {
    Client(served.address).ask(get("/metrics"));
    CHECK(source.asked == i);
  }
}

TEST_CASE("loops that do not answer are a 503, a late answer is dropped, and the next request asks again",
          "[status]") {
  Source source;
  source.keep = true;
  Served served(source, {.collect_ms = 50});
  CHECK(line_of(Client(served.address).ask(get("/healthz"))) == "HTTP/1.1 503 Service Unavailable");
  for (const auto& answer : source.take()) answer(Source::snapshot());
  CHECK(line_of(Client(served.address).ask(get("/healthz"))) == "HTTP/1.1 503 Service Unavailable");
  source.keep = false;
  CHECK(line_of(Client(served.address).ask(get("/healthz"))) == "HTTP/1.1 200 OK");
}

TEST_CASE("an answer that comes when the server is gone goes nowhere", "[status]") {
  Source source;
  source.keep = true;
  {
    Served served(source, {.collect_ms = 50});
    Client(served.address).ask(get("/healthz"));
  }
  for (const auto& answer : source.take()) answer(Source::snapshot());
}

TEST_CASE("a request that is cut short ends when its client does, or at its time", "[status]") {
  Source source;
  Served patient(source, {.request_ms = 600'000});
  const std::string whole = get("/healthz");
  for (std::size_t size = 0; size < whole.size(); ++size) {
    Client client(patient.address);
    client.send(whole.substr(0, size));
    client.finish();
    CHECK(client.read_all().empty());
  }
  Served served(source, {.request_ms = 50});
  Client slow(served.address);
  CHECK(line_of(slow.ask("GET / HT")) == "HTTP/1.1 408 Request Timeout");
  CHECK(line_of(Client(served.address).read_all()) == "HTTP/1.1 408 Request Timeout");
}

TEST_CASE("a client that trickles its request gains no time by it", "[status]") {
  Source source;
  Served served(source, {.request_ms = 300});
  Client client(served.address);
  client.send("GET /");
  std::atomic<bool> over = false;
  std::thread trickle([&] {
    for (int i = 0; i < 2000 && !over; ++i) {
      client.send("a");
      ::usleep(5000);  // one byte per 5 ms
    }
  });
  CHECK(line_of(client.read_all()) == "HTTP/1.1 408 Request Timeout");
  over = true;
  trickle.join();
}

TEST_CASE("a request that is too long is told so, though more of it comes", "[status]") {
  Source source;
  Served served(source);
  Client client(served.address);
  CHECK(line_of(client.ask("GET /" + std::string(30000, 'a'))) ==
        "HTTP/1.1 431 Request Header Fields Too Large");
}

TEST_CASE("a client that has said all it wants to is answered all the same", "[status]") {
  Source source;
  Served served(source);
  for (const char* path : {"/", "/status.json"}) {
    Client client(served.address);
    client.send(get(path));
    client.finish();
    CHECK(line_of(client.read_all()) == "HTTP/1.1 200 OK");
  }
}

TEST_CASE("a client that does not read its answer is let go at its time", "[status]") {
  Source source;
  Served served(source, {.exchanges = 1, .response_ms = 100, .snapshot_life_ms = kPatienceMs});
  Client deaf(served.address);
  deaf.send(get("/status.json"));
  // Its slot is free again once its time limit is over. Until then further connections are closed.
  std::string answer;
  while (answer.empty() || answer == "reset") answer = Client(served.address).ask(get("/healthz"));
  CHECK(line_of(answer) == "HTTP/1.1 200 OK");
}

TEST_CASE("connections that show no token take nobody's place", "[status]") {
  Source source;
  const StatusServer::Limits limits{.request_ms = 600'000, .response_ms = 600'000};
  Served served(source, limits, "0123456789abcdef");
  std::vector<std::unique_ptr<Client>> idle;
  const auto wait_among = [&] { idle.push_back(std::make_unique<Client>(served.address)); };
  for (std::size_t i = 0; i < 2 * limits.exchanges; ++i) wait_among();
  for (std::size_t i = 0; i < limits.exchanges; ++i) {  // answered with 401; the connection stays open
    wait_among();
    idle.back()->send(get("/healthz"));
  }
  for (int i = 0; i < 50; ++i) {
    wait_among();
    CHECK(line_of(Client(served.address).ask(get("/healthz?token=0123456789abcdef"))) == "HTTP/1.1 200 OK");
  }
}

TEST_CASE("who is owed an answer keeps the place, and the next is closed", "[status]") {
  Source source;
  source.keep = true;
  Served served(source, {.exchanges = 1, .collect_ms = 600'000});
  Client first(served.address);
  first.send(get("/healthz"));
  while (source.asked == 0) std::this_thread::yield();
  for (int i = 0; i < 3; ++i) {
    const std::string answer = Client(served.address).ask(get("/healthz"));
    CHECK((answer.empty() || answer == "reset"));
  }
  for (StatusServer::Answer& one : source.take()) one(ProcessSnapshot{});
  CHECK(line_of(first.read_all()) == "HTTP/1.1 200 OK");
}

TEST_CASE("an address that cannot be had is one error that names it", "[status]") {
  Source source;
  Served served(source);
  const auto again = StatusServer::open(HostPort{"127.0.0.1", served.address.port, served.address.port}, "",
                                        source.collect());
  REQUIRE_FALSE(again);
  CHECK(again.error().starts_with("status: cannot listen on TCP 127.0.0.1:"));
  const auto path = StatusServer::open(UnixPath{"/nonexistent/socket"}, "", source.collect());
  REQUIRE_FALSE(path);
  CHECK(path.error().find("/nonexistent/socket") != std::string::npos);
}

TEST_CASE("it serves on a unix socket, whose file goes with it", "[status]") {
  Source source;
  const std::string path = "status-test-" + std::to_string(::getpid()) + ".sock";
  {
    auto opened = StatusServer::open(UnixPath{path}, "", source.collect());
    REQUIRE(opened);
    CHECK(::access(path.c_str(), F_OK) == 0);
  }
  CHECK(::access(path.c_str(), F_OK) != 0);
}

}  // namespace
}  // namespace kcptun::status_server_test
