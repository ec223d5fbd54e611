// The request with which a stream names its target.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "config/dial_rules.h"
#include "core/base/bytes.h"
#include "core/proxy/request_reader.h"
#include "daemon/engine/deadlines.h"
#include "daemon/engine/dial_policy.h"
#include "daemon/engine/dialer.h"
#include "daemon/engine/engine.h"
#include "daemon/engine/reverse_requests.h"
#include "daemon/io/name_lookup.h"

namespace kcptun {

/// What all requests of one engine have in common: the counters, and the bound on lookups.
struct RequestTotals {
  /// Concurrent lookups. Each has its own sockets to the name servers, about four descriptors. A request
  /// beyond this fails.
  static constexpr std::size_t kMaxLookups = 128;

  std::uint64_t requests = 0;  // complete ones
  std::uint64_t denied = 0;    // by the rules
  std::size_t lookups = 0;     // in progress
};

/// Which targets requests may name.
struct RequestTargets {
  /// All outlive the targets. The rules may change between calls.
  RequestTargets(Engine& of, const DialRules& by, RequestTotals& sums)
      : engine(of), rules(by), totals(sums) {}

  Engine& engine;
  const DialRules& rules;
  RequestTotals& totals;
  ListenPolicy* listens = nullptr;    // null: requests to listen are denied; outlives the targets
  ReverseTargets* reverse = nullptr;  // null: listeners have no targets; outlives the targets
};

/// Reads a request from the front of a stream, checks it against the rules, resolves its name once and dials
/// the permitted addresses.
/// Bounds: RequestReader's bytes; kReadTimeout for the request, then Dialer::kDialTimeout for the rest.
class StreamRequest final : private Deadline {
 public:
  static constexpr Duration kReadTimeout = seconds(10);

  enum class Result : std::uint8_t {
    kConnected,
    kDatagrams,   // the stream becomes a UDP flow; what follows the request is its datagrams
    kListening,   // the stream keeps a listener open
    kUnreadable,  // the bytes are no request, or the request is late or not supported
    kDenied,      // by the rules
    kFailed,      // the name cannot be resolved, or no address can be reached
  };
  struct Outcome {
    Result result = Result::kUnreadable;
    Dialer::Outcome connection;       // if connected; `error` has the reason for kFailed
    FileDescriptor listening;         // if listening
    std::vector<std::uint8_t> reply;  // to be sent to the client; "": the client gets none
  };
  using Done = std::function<void(Outcome)>;

  /// `targets` outlives the request. `done` is called once, from the loop, and may destroy the request.
  StreamRequest(RequestTargets& targets, RequestReader::Accepted accepted, Done done);
  ~StreamRequest() override;
  StreamRequest(const StreamRequest&) = delete;
  StreamRequest& operator=(const StreamRequest&) = delete;

  /// Takes the request's bytes from the front of `input` and returns their number. The others belong to the
  /// target, or to nobody if the request failed.
  std::size_t handle_input(Bytes input);
  /// True until the request is complete or has failed.
  bool reading() const { return reader_.state() == RequestReader::State::kReading && !over_; }
  /// Bytes to send to the client now, each once.
  std::vector<std::uint8_t> take_reply() { return reader_.take_reply(); }
  /// "db.internal:5432"; of a listener's connection the reverse forward's. REQUIRES: the request was
  /// complete.
  std::string target() const;
  /// REQUIRES: likewise.
  const ProxyRequest& request() const { return reader_.request(); }
  /// Of the reverse forward that the request belongs to; null: it belongs to none.
  ForwardCounters* counters() const { return counters_; }

 private:
  void handle_deadline(TimePoint now) override;
  void start();
  void accept_datagrams();
  void listen();
  void dial_reverse();
  void resolve(NamedTarget target);
  void handle_resolved(const NamedTarget& target, NameLookup::Addresses addresses);
  void dial(const NamedTarget& target, std::vector<IpEndpoint> addresses);
  void handle_dialled(Dialer::Outcome made);
  void end_lookup();
  void deny();
  void fail(ReplyCode code, std::string error);
  void conclude(Result result, std::vector<std::uint8_t> reply);
  void deliver();

  RequestTargets& targets_;
  RequestReader reader_;
  Done done_;
  bool over_ = false;
  Outcome outcome_;  // once it is over
  std::string reverse_target_;
  ForwardCounters* counters_ = nullptr;
  std::unique_ptr<NameLookup> lookup_;
  std::unique_ptr<Dialer> dialer_;
};

/// The reply code that names the reason of a failed connection.
ReplyCode reply_code_of(int error);

}  // namespace kcptun
