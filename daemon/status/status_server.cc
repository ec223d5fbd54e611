#include "daemon/status/status_server.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "daemon/io/name_lookup.h"
#include "daemon/net/address.h"
#include "daemon/status/page.h"
#include "daemon/status/render.h"
#include "daemon/system/thread.h"

namespace kcptun {
namespace {

// Bytes that a client may still send after the response. They are read and discarded, because closing with
// unread data would reset the connection before the client has read the response.
constexpr std::size_t kMaxDiscarded = 64 * 1024;
constexpr std::string_view kRefusedMethod = "only GET and HEAD are answered\n";

HttpResponse text_response(int status, std::string_view text) {
  return {.status = status, .body = std::string(text)};
}

HttpResponse page_response() {
  return {.status = 200,
          .type = "text/html; charset=utf-8",
          .body = std::string(page_html()),
          .more_fields = "Content-Security-Policy: " + page_policy() + "\r\n"};
}

bool needs_snapshot(std::string_view path) {
  return path == "/status.json" || path == "/metrics" || path == "/history.json" || path == "/healthz";
}

std::optional<IpEndpoint> peer_of(int fd) {
  sockaddr_storage name{};
  socklen_t size = sizeof name;
  if (getpeername(fd, reinterpret_cast<sockaddr*>(&name), &size) != 0) return std::nullopt;
  return from_sockaddr(reinterpret_cast<const sockaddr*>(&name), size);
}

bool asks_for_peer(const HttpRequest& request) { return query_value(request.query, "peer") == "1"; }

HttpResponse health_response(const ProcessSnapshot& snapshot, bool peer) {
  const std::string failed = peer ? render_failed_peers(snapshot) : std::string();
  return failed.empty() ? text_response(200, "ok\n") : text_response(503, failed);
}

// Responses that need no snapshot, for clients that may look.
std::optional<HttpResponse> immediate_response(const HttpRequest& request) {
  if (request.method != "GET" && request.method != "HEAD") {
    HttpResponse response = text_response(405, kRefusedMethod);
    response.more_fields = "Allow: GET, HEAD\r\n";
    return response;
  }
  if (request.has_body) return text_response(413, "a request has no body here\n");
  if (request.path == "/") return page_response();
  if (needs_snapshot(request.path)) return std::nullopt;
  return text_response(404, "there are /, /metrics, /status.json, /history.json and /healthz\n");
}

}  // namespace

// The latest snapshot. Each text is rendered on its first use.
struct StatusServer::Rendered {
  ProcessSnapshot snapshot;
  std::uint64_t taken_ms = 0;  // by uv_now of the server's loop
  std::string json, metrics, history;
};

// One connection: it reads a request, writes the response and closes.
class StatusServer::Exchange {
 public:
  Exchange(StatusServer& server, FileDescriptor fd)
      : server_(server),
        fd_(std::move(fd)),
        peer_(peer_of(fd_.get())),
        poll_(server.uv_->get(), fd_.get(), [this](int events) { handle_poll(events); }),
        timer_(server.uv_->get(), [this] { handle_deadline(); }) {
    timer_.start(server.limits_.request_ms);
    watch(UV_READABLE);
  }

  const HttpRequest& request() const { return reader_.request(); }
  /// Marks the request as authorised. The connection cannot be displaced until it has its answer.
  void admit() { admitted_ = true; }
  bool may_be_displaced() const { return !admitted_ || answered(); }
  const std::optional<IpEndpoint>& peer() const { return peer_; }  // nothing for a unix socket
  void respond(const HttpResponse& response) {
    wire_ = to_wire(response, reads_ ? "GET" : request().method);
    reads_ = false;
    timer_.start(server_.limits_.response_ms);
    write();
  }

 private:
  void handle_poll(int events) {
    if (sent_ < wire_.size() && (events & UV_WRITABLE)) return write();
    if (events & UV_READABLE) read();
  }

  void read() {
    std::array<char, 4096> bytes;
    const ssize_t n = ::read(fd_.get(), bytes.data(), bytes.size());
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n < 0 || (n == 0 && (reads_ || answered()))) return server_.finish(*this);
    if (n == 0) {  // the client finished sending and may still read
      peer_finished_ = true;
      return watch(wire_.empty() ? 0 : UV_WRITABLE);
    }
    if (reads_) return handle_bytes({bytes.data(), static_cast<std::size_t>(n)});
    discarded_ += static_cast<std::size_t>(n);
    if (discarded_ > kMaxDiscarded) server_.finish(*this);
  }

  void handle_bytes(std::string_view bytes) {
    switch (reader_.handle_bytes(bytes)) {
      case HttpRequestReader::State::kMore:
        return;
      case HttpRequestReader::State::kComplete:
        reads_ = false;
        timer_.stop();  // collect_ms bounds the wait for a snapshot
        return server_.handle_request(*this);
      case HttpRequestReader::State::kTooLong:
        return respond(text_response(431, "the request is longer than 8192 bytes\n"));
      case HttpRequestReader::State::kMalformed:
        return respond(text_response(400, "this is no HTTP request\n"));
    }
  }

