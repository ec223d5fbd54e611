#include "daemon/net/faketcp/firewall.h"

#include <linux/capability.h>
#include <nftables/libnftables.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>
#include <iterator>
#include <optional>
#include <sstream>

#include "daemon/net/address.h"

namespace kcptun {
namespace {

constexpr std::string_view kPrefix = "kcptun-uv-";
constexpr std::string_view kChain = "output";

std::uint64_t pid_namespace() {
  struct stat info {};
  return ::stat("/proc/self/ns/pid", &info) == 0 ? info.st_ino : 0;
}

// In clock ticks since the system started (field 22 of /proc/PID/stat, proc(5)). It distinguishes two
// processes with the same id.
std::optional<std::uint64_t> start_of(std::uint64_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  std::size_t at = text.rfind(')');  // the command name before it may contain any character
  if (at == std::string::npos) return std::nullopt;
  for (int field = 2; field < 22 && at != std::string::npos; ++field) at = text.find(' ', at + 1);
  std::uint64_t ticks = 0;
  if (at == std::string::npos ||
      std::from_chars(text.data() + at + 1, text.data() + text.size(), ticks).ec != std::errc())
    return std::nullopt;
  return ticks;
}

// A process may have several tables, one for each Firewall.
std::string table_name() {
  static std::atomic<std::uint64_t> number{0};
  const auto pid = static_cast<std::uint64_t>(getpid());
  return std::string(kPrefix) + std::to_string(pid_namespace()) + "-" + std::to_string(pid) + "-" +
         std::to_string(start_of(pid).value_or(0)) + "-" + std::to_string(number++);
}

// Parses the four numbers of a name that table_name() made.
std::optional<std::array<std::uint64_t, 4>> parse_table_name(std::string_view name) {
  if (!name.starts_with(kPrefix)) return std::nullopt;
  name.remove_prefix(kPrefix.size());
  std::array<std::uint64_t, 4> numbers{};
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), numbers[i]);
    if (error != std::errc()) return std::nullopt;
    name.remove_prefix(static_cast<std::size_t>(end - name.data()));
    const bool last = i + 1 == numbers.size();
    if (last != name.empty() || (!last && name.front() != '-')) return std::nullopt;
    if (!last) name.remove_prefix(1);
  }
  return numbers;
}

// Without the capability, libnftables writes to standard error, so the capability is checked first.
bool may_administer_network() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> sets{};
  return syscall(SYS_capget, &header, sets.data()) == 0 && (sets[0].effective >> CAP_NET_ADMIN & 1) != 0;
}

// The address in the form of a rule, without brackets and port.
std::string ip_text(const IpEndpoint& endpoint) {
  IpEndpoint address = endpoint;
  address.port = 0;
  std::string text = to_string(address);
  text.erase(text.rfind(':'));
  return text.front() == '[' ? text.substr(1, text.size() - 2) : text;
}

// libnftables prints the error, the command and a marker below it. The first line is the error.
std::string first_error(std::string_view output) {
  constexpr std::string_view kBegin = "Error: ";
  const std::size_t at = output.find(kBegin);
  if (at != output.npos) output.remove_prefix(at + kBegin.size());
  return std::string(output.substr(0, output.find('\n')));
}

// With NFT_CTX_OUTPUT_HANDLE, the echo of a new rule ends with "# handle 7".
std::optional<std::uint64_t> handle_in(std::string_view output) {
  constexpr std::string_view kBegin = "# handle ";
  const std::size_t at = output.rfind(kBegin);
  if (at == output.npos) return std::nullopt;
  output.remove_prefix(at + kBegin.size());
  std::uint64_t handle = 0;
  if (std::from_chars(output.data(), output.data() + output.size(), handle).ec != std::errc())
    return std::nullopt;
  return handle;
}

}  // namespace

bool is_stale_table(std::string_view name) {
  const auto numbers = parse_table_name(name);
  if (!numbers) return false;
  const auto [space, pid, start, port] = *numbers;
  if (space == 0 || space != pid_namespace() || !start_of(static_cast<std::uint64_t>(getpid()))) return false;
  return start_of(pid) != start;
}

FirewallRule::~FirewallRule() {
  if (firewall_) firewall_->remove(handle_);
}

void Firewall::FreeContext::operator()(nft_ctx* context) const { nft_ctx_free(context); }

Firewall::Firewall() : context_(nft_ctx_new(NFT_CTX_DEFAULT)), table_(table_name()) {}

