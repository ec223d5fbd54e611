// Names to addresses, without a thread and without blocking the loop.
#pragma once

#include <uv.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/base/path.h"
#include "core/base/result.h"
#include "core/base/time.h"

namespace kcptun {

/// Asks the hosts file and the name servers of resolv.conf, with its search domains, for all addresses of a host, by
/// c-ares. Both files are read anew for each lookup: a resolver that comes with the network is found. Lookups do not
/// wait for each other.
/// Bounds: kTimeout for the whole lookup; kMaxAddresses of its answer are kept.
class NameLookup {
 public:
  /// Less than the 10 s that a connection waits for it (Dialer::kDialTimeout, ClientWorker::kMaxWait).
  static constexpr Duration kTimeout = seconds(8);
  static constexpr std::size_t kMaxAddresses = 32;
  using Addresses = Result<std::vector<IpEndpoint>>;
  using Done = std::function<void(Addresses)>;

  /// Instead of what resolv.conf says.
  struct Servers {
    std::string list;  // "192.0.2.1:53,192.0.2.2:53"; "" for the system's
  };

  /// Calls `done` once, from the loop and never from inside the constructor, with the addresses in the order in which
  /// they are to be tried (in_dialling_order), or with an error that names the host. A literal and "", the wildcard, ask
  /// nobody. `loop` outlives the lookup.
  NameLookup(uv_loop_t& loop, const std::string& host, std::uint16_t port, Done done, const Servers& servers = {});
  /// Ends at once, with no call.
  ~NameLookup();
  NameLookup(const NameLookup&) = delete;
  NameLookup& operator=(const NameLookup&) = delete;

 private:
  struct Query;
  std::unique_ptr<Query> query_;
};

/// Each address once, IPv4 first as kcptun chooses, then the families in turn (RFC 8305, section 4), so that a family
/// that does not work costs one attempt and not all.
std::vector<IpEndpoint> in_dialling_order(std::vector<IpEndpoint> addresses);

struct NameQuery {
  std::string host;
  std::uint16_t port;
};

/// Several names at once; ends as NameLookup does.
class NameLookups {
 public:
  using Answers = std::vector<NameLookup::Addresses>;
  using Done = std::function<void(Answers)>;

  /// Calls `done` once, from the loop, with the answers in the order of the queries. REQUIRES: there is a query.
  NameLookups(uv_loop_t& loop, const std::vector<NameQuery>& queries, Done done);

 private:
  void handle_answer(std::size_t index, NameLookup::Addresses addresses);

  Done done_;
  Answers answers_;
  std::size_t missing_;
  std::vector<std::unique_ptr<NameLookup>> lookups_;
};

/// The same on a loop of its own: blocks until there is an answer. For the start and for commands that do one thing.
NameLookup::Addresses resolve(const std::string& host, std::uint16_t port);

}  // namespace kcptun
