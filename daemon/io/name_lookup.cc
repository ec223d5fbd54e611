#include "daemon/io/name_lookup.h"

#include <ares.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <optional>
#include <utility>

#include "core/base/check.h"
#include "daemon/io/uv_handles.h"
#include "daemon/net/address.h"

namespace kcptun {
namespace {

// In ms. Timeout of the first query to a name server; the second query gets twice as long, so a dead server
// costs 6 s.
constexpr int kAnswerMs = 2000;
constexpr int kTries = 2;

void init_library() {
  static std::once_flag once;
  std::call_once(once, [] { KCPTUN_CHECK(ares_library_init(ARES_LIB_INIT_ALL) == ARES_SUCCESS); });
}

std::vector<IpEndpoint> addresses_of(const ares_addrinfo& found, std::uint16_t port) {
  std::vector<IpEndpoint> addresses;
  for (const ares_addrinfo_node* node = found.nodes; node; node = node->ai_next) {
    std::optional<IpEndpoint> address =
        from_sockaddr(node->ai_addr, static_cast<socklen_t>(node->ai_addrlen));
    if (!address) continue;
    address->port = port;
    addresses.push_back(*address);
  }
  return addresses;
}

}  // namespace

std::vector<IpEndpoint> in_dialling_order(std::vector<IpEndpoint> addresses) {
  std::vector<IpEndpoint> families[2];
  for (const IpEndpoint& address : addresses) {
    std::vector<IpEndpoint>& family = families[is_ipv4(address) ? 0 : 1];
    if (std::ranges::find(family, address) == family.end()) family.push_back(address);
  }
  addresses.clear();
  for (std::size_t i = 0; i < std::max(families[0].size(), families[1].size()); ++i)
    for (const std::vector<IpEndpoint>& family : families)
      if (i < family.size()) addresses.push_back(family[i]);
  if (addresses.size() > NameLookup::kMaxAddresses) addresses.resize(NameLookup::kMaxAddresses);
  return addresses;
}

// --- one lookup ---

// A c-ares channel per lookup. Destroying it cancels everything that the lookup waits for.
struct NameLookup::Query {
  Query(uv_loop_t& on_loop, std::string name, std::uint16_t of_port, Done deliver)
      : loop(on_loop),
        host(std::move(name)),
        port(of_port),
        done(std::move(deliver)),
        mailbox(on_loop),
        timer(on_loop, [this] { handle_timer(); }),
        give_up_at(uv_now(&on_loop) + to_ms(kTimeout)) {}
  ~Query() {
    ending = true;
    if (channel) ares_destroy(channel);
  }

  static std::uint64_t to_ms(Duration time) {
    return static_cast<std::uint64_t>(std::chrono::ceil<milliseconds>(time).count());
  }

  void start(const Servers& servers);
  void watch(ares_socket_t fd, bool readable, bool writable);
  void handle_socket(ares_socket_t fd, int events);
  void handle_timer();
  void set_timer();
  void handle_answer(int status, ares_addrinfo* found);
  void answer(Addresses addresses);