  void write() {
    while (sent_ < wire_.size()) {
      const ssize_t n = ::send(fd_.get(), wire_.data() + sent_, wire_.size() - sent_, MSG_NOSIGNAL);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0 && errno == EAGAIN) return watch(UV_WRITABLE | (peer_finished_ ? 0 : UV_READABLE));
      if (n <= 0) return server_.finish(*this);
      sent_ += static_cast<std::size_t>(n);
    }
    if (peer_finished_) return server_.finish(*this);
    ::shutdown(fd_.get(), SHUT_WR);
    watch(UV_READABLE);  // until the client closes
  }

  // If the system cannot watch the descriptor, the timer ends the connection in the next loop iteration.
  void watch(int events) {
    if (!poll_.watch(events)) timer_.start(0);
  }

  bool answered() const { return !wire_.empty() && sent_ == wire_.size(); }

  void handle_deadline() {
    if (!reads_) return server_.finish(*this);
    respond(text_response(408, "the request took too long\n"));
  }

  StatusServer& server_;
  FileDescriptor fd_;
  const std::optional<IpEndpoint> peer_;
  PollHandle poll_;
  TimerHandle timer_;
  HttpRequestReader reader_;
  bool reads_ = true;  // the request is incomplete
  bool peer_finished_ = false;
  bool admitted_ = false;
  std::string wire_;
  std::size_t sent_ = 0;
  std::size_t discarded_ = 0;
};

namespace {

struct Listening {
  FileDescriptor fd;
  StatusAccess::Place place = StatusAccess::Place::kUnixSocket;
  std::string text;
};

// The bound port, which the kernel chose if the configured port is 0.
std::uint16_t port_of(int fd) {
  sockaddr_storage name{};
  socklen_t size = sizeof name;
  getsockname(fd, reinterpret_cast<sockaddr*>(&name), &size);
  const std::optional<IpEndpoint> endpoint = from_sockaddr(reinterpret_cast<const sockaddr*>(&name), size);
  return endpoint ? endpoint->port : std::uint16_t{0};
}

Result<Listening> listen_for_status(const Address& address, const std::string& token) {
  Listening listening;
  if (const auto* path = std::get_if<UnixPath>(&address)) {
    Result<FileDescriptor> fd = listen_unix(*path);
    if (!fd) return Error{"status: " + fd.error()};
    listening.fd = std::move(*fd);
    listening.text = path->path;
    return listening;
  }
  const HostPort& host = std::get<HostPort>(address);
  Result<std::vector<IpEndpoint>> resolved = resolve(host.host, host.port_min);
  if (!resolved) return Error{"status: " + resolved.error()};
  IpEndpoint endpoint = resolved->front();
  if (!is_loopback(endpoint) && token.empty())  // the configuration took this name for loopback
    return Error{"status: " + to_string(endpoint) + " is not loopback, so it needs a status-token"};
  Result<FileDescriptor> fd = listen_tcp(endpoint, false);
  if (!fd) return Error{"status: " + fd.error()};
  listening.fd = std::move(*fd);
  listening.place = is_loopback(endpoint) ? StatusAccess::Place::kLoopback : StatusAccess::Place::kNetwork;
  endpoint.port = port_of(listening.fd.get());
  listening.text = "http://" + to_string(endpoint) + "/";
  return listening;
}

}  // namespace

Result<std::unique_ptr<StatusServer>> StatusServer::open(const Address& address, const std::string& token,
                                                         Collect collect, const Limits& limits) {
  Result<Listening> listening = listen_for_status(address, token);
  if (!listening) return Error{listening.error()};
  Result<std::unique_ptr<UvLoop>> uv = UvLoop::open();
  if (!uv) return Error{"status: " + uv.error()};
  std::unique_ptr<StatusServer> server(
      new StatusServer(std::move(collect), limits, StatusAccess(listening->place, token), listening->text));
  server->uv_ = std::move(*uv);
  server->mailbox_ = std::make_shared<Mailbox>(server->uv_->get());
  if (const auto* path = std::get_if<UnixPath>(&address))
    server->socket_file_ = std::make_unique<SocketFile>(*path);
  server->listener_ =
      std::make_unique<Listener>(server->uv_->get(), std::move(listening->fd),
                                 [self = server.get()](FileDescriptor fd) { self->accept(std::move(fd)); });
  server->collect_timer_ =
      std::make_unique<TimerHandle>(server->uv_->get(), [self = server.get()] { self->stop_collecting(); });
  server->history_timer_ =
      std::make_unique<TimerHandle>(server->uv_->get(), [self = server.get()] { self->keep_history(); });
  server->history_timer_->start(limits.history_ms);
  return server;
}

StatusServer::StatusServer(Collect collect, const Limits& limits, StatusAccess access, std::string place)
    : collect_(std::move(collect)), limits_(limits), access_(std::move(access)), place_(std::move(place)) {}

StatusServer::~StatusServer() {
  if (thread_.joinable()) {
    mailbox_->post([this] { uv_stop(&uv_->get()); });
    thread_.join();
  }
  if (!uv_) return;
  exchanges_.clear();
  collect_timer_.reset();
  history_timer_.reset();
  listener_.reset();
  mailbox_.reset();
}

