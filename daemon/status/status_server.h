// Serves the status over HTTP on its own thread.
#pragma once

#include <uv.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "config/profile.h"
#include "core/base/result.h"
#include "daemon/io/listener.h"
#include "daemon/io/uv_handles.h"
#include "daemon/metrics/snapshot.h"
#include "daemon/status/access.h"
#include "daemon/status/history.h"
#include "daemon/system/file_descriptor.h"

namespace kcptun {

/// Requests one snapshot per StatusHistory::kStep, and while clients ask, at most one per
/// Limits::snapshot_life_ms for all of them. Shares no data with the engines: it requests a snapshot and
/// receives a copy.
///
/// Bounds: Limits, and HttpRequestReader::kMaxBytes for a request. A connection carries one request.
/// Violations are answered with 408, 431 or 503. Beyond the limit of connections, a new connection displaces
/// one that is not authorised yet or has its answer: the oldest of the address with the most of these. If
/// every connection is owed an answer, the new one is closed.
class StatusServer {
 public:
  /// Takes the snapshot, on any thread. Destroyed without a call if there is no snapshot.
  using Answer = std::function<void(ProcessSnapshot)>;
  /// Requests a snapshot. Called on the server's thread; returns at once.
  using Collect = std::function<void(Answer)>;

  struct Limits {
    std::size_t exchanges = 32;         // maximum number of open connections
    std::uint64_t request_ms = 5000;    // until the request is complete
    std::uint64_t response_ms = 10000;  // until the response is sent and the connection closed
    std::uint64_t collect_ms = 2000;    // until all engines have answered
    std::uint64_t history_ms = static_cast<std::uint64_t>(StatusHistory::kStep * 1000);  // between two points
    std::uint64_t snapshot_life_ms = 1000;  // a younger snapshot answers the next request too
  };

  /// Opens the listening socket. The error names the address.
  static Result<std::unique_ptr<StatusServer>> open(const Address& address, const std::string& token,
                                                    Collect collect, const Limits& limits);
  static Result<std::unique_ptr<StatusServer>> open(const Address& address, const std::string& token,
                                                    Collect collect) {
    return open(address, token, std::move(collect), Limits{});
  }
  /// Stops the thread. Drops an answer that arrives later. REQUIRES: no other thread is delivering an answer.
  ~StatusServer();
  StatusServer(const StatusServer&) = delete;
  StatusServer& operator=(const StatusServer&) = delete;

  /// Starts the thread. The error gives the system's reason. REQUIRES: the process is set up; called once.
  Result<bool> start();
  /// The address served: "http://127.0.0.1:9090/", or the path of a unix socket.
  const std::string& place() const { return place_; }

 private:
  class Exchange;
  struct Rendered;
  StatusServer(Collect collect, const Limits& limits, StatusAccess access, std::string place);

  void accept(FileDescriptor fd);
  bool make_room();
  void finish(Exchange& exchange);
  /// Answers now or when the snapshot arrives.
  void handle_request(Exchange& exchange);
  void begin_collecting();
  void handle_snapshot(std::uint64_t number, ProcessSnapshot snapshot);
  void stop_collecting();
  void keep_history();
  std::optional<HttpResponse> fresh_response(const HttpRequest& request);
  /// REQUIRES: latest_ is set.
  HttpResponse latest_response(const HttpRequest& request);

  const Collect collect_;
  const Limits limits_;
  const StatusAccess access_;
  const std::string place_;
  std::unique_ptr<SocketFile> socket_file_;
  std::unique_ptr<UvLoop> uv_;
  std::shared_ptr<Mailbox> mailbox_;  // answers hold it weakly
  std::unique_ptr<Listener> listener_;
  std::vector<std::unique_ptr<Exchange>> exchanges_;
  std::vector<Exchange*> waiting_;  // elements of exchanges_ that wait for a snapshot
  std::unique_ptr<Rendered> latest_;
  std::unique_ptr<TimerHandle> collect_timer_;
  std::unique_ptr<TimerHandle> history_timer_;
  StatusHistory history_;
  std::uint64_t gathering_ = 0;  // number of the current collection
  bool is_collecting_ = false;
  std::thread thread_;
};

}  // namespace kcptun
