// A validated profile: everything that a user can choose about one tunnel, as plain values
// (docs/develop/protocol.md section 9). Made by parse_command() (config/command.h) and by nobody else;
// whoever holds one may trust its ranges.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "config/dial_rules.h"
#include "core/base/settings.h"
#include "core/base/time.h"

namespace kcptun {

/// A host, not yet resolved, and its ports.
struct HostPort {
  std::string host;  // without brackets; "" is every interface to a listener, this machine to a dialler
  std::uint16_t port_min = 0;  // 0: the kernel chooses (listeners only)
  std::uint16_t port_max = 0;  // >= port_min
  bool is_range() const { return port_min != port_max; }
  bool operator==(const HostPort&) const = default;
};

/// A stream socket in the file system, or with a leading '@' in Linux's abstract name space.
struct UnixPath {
  std::string path;  // 1..107 bytes, no NUL
  bool operator==(const UnixPath&) const = default;
};

using Address = std::variant<HostPort, UnixPath>;

/// The entrances that a client can have beside localaddr.
enum class ForwardKind : std::uint8_t {
  kTcp,       // a port, to one target
  kUnix,      // a unix socket, to one target
  kUdp,       // a UDP port, to one target
  kSocks5,    // a port or a unix socket: the application names the target by SOCKS5 (RFC 1928)
  kHttp,      // a port or a unix socket: by HTTP CONNECT (RFC 9110 section 9.3.6)
  kRedirect,  // a port that a firewall's REDIRECT leads to: the connection's original destination
  kTproxy,    // a port that a firewall's TPROXY leads to: the local address of the connection
};

/// Where the client listens, and where the server is to connect to.
struct Forward {
  ForwardKind kind = ForwardKind::kTcp;
  Address listen;  // kUnix: always a UnixPath; a HostPort of one port where no path may stand
  std::optional<HostPort>
      target;  // kTcp, kUnix, kUdp: one port; its host is a name or a literal, at most 255 bytes
  bool operator==(const Forward&) const = default;
};

/// The most forwards of one tunnel. Each costs a listening socket per thread.
inline constexpr std::size_t kMaxForwards = 64;

/// The most servers that one client's remoteaddr may name.
inline constexpr std::size_t kMaxServers = 16;

/// Least serious first: a log has what is at least as serious as its level.
enum class LogLevel : std::uint8_t { kDebug, kInfo, kWarning, kError };
enum class LogFormat : std::uint8_t { kText, kJson };

/// What the server writes in front of each connection to its target: the PROXY protocol's header, or nothing.
enum class TargetHeader : std::uint8_t { kNone, kProxyV1, kProxyV2 };

/// Whether the kernel may cut and join datagrams: UDP GSO and GRO.
enum class UdpOffload : std::uint8_t { kOff, kAuto };

/// Of the process, not of a tunnel.
struct LogSettings {
  std::string file{};  // "": standard error
  LogLevel level = LogLevel::kInfo;
  LogFormat format = LogFormat::kText;
  bool utc = false;  // times in UTC, else local
  bool operator==(const LogSettings&) const = default;
};

/// Sessions of a client whose `conn` is left to the program. One lost packet holds up a session; more
/// sessions than this only divide the path's bandwidth and the server's memory.
inline constexpr std::uint32_t kMaxAutoSessions = 4;

struct Profile {
  std::string name;  // "", or 1..63 letters, digits, '.', '_' and '-'; of several tunnels each has its own
  Role role = Role::kClient;
  Address local_address;  // client: localaddr, TCP or unix; server: listen, UDP, always a HostPort
  // client: false if localaddr is empty, because only the forwards accept connections
  bool listens_at_local_address = true;
  std::vector<Forward> forwards;   // client: at most kMaxForwards, no two at one place
  Address remote;                  // client: remoteaddr, UDP, always a HostPort; server: target, TCP or unix
  bool target_is_request = false;  // server: each stream names its target; `remote` has no meaning then
  DialRules dial_rules;            // server: allow and deny
  TargetHeader target_header = TargetHeader::kNone;  // server: proxy-protocol
  std::vector<HostPort>
      servers;  // client: all of remoteaddr, 1..kMaxServers, no two the same; the first is `remote`

  std::string key;
  Cipher crypt = Cipher::kAes;
  std::string mode;  // one of kModePresets or "manual"; what it means stands in link.kcp.tuning
  std::optional<std::uint32_t> local_mode;  // client, unix localaddr: its permissions; none: by the umask
  std::string local_group;                  // client, unix localaddr: its group, "": that of the process
  LinkSettings link;                        // mtu, windows, shards, smux, compress (= not nocomp)

  // client: sessions kept to the server, 1..65535; none: one, and up to kMaxAutoSessions while they are
  // saturated
  std::optional<std::uint32_t> conn = 1;
  Duration fold_after = seconds(30);    // how long a further session may be idle; no option, tests shorten it
  Duration autoexpire{0};               // client: age at which a session takes no new streams, 0: never
  std::optional<Duration> scavengettl;  // client: how long an expired session may live on, none: for ever
  Duration closewait{0};                // how long a connection whose one end is gone may drain
  // How long a half-closed connection may be idle whose peer is not known to be ours; no option, tests
  // shorten it.
  Duration half_closed_idle = seconds(300);
  std::uint32_t max_sessions = 32768;  // server: conversations on all loops together, 1..1048576
  std::uint64_t ratelimit = 0;         // bytes of UDP payload per second and session, 0: unlimited
  std::uint8_t dscp = 0;               // 0..63
  std::uint32_t sockbuf = 4194304;     // bytes, each of send and receive
  UdpOffload udp_offload = UdpOffload::kAuto;
  bool qpp = false;
  std::uint16_t qpp_count = 61;  // pads, 1..65535
  bool tcp = false;

  // client: of the sockets to the server, see socket_options.h
  std::string bind_address;  // a literal IPv4 or IPv6 address, "": by the route
  std::string interface;     // 1..15 bytes, "": any
  std::uint32_t fwmark = 0;  // SO_MARK, 0: none

  std::string snmplog;     // a file name in Go's time layout, "": none
  Duration snmpperiod{0};  // 0: none
  LogSettings log;
  bool quiet = false;
  bool pprof = false;
  std::optional<Address> status;  // where the status is served: TCP or unix, none: nowhere
  std::string status_token;       // "": whoever reaches the address may look
  std::uint32_t threads = 0;      // loops, 0: one per core
  std::uint32_t memory = 0;       // MiB for unread bytes of all sessions, 0: by the machine
  std::string user;  // "NAME" or "NAME:GROUP" to become once the ports are bound, "": stay who we are
};

}  // namespace kcptun
