// Serves the status over HTTP, on a thread of its own.
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

/// What it costs: a snapshot each StatusHistory::kStep, and while somebody watches at most one in
/// Limits::snapshot_life_ms, however many watch. Shares nothing with the loops: it asks for a snapshot and is
/// posted a copy. Bounds: Limits, and HttpRequestReader::kMaxBytes for a request. A connection is for one
/// request. What does not fit is answered with 408, 431 or 503. Beyond the limit of connections a new one
/// takes the place of one that has shown no right to look, or has its answer: the oldest of the address that
/// has most of them. When all are owed an answer it is closed.
class StatusServer {
 public:
  /// Takes the snapshot, from any thread. Dropped without a call when there is none to be had.
  using Answer = std::function<void(ProcessSnapshot)>;
  /// Asks for a snapshot. Called on the server's thread; returns at once.
  using Collect = std::function<void(Answer)>;

  struct Limits {
    std::size_t exchanges = 32;         // connections at once
    std::uint64_t request_ms = 5000;    // until the request is whole
    std::uint64_t response_ms = 10000;  // until the response is taken and the connection closed
    std::uint64_t collect_ms = 2000;    // until all loops have answered
    std::uint64_t history_ms = static_cast<std::uint64_t>(StatusHistory::kStep * 1000);  // between two points
    std::uint64_t snapshot_life_ms = 1000;  // a younger one answers the next request too
  };

  /// Listens. The error names the address.
  static Result<std::unique_ptr<StatusServer>> open(const Address& address, const std::string& token,
                                                    Collect collect, const Limits& limits);
  static Result<std::unique_ptr<StatusServer>> open(const Address& address, const std::string& token,
                                                    Collect collect) {
    return open(address, token, std::move(collect), Limits{});
  }
  /// Ends the thread. An answer that comes later goes nowhere. REQUIRES: none is on its way on another
  /// thread.
  ~StatusServer();
  StatusServer(const StatusServer&) = delete;
  StatusServer& operator=(const StatusServer&) = delete;

  /// Begins to serve. The error says why the system gives no thread. REQUIRES: the process is set up; called
  /// once.
  Result<bool> start();
  /// Where it listens: "http://127.0.0.1:9090/", or a unix socket's path.
  const std::string& place() const { return place_; }

 private:
  class Exchange;
  struct Rendered;
  StatusServer(Collect collect, const Limits& limits, StatusAccess access, std::string place);

  void accept(FileDescriptor fd);
  bool make_room();
  void finish(Exchange& exchange);
  /// Answers now, or when a snapshot is there.
  void handle_request(Exchange& exchange);
  void begin_collecting();
  void handle_snapshot(std::uint64_t number, ProcessSnapshot snapshot);
  void stop_collecting();
  void keep_history();
  std::optional<HttpResponse> fresh_response(const HttpRequest& request);
  /// REQUIRES: latest_.
  HttpResponse latest_response(const HttpRequest& request);

  const Collect collect_;
  const Limits limits_;
  const StatusAccess access_;
  const std::string place_;
  std::unique_ptr<SocketFile> socket_file_;
  std::unique_ptr<UvLoop> uv_;
  std::shared_ptr<Mailbox> mailbox_;  // weakly held by answers
  std::unique_ptr<Listener> listener_;
  std::vector<std::unique_ptr<Exchange>> exchanges_;
  std::vector<Exchange*> waiting_;  // of them, for a snapshot
  std::unique_ptr<Rendered> latest_;
  std::unique_ptr<TimerHandle> collect_timer_;
  std::unique_ptr<TimerHandle> history_timer_;
  StatusHistory history_;
  std::uint64_t gathering_ = 0;  // number of the gathering that counts
  bool is_collecting_ = false;
  std::thread thread_;
};

}  // namespace kcptun
