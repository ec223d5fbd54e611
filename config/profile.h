// A validated profile: all options of one tunnel, as plain values (docs/develop/protocol.md section 9).
// Only parse_command() (config/command.h) makes profiles, so the ranges in the comments below are
// invariants.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "config/dial_rules.h"
#include "core/base/settings.h"
#include "core/base/time.h"

namespace kcptun {

/// An unresolved host and its ports.
struct HostPort {
  std::string host;            // without brackets; "": all interfaces (listen), this machine (dial)
  std::uint16_t port_min = 0;  // 0: the kernel chooses (listen only)
  std::uint16_t port_max = 0;  // >= port_min
  bool is_range() const { return port_min != port_max; }
  bool operator==(const HostPort&) const = default;
};

/// The path of a unix stream socket; with a leading '@', a name in Linux's abstract namespace.
struct UnixPath {
  std::string path;  // 1..107 bytes, no NUL
  bool operator==(const UnixPath&) const = default;
};

using Address = std::variant<HostPort, UnixPath>;

/// The kinds of listener that a client can have in addition to localaddr.
enum class ForwardKind : std::uint8_t {
  kTcp,       // TCP port; fixed target
  kUnix,      // unix socket; fixed target
  kUdp,       // UDP port; fixed target
  kSocks5,    // TCP port or unix socket; the target is requested by SOCKS5 (RFC 1928)
  kHttp,      // TCP port or unix socket; the target is requested by HTTP CONNECT (RFC 9110 section 9.3.6)
  kRedirect,  // TCP port behind a firewall's REDIRECT; the target is the original destination
  kTproxy,    // TCP port behind a firewall's TPROXY; the target is the connection's local address
};

/// Where the client listens, and which target the server connects to.
struct Forward {
  ForwardKind kind = ForwardKind::kTcp;
  Address listen;  // kUnix: a UnixPath; kSocks5, kHttp: either; others: a HostPort of one port
  std::optional<HostPort> target;  // kTcp, kUnix, kUdp only: one port; the host has at most 255 bytes

  bool operator==(const Forward&) const = default;
};

/// Where the server is to listen, and where the client connects to.
struct Reverse {
  HostPort listen;  // one port, not 0; its host is an address or "", all addresses
  Address target;   // TCP or unix
  bool operator==(const Reverse&) const = default;
};

/// The most reverse forwards of one tunnel, and listeners of one session at a server.
inline constexpr std::size_t kMaxReverses = 16;

/// The most forwards of one tunnel. Each costs a listening socket per thread.
inline constexpr std::size_t kMaxForwards = 64;

/// The most servers that one client's remoteaddr may name.
inline constexpr std::size_t kMaxServers = 16;

/// In increasing severity. The log contains events of its level and above.
enum class LogLevel : std::uint8_t { kDebug, kInfo, kWarning, kError };
enum class LogFormat : std::uint8_t { kText, kJson };

/// The PROXY protocol header that the server sends first on each connection to its target.
enum class TargetHeader : std::uint8_t { kNone, kProxyV1, kProxyV2 };

/// Whether the kernel may cut and join datagrams: UDP GSO and GRO.
enum class UdpOffload : std::uint8_t { kOff, kAuto };

/// Log options, which apply to the whole process.
struct LogSettings {
  std::string file{};  // path; "": standard error
  LogLevel level = LogLevel::kInfo;
  LogFormat format = LogFormat::kText;
  bool utc = false;  // UTC times, else local times
  bool operator==(const LogSettings&) const = default;
};

/// The most sessions of a client without `conn`. A lost packet delays only the streams of its session, so a
/// few sessions help; more of them only divide the path's bandwidth and the server's memory.
inline constexpr std::uint32_t kMaxAutoSessions = 4;

/// An X25519 key (RFC 7748), private or public.
using StaticKey = std::array<std::uint8_t, 32>;

/// The length of a quota's period: the whole life, or a day or a month in UTC.
enum class QuotaPeriod : std::uint8_t { kEver, kDay, kMonth };
/// The most payload that a user may transfer in each period, both directions together.
struct Quota {
  std::uint64_t bytes = 0;  // at least 1
  QuotaPeriod period = QuotaPeriod::kEver;
  bool operator==(const Quota&) const = default;
};

/// A user of a server with crypt noise.
struct User {
  std::string name;                            // 1..63 letters, digits, '.', '_', '-'; unique in the tunnel
  StaticKey key{};                             // the user's public key; unique in the tunnel
  std::optional<std::vector<DialRule>> allow;  // in place of the tunnel's; none: the tunnel's
  std::string allow_text;                      // of `allow`, as it was written
  std::uint64_t ratelimit = 0;                 // bytes per second for all its sessions; 0: the tunnel's
  std::optional<Quota> quota;
  std::optional<std::chrono::sys_days> last_day;  // in UTC; none: for ever
  bool operator==(const User&) const = default;
};

/// The most users of one tunnel.
inline constexpr std::size_t kMaxUsers = 4096;

struct Profile {
  std::string name;  // "" or 1..63 letters, digits, '.', '_', '-'; unique if there are several tunnels
  Role role = Role::kClient;
  Address local_address;  // client: localaddr (TCP or unix); server: listen (UDP, a HostPort)
  // client: false if localaddr is empty, because there are forwards or reverse forwards
  bool listens_at_local_address = true;
  std::vector<Forward> forwards;   // client: at most kMaxForwards, with different listening addresses
  std::vector<Reverse> reverses;   // client: at most kMaxReverses, with different listening addresses
  Address remote;                  // client: remoteaddr (UDP, a HostPort); server: target (TCP or unix)
  bool target_is_request = false;  // server: each stream requests its target; `remote` is unused
  DialRules dial_rules;            // server: allow and deny
  // server: where clients may listen: only addresses and networks, and kAny
  std::vector<DialRule> listen_rules;
  TargetHeader target_header = TargetHeader::kNone;  // server: proxy-protocol
  // client: all servers of remoteaddr, 1..kMaxServers, all different; the first is `remote`
  std::vector<HostPort> servers;