  uv_loop_t& loop;
  const std::string host;
  const std::uint16_t port;
  Done done;
  Mailbox mailbox;  // delivers the answer in a later callback of the loop, never within a call
  TimerHandle timer;
  const std::uint64_t give_up_at;
  struct Watched {
    std::unique_ptr<PollHandle> poll;
    int events = 0;
  };
  std::map<ares_socket_t, Watched> sockets;
  ares_channel channel = nullptr;
  bool answered = false;
  bool ending = false;
};

void NameLookup::Query::start(const Servers& servers) {
  if (const std::optional<IpEndpoint> literal = parse_ip(host, port)) return answer(std::vector{*literal});
  init_library();
  ares_options options{};
  options.timeout = kAnswerMs;
  options.tries = kTries;
  options.sock_state_cb = [](void* self, ares_socket_t fd, int readable, int writable) {
    static_cast<Query*>(self)->watch(fd, readable != 0, writable != 0);
  };
  options.sock_state_cb_data = this;
  int status =
      ares_init_options(&channel, &options, ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB);
  if (status == ARES_SUCCESS && !servers.list.empty())
    status = ares_set_servers_ports_csv(channel, servers.list.c_str());
  if (status != ARES_SUCCESS) return handle_answer(status, nullptr);
  ares_addrinfo_hints hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_DGRAM;
  ares_getaddrinfo(
      channel, host.c_str(), nullptr, &hints,
      [](void* self, int result, int, ares_addrinfo* found) {
        static_cast<Query*>(self)->handle_answer(result, found);
      },
      this);
  set_timer();
}

// c-ares reports which of its sockets to watch. If neither direction is set, it closes the socket.
void NameLookup::Query::watch(ares_socket_t fd, bool readable, bool writable) {
  if (!readable && !writable) {
    sockets.erase(fd);
    return;
  }
  Watched& watched = sockets[fd];
  if (!watched.poll)
    watched.poll =
        std::make_unique<PollHandle>(loop, fd, [this, fd](int events) { handle_socket(fd, events); });
  watched.events = (readable ? UV_READABLE : 0) | (writable ? UV_WRITABLE : 0);
  (void)watched.poll->watch(watched.events);  // if the watch is refused, the query ends with its timeout
}

void NameLookup::Query::handle_socket(ares_socket_t fd, int events) {
  ares_process_fd(channel, events & UV_READABLE ? fd : ARES_SOCKET_BAD,
                  events & UV_WRITABLE ? fd : ARES_SOCKET_BAD);
  if (const auto still = sockets.find(fd); still != sockets.end())
    (void)still->second.poll->watch(still->second.events);
  set_timer();
}

void NameLookup::Query::handle_timer() {
  if (uv_now(&loop) >= give_up_at) {
    ares_cancel(channel);
  } else {
    ares_process_fd(channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
  }
  set_timer();
}

void NameLookup::Query::set_timer() {
  if (answered) return timer.stop();
  const std::uint64_t now = uv_now(&loop);
  const std::uint64_t left = give_up_at > now ? give_up_at - now : 0;
  timeval longest{.tv_sec = static_cast<time_t>(left / 1000),
                  .tv_usec = static_cast<suseconds_t>(left % 1000 * 1000)};
  timeval next{};
  const timeval& due = *ares_timeout(channel, &longest, &next);  // the earlier of the two
  timer.start(static_cast<std::uint64_t>(due.tv_sec) * 1000 +
              static_cast<std::uint64_t>(due.tv_usec + 999) / 1000);
}

void NameLookup::Query::handle_answer(int status, ares_addrinfo* found) {
  const std::unique_ptr<ares_addrinfo, decltype(&ares_freeaddrinfo)> owner(found, &ares_freeaddrinfo);
  if (ending) return;
  std::vector<IpEndpoint> addresses;
  if (status == ARES_SUCCESS && found) addresses = in_dialling_order(addresses_of(*found, port));
  if (!addresses.empty()) return answer(std::move(addresses));
  if (status == ARES_SUCCESS) status = ARES_ENODATA;
  if (status == ARES_ECANCELLED) status = ARES_ETIMEOUT;
  answer(Error{"cannot resolve " + host + ": " + ares_strerror(status)});
}

void NameLookup::Query::answer(Addresses addresses) {
  answered = true;
  timer.stop();
  mailbox.post([this, given = std::make_shared<Addresses>(std::move(addresses))] {
    const Done deliver = std::move(done);
    deliver(std::move(*given));  // the owner may destroy the lookup within the call
  });
}

NameLookup::NameLookup(uv_loop_t& loop, const std::string& host, std::uint16_t port, Done done,
                       const Servers& servers)
    : query_(std::make_unique<Query>(loop, host, port, std::move(done))) {
  query_->start(servers);
}

NameLookup::~NameLookup() = default;

// --- several ---

NameLookups::NameLookups(uv_loop_t& loop, const std::vector<NameQuery>& queries, Done done)
    : done_(std::move(done)), answers_(queries.size(), Error{"no answer"}), missing_(queries.size()) {
  KCPTUN_CHECK(!queries.empty());
  for (std::size_t i = 0; i < queries.size(); ++i)
    lookups_.push_back(std::make_unique<NameLookup>(
        loop, queries[i].host, queries[i].port,
        [this, i](NameLookup::Addresses addresses) { handle_answer(i, std::move(addresses)); }));
}

void NameLookups::handle_answer(std::size_t index, NameLookup::Addresses addresses) {
  answers_[index] = std::move(addresses);
  if (--missing_ > 0) return;
  const Done done = std::move(done_);
  done(std::move(answers_));  // the owner may destroy the lookups within the call
}

NameLookup::Addresses resolve(const std::string& host, std::uint16_t port) {
  if (const std::optional<IpEndpoint> literal = parse_ip(host, port)) return std::vector{*literal};
  Result<std::unique_ptr<UvLoop>> loop = UvLoop::open();
  if (!loop) return Error{loop.error()};
  std::optional<NameLookup::Addresses> found;
  {
    const NameLookup lookup((*loop)->get(), host, port,
                            [&found](NameLookup::Addresses addresses) { found = std::move(addresses); });
    while (!found) uv_run(&(*loop)->get(), UV_RUN_ONCE);
  }
  return std::move(*found);
}

}  // namespace kcptun