Result<bool> StatusServer::start() {
  Result<std::thread> started = start_thread("status", [uv = &uv_->get()] { uv_run(uv, UV_RUN_DEFAULT); });
  if (!started) return Error{started.error()};
  thread_ = std::move(*started);
  return true;
}

// Called only for a new connection, so no other Exchange is on the call stack.
bool StatusServer::make_room() {
  const auto address = [](const Exchange& one) {
    return one.peer() ? one.peer()->ip : decltype(IpEndpoint::ip){};
  };
  const auto same_address = [&](const Exchange& one) {
    return std::ranges::count_if(exchanges_, [&](const auto& other) {
      return other->may_be_displaced() && address(*other) == address(one);
    });
  };
  auto victim = exchanges_.end();
  std::ptrdiff_t most = 0;
  for (auto it = exchanges_.begin(); it != exchanges_.end(); ++it) {  // oldest first
    if (!(*it)->may_be_displaced()) continue;
    if (const std::ptrdiff_t count = same_address(**it); count > most) {
      most = count;
      victim = it;
    }
  }
  if (victim == exchanges_.end()) return false;
  exchanges_.erase(victim);
  return true;
}

void StatusServer::accept(FileDescriptor fd) {
  if (exchanges_.size() >= limits_.exchanges && !make_room()) return;  // closes fd
  exchanges_.push_back(std::make_unique<Exchange>(*this, std::move(fd)));
}

// The exchange may be on the call stack, so the mailbox destroys it later in this loop iteration.
void StatusServer::finish(Exchange& exchange) {
  std::erase(waiting_, &exchange);
  const auto it = std::ranges::find(exchanges_, &exchange, [](const auto& one) { return one.get(); });
  if (it == exchanges_.end()) return;
  mailbox_->post([gone = std::shared_ptr<Exchange>(std::move(*it))] {});
  exchanges_.erase(it);
}

void StatusServer::handle_request(Exchange& exchange) {
  if (const auto refused = access_.refuse(exchange.request())) return exchange.respond(*refused);
  exchange.admit();
  if (const auto response = immediate_response(exchange.request())) return exchange.respond(*response);
  if (const auto response = fresh_response(exchange.request())) return exchange.respond(*response);
  waiting_.push_back(&exchange);
  if (!is_collecting_) begin_collecting();
}

std::optional<HttpResponse> StatusServer::fresh_response(const HttpRequest& request) {
  if (!latest_ || uv_now(&uv_->get()) - latest_->taken_ms >= limits_.snapshot_life_ms) return std::nullopt;
  return latest_response(request);
}

HttpResponse StatusServer::latest_response(const HttpRequest& request) {
  const std::string& path = request.path;
  if (path == "/healthz") return health_response(latest_->snapshot, asks_for_peer(request));
  if (path == "/metrics") {
    if (latest_->metrics.empty()) latest_->metrics = render_metrics(latest_->snapshot);
    return {.type = "text/plain; version=0.0.4; charset=utf-8", .body = latest_->metrics};
  }
  if (path == "/history.json") {
    if (latest_->history.empty()) latest_->history = history_.render_json();
    return {.type = "application/json", .body = latest_->history};
  }
  if (latest_->json.empty()) latest_->json = render_status_json(latest_->snapshot);
  return {.type = "application/json", .body = latest_->json};
}

void StatusServer::begin_collecting() {
  is_collecting_ = true;
  collect_timer_->start(limits_.collect_ms);
  collect_([this, number = ++gathering_, inbox = std::weak_ptr<Mailbox>(mailbox_)](ProcessSnapshot snapshot) {
    const std::shared_ptr<Mailbox> mailbox = inbox.lock();
    if (!mailbox) return;  // the server was destroyed
    auto copy = std::make_shared<ProcessSnapshot>(std::move(snapshot));
    mailbox->post([this, number, copy] { handle_snapshot(number, std::move(*copy)); });
  });
}

void StatusServer::handle_snapshot(std::uint64_t number, ProcessSnapshot snapshot) {
  if (!is_collecting_ || number != gathering_) return;  // superseded or timed out
  is_collecting_ = false;
  collect_timer_->stop();
  snapshot.bound_rows();
  history_.handle_snapshot(snapshot);
  latest_ = std::make_unique<Rendered>();
  latest_->snapshot = std::move(snapshot);
  latest_->taken_ms = uv_now(&uv_->get());
  for (Exchange* exchange : std::exchange(waiting_, {}))
    exchange->respond(latest_response(exchange->request()));
}

// Requests a snapshot only if no request of a client caused one recently.
void StatusServer::keep_history() {
  history_timer_->start(limits_.history_ms);
  const bool fresh = latest_ && uv_now(&uv_->get()) - latest_->taken_ms < limits_.history_ms / 2;
  if (!is_collecting_ && !fresh) begin_collecting();
}

void StatusServer::stop_collecting() {
  is_collecting_ = false;
  for (Exchange* exchange : std::exchange(waiting_, {}))
    exchange->respond(text_response(503, "an event loop does not answer\n"));
}

}  // namespace kcptun
