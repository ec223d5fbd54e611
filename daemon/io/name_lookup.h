// Asynchronous name resolution, without a thread.
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

/// Resolves all addresses of a host with c-ares, from the hosts file, the name servers in resolv.conf and its
/// search domains. Each lookup reads both files again, so a changed resolver is noticed. Lookups run
/// concurrently.
/// Bounds: kTimeout for the whole lookup; the first kMaxAddresses addresses are kept.
class NameLookup {
 public:
  /// Less than the 10 s that a connection waits for its addresses (Dialer::kDialTimeout,
  /// ClientWorker::kMaxWait).
  static constexpr Duration kTimeout = seconds(8);
  static constexpr std::size_t kMaxAddresses = 32;
  using Addresses = Result<std::vector<IpEndpoint>>;
  using Done = std::function<void(Addresses)>;

  /// Name servers that replace those of resolv.conf.
  struct Servers {
    std::string list;  // "192.0.2.1:53,192.0.2.2:53"; "": those of the system
  };

  /// Calls `done` once, from the loop and never from the constructor, with the addresses in dialling order
  /// (in_dialling_order) or an error that names the host. A literal and "" (the wildcard) send no query.
  /// `loop` outlives the lookup.
  NameLookup(uv_loop_t& loop, const std::string& host, std::uint16_t port, Done done,
             const Servers& servers = {});
  /// Cancels the lookup without calling `done`.
  ~NameLookup();
  NameLookup(const NameLookup&) = delete;
  NameLookup& operator=(const NameLookup&) = delete;

 private:
  struct Query;
  std::unique_ptr<Query> query_;
};

/// Removes duplicates, puts an IPv4 address first as kcptun does, then alternates the families (RFC 8305
/// section 4), so that a broken family costs one attempt only.
std::vector<IpEndpoint> in_dialling_order(std::vector<IpEndpoint> addresses);

struct NameQuery {
  std::string host;
  std::uint16_t port;
};

/// Several concurrent lookups. The destructor cancels them as NameLookup's does.
class NameLookups {
 public:
  using Answers = std::vector<NameLookup::Addresses>;
  using Done = std::function<void(Answers)>;

  /// Calls `done` once, from the loop, with the answers in the order of the queries.
  /// REQUIRES: `queries` is not empty.
  NameLookups(uv_loop_t& loop, const std::vector<NameQuery>& queries, Done done);

 private:
  void handle_answer(std::size_t index, NameLookup::Addresses addresses);

  Done done_;
  Answers answers_;
  std::size_t missing_;
  std::vector<std::unique_ptr<NameLookup>> lookups_;
};

/// The same on a private loop: blocks until the answer arrives. For start-up and for one-shot commands.
NameLookup::Addresses resolve(const std::string& host, std::uint16_t port);

}  // namespace kcptun