Result<std::unique_ptr<Firewall>> Firewall::open(Owner owner) {
  if (!may_administer_network())
    return Error{std::string("firewall rules (nftables): ") + std::strerror(EPERM)};
  std::unique_ptr<Firewall> firewall(new Firewall());
  nft_ctx* context = firewall->context_.get();
  if (!context || nft_ctx_buffer_output(context) != 0 || nft_ctx_buffer_error(context) != 0)
    return Error{"libnftables does not start"};
  nft_ctx_output_set_flags(context, NFT_CTX_OUTPUT_ECHO | NFT_CTX_OUTPUT_HANDLE | NFT_CTX_OUTPUT_NUMERIC_ALL);
  if (Result<bool> removed = firewall->remove_stale_tables(); !removed) return Error{removed.error()};
  firewall->owned_ = owner == Owner::kSocket;
  Result<bool> made = firewall->make_table(firewall->owned_);
  if (!made && firewall->owned_) {  // Linux before 5.12 rejects the flag
    firewall->owned_ = false;
    made = firewall->make_table(false);
  }
  if (!made) return Error{made.error()};
  return firewall;
}

// The error cannot be reported any more. The next start removes the table.
Firewall::~Firewall() {
  if (context_) (void)run("delete table inet " + table_);
}

Result<std::string> Firewall::run(const std::string& command) {
  const bool ran = nft_run_cmd_from_buffer(context_.get(), command.c_str()) == 0;
  std::string output = nft_ctx_get_output_buffer(context_.get());
  const std::string errors = nft_ctx_get_error_buffer(context_.get());
  if (!ran) return Error{"the kernel refuses a firewall rule (nftables): " + first_error(errors)};
  return output;
}

Result<bool> Firewall::remove_stale_tables() {
  Result<std::string> listed = run("list tables inet");
  if (!listed) return Error{listed.error()};
  std::istringstream words(*listed);  // "table inet NAME" for each, followed by its handle
  for (std::string word; words >> word;) {
    if (!is_stale_table(word)) continue;
    if (Result<std::string> removed = run("delete table inet " + word); !removed)
      return Error{removed.error()};
  }
  return true;
}

// One transaction, so that the table always has its chain.
Result<bool> Firewall::make_table(bool owned) {
  std::string command = "add table inet " + table_;
  command.append(owned ? " { flags owner; }\n" : "\n");
  command.append("add chain inet " + table_ + " ").append(kChain);
  command.append(" { type filter hook output priority 0; policy accept; }");
  if (Result<std::string> made = run(command); !made) return Error{made.error()};
  return true;
}

Result<std::vector<FirewallRule>> Firewall::suppress_kernel_segments_of(std::uint16_t port_min,
                                                                        std::uint16_t port_max) {
  std::vector<FirewallRule> rules;
  const std::string ports =
      " tcp sport " + std::to_string(port_min) + "-" + std::to_string(port_max) + " drop";
  for (const char* dying : {"ip ttl 1", "ip6 hoplimit 1"}) {
    Result<FirewallRule> added = add(dying + ports);
    if (!added) return Error{added.error()};
    rules.push_back(std::move(*added));
  }
  return rules;
}

Result<FirewallRule> Firewall::suppress_kernel_segments(const IpEndpoint& local, const IpEndpoint& remote) {
  const std::string ip = is_ipv4(remote) ? "ip" : "ip6";
  std::string rule = ip + (is_ipv4(remote) ? " ttl 1 " : " hoplimit 1 ");
  rule.append(ip + " saddr " + ip_text(local) + " " + ip + " daddr " + ip_text(remote));
  rule.append(" tcp sport " + std::to_string(local.port) + " tcp dport " + std::to_string(remote.port) +
              " drop");
  return add(rule);
}

Result<FirewallRule> Firewall::add(const std::string& rule) {
  const std::lock_guard lock(mutex_);
  Result<std::string> echoed = run("add rule inet " + table_ + " " + std::string(kChain) + " " + rule);
  if (!echoed) return Error{echoed.error()};
  const std::optional<std::uint64_t> handle = handle_in(*echoed);
  if (!handle) return Error{"libnftables returns no handle of a firewall rule"};
  return FirewallRule(*this, *handle);
}

// A rule that cannot be removed is removed with the table.
void Firewall::remove(std::uint64_t handle) {
  const std::lock_guard lock(mutex_);
  (void)run("delete rule inet " + table_ + " " + std::string(kChain) + " handle " + std::to_string(handle));
}

}  // namespace kcptun