  std::string key;
  std::optional<StaticKey> private_key;  // crypt noise only; a server has users then, a client the server_key
  std::optional<StaticKey> server_key;   // client: the server's public key
  std::vector<User> users;               // server with a private_key: who may connect; at most kMaxUsers
  std::string quota_file;                // "": none, and no user has a quota
  Cipher crypt = Cipher::kAes;
  std::string mode;  // a name in kModePresets or "manual"; link.kcp.tuning has its values
  std::optional<std::uint32_t> local_mode;  // client: permissions of unix sockets; none: set by the umask
  std::string local_group;                  // client: group of unix sockets; "": the process's group
  LinkSettings link;                        // mtu, windows, shards, smux, compress (= not nocomp)

  // client: number of sessions to the server, 1..65535; none: one, and up to kMaxAutoSessions while they
  // are saturated
  std::optional<std::uint32_t> conn = 1;
  Duration fold_after = seconds(30);    // idle time after which an extra session ends; tests shorten it
  Duration autoexpire{0};               // client: age at which a session gets no new streams; 0: never
  std::optional<Duration> scavengettl;  // client: maximum time from expiry to close; none: unlimited
  Duration closewait{0};                // how long a connection may drain after one end has closed
  // Idle timeout of a half-closed connection, unless the peer is known to be kcptun-uv. Not an option; tests
  // shorten it.
  Duration half_closed_idle = seconds(300);
  std::uint32_t max_sessions = 32768;  // server: sessions on all threads together, 1..1048576
  std::uint64_t ratelimit = 0;         // bytes of UDP payload per second and session; 0: unlimited
  std::uint8_t dscp = 0;               // 0..63
  std::uint32_t sockbuf = 4194304;     // bytes, for each of send and receive
  UdpOffload udp_offload = UdpOffload::kAuto;
  bool qpp = false;
  std::uint16_t qpp_count = 61;  // pads, 1..65535
  bool tcp = false;

  // client: options of the sockets to the server (socket_options.h)
  std::string bind_address;  // a literal IPv4 or IPv6 address; "": chosen by the route
  std::string interface;     // 1..15 bytes; "": any
  std::uint32_t fwmark = 0;  // SO_MARK; 0: none
  Duration hop{0};           // client: time after which sessions change their ports; 0: never

  std::string snmplog;     // a file name in Go's time layout; "": none
  Duration snmpperiod{0};  // 0: none
  LogSettings log;
  bool quiet = false;
  bool pprof = false;
  std::optional<Address> status;  // address of the status service (TCP or unix)
  std::string status_token;       // "": no token is required
  std::uint32_t threads = 0;      // threads; 0: one per core
  std::uint32_t memory = 0;       // MiB for unread bytes of all sessions; 0: from the machine's memory
  std::string user;  // "NAME" or "NAME:GROUP", switched to after the ports are bound; "": no switch
};

}  // namespace kcptun
