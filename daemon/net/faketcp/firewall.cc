#include "daemon/net/faketcp/firewall.h"

#include <arpa/inet.h>
#include <endian.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <netinet/in.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <optional>
#include <vector>

#include "daemon/net/address.h"

namespace kcptun {
namespace {

constexpr std::string_view kPrefix = "kcptun-uv-";
constexpr std::string_view kChain = "silence";

// --- ownership of tables ---

std::uint64_t pid_namespace() {
  struct stat info {};
  return ::stat("/proc/self/ns/pid", &info) == 0 ? info.st_ino : 0;
}

// In clock ticks since boot (field 22 of stat in proc(5)). Distinguishes a process from a later one with the
// same id.
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

std::string table_name(std::uint32_t netlink_port) {
  const auto pid = static_cast<std::uint64_t>(getpid());
  return std::string(kPrefix) + std::to_string(pid_namespace()) + "-" + std::to_string(pid) + "-" +
         std::to_string(start_of(pid).value_or(0)) + "-" + std::to_string(netlink_port);
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

// --- expressions ---

template <typename T>
Bytes bytes_of(const T& value) {
  return {reinterpret_cast<const std::uint8_t*>(&value), sizeof value};
}

// The conditions of one rule as nf_tables expressions: load into register 1, compare, continue on a match.
class Expressions {
 public:
  Expressions& load_meta(std::uint32_t key) {
    NetlinkAttributes data;
    data.number(NFTA_META_KEY, key).number(NFTA_META_DREG, NFT_REG_1);
    return add("meta", data);
  }
  Expressions& load(nft_payload_bases base, std::uint32_t offset, std::uint32_t size) {
    NetlinkAttributes data;
    data.number(NFTA_PAYLOAD_DREG, NFT_REG_1).number(NFTA_PAYLOAD_BASE, base);
    data.number(NFTA_PAYLOAD_OFFSET, offset).number(NFTA_PAYLOAD_LEN, size);
    return add("payload", data);
  }
  Expressions& compare(nft_cmp_ops operation, Bytes value) {
    NetlinkAttributes wrapped, data;
    wrapped.raw(NFTA_DATA_VALUE, value);
    data.number(NFTA_CMP_SREG, NFT_REG_1).number(NFTA_CMP_OP, operation).nested(NFTA_CMP_DATA, wrapped);
    return add("cmp", data);
  }
  Expressions& equals(std::uint8_t value) { return compare(NFT_CMP_EQ, bytes_of(value)); }
  Expressions& drop() {
    NetlinkAttributes code, verdict, data;
    code.number(NFTA_VERDICT_CODE, NF_DROP);
    verdict.nested(NFTA_DATA_VERDICT, code);
    data.number(NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT).nested(NFTA_IMMEDIATE_DATA, verdict);
    return add("immediate", data);
  }
  const NetlinkAttributes& list() const { return list_; }

 private:
  Expressions& add(std::string_view name, const NetlinkAttributes& data) {
    NetlinkAttributes expression;
    expression.text(NFTA_EXPR_NAME, name).nested(NFTA_EXPR_DATA, data);
    list_.nested(NFTA_LIST_ELEM, expression);
    return *this;
  }
  NetlinkAttributes list_;
};

constexpr std::uint32_t kSourcePort = 0, kDestinationPort = 2;  // offsets in the TCP header

// "meta nfproto ipv4 meta l4proto tcp ip ttl 1", or the same for IPv6 and its hop limit.
Expressions dying_segments(bool ipv4) {
  Expressions rule;
  rule.load_meta(NFT_META_NFPROTO).equals(ipv4 ? NFPROTO_IPV4 : NFPROTO_IPV6);
  rule.load_meta(NFT_META_L4PROTO).equals(IPPROTO_TCP);
  rule.load(NFT_PAYLOAD_NETWORK_HEADER, ipv4 ? 8 : 7, 1).equals(1);
  return rule;
}

std::string refusal(int error) {
  std::string text = "the kernel refuses a firewall rule (nf_tables): ";
  text += std::strerror(error);
  return text;
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

Result<std::unique_ptr<Firewall>> Firewall::open(Owner owner) {
  Result<NftSocket> socket = NftSocket::open();
  if (!socket) return Error{socket.error()};
  std::vector<std::string> stale;
  socket->dump({NFT_MSG_GETTABLE, 0, {}}, [&stale](std::uint16_t, Bytes attributes) {
    const auto name = find_attribute(attributes, NFTA_TABLE_NAME);
    if (!name || name->empty()) return;
    // Without the terminating NUL.
    const std::string text(reinterpret_cast<const char*>(name->data()), name->size() - 1);
    if (is_stale_table(text)) stale.push_back(text);
  });
  for (const std::string& table : stale) {
    NftRequest request{NFT_MSG_DELTABLE, 0, {}};
    request.attributes.text(NFTA_TABLE_NAME, table);
    if (const int error = socket->transact({request}); error && error != ENOENT) return Error{refusal(error)};
  }
  std::string name = table_name(socket->port());
  std::unique_ptr<Firewall> firewall(new Firewall(std::move(*socket), std::move(name)));
  firewall->owned_ = owner == Owner::kSocket;
  int error = firewall->make_table(firewall->owned_);
  if (firewall->owned_ && (error == EOPNOTSUPP || error == EINVAL)) {  // Linux before 5.12
    firewall->owned_ = false;
    error = firewall->make_table(false);
  }
  if (error) return Error{refusal(error)};
  return firewall;
}

Firewall::~Firewall() {
  NftRequest request{NFT_MSG_DELTABLE, 0, {}};
  request.attributes.text(NFTA_TABLE_NAME, table_);
  socket_.transact({request});  // best effort: an error here has no caller to report to
}

int Firewall::make_table(bool owned) {
  NftRequest table{NFT_MSG_NEWTABLE, NLM_F_CREATE, {}};
  table.attributes.text(NFTA_TABLE_NAME, table_).number(NFTA_TABLE_FLAGS, owned ? NFT_TABLE_F_OWNER : 0);
  NetlinkAttributes hook;
  hook.number(NFTA_HOOK_HOOKNUM, NF_INET_LOCAL_OUT).number(NFTA_HOOK_PRIORITY, 0);
  NftRequest chain{NFT_MSG_NEWCHAIN, NLM_F_CREATE, {}};
  chain.attributes.text(NFTA_CHAIN_TABLE, table_).text(NFTA_CHAIN_NAME, kChain).nested(NFTA_CHAIN_HOOK, hook);
  chain.attributes.text(NFTA_CHAIN_TYPE, "filter").number(NFTA_CHAIN_POLICY, NF_ACCEPT);
  return socket_.transact({table, chain});
}

Result<std::vector<FirewallRule>> Firewall::suppress_kernel_segments_of(std::uint16_t port_min, std::uint16_t port_max) {
  std::vector<FirewallRule> rules;
  for (const bool ipv4 : {true, false}) {
    Expressions rule = dying_segments(ipv4);
    rule.load(NFT_PAYLOAD_TRANSPORT_HEADER, kSourcePort, 2);
    rule.compare(NFT_CMP_GTE, bytes_of(htons(port_min)))
        .compare(NFT_CMP_LTE, bytes_of(htons(port_max)))
        .drop();
    Result<FirewallRule> added = add(rule.list());
    if (!added) return Error{added.error()};
    rules.push_back(std::move(*added));
  }
  return rules;
}

Result<FirewallRule> Firewall::suppress_kernel_segments(const IpEndpoint& local, const IpEndpoint& remote) {
  const bool ipv4 = is_ipv4(remote);
  const std::size_t skipped = ipv4 ? 12 : 0;  // skip the prefix of a mapped address
  const Bytes source = Bytes(local.ip).subspan(skipped), destination = Bytes(remote.ip).subspan(skipped);
  const auto size = static_cast<std::uint32_t>(source.size());
  const std::uint32_t at = ipv4 ? 12 : 8;  // offset of the source address; the destination address follows
  Expressions rule = dying_segments(ipv4);
  rule.load(NFT_PAYLOAD_NETWORK_HEADER, at, size).compare(NFT_CMP_EQ, source);
  rule.load(NFT_PAYLOAD_NETWORK_HEADER, at + size, size).compare(NFT_CMP_EQ, destination);
  rule.load(NFT_PAYLOAD_TRANSPORT_HEADER, kSourcePort, 2).compare(NFT_CMP_EQ, bytes_of(htons(local.port)));
  rule.load(NFT_PAYLOAD_TRANSPORT_HEADER, kDestinationPort, 2)
      .compare(NFT_CMP_EQ, bytes_of(htons(remote.port)));
  rule.drop();
  return add(rule.list());
}

Result<FirewallRule> Firewall::add(const NetlinkAttributes& expressions) {
  NftRequest request{NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND | NLM_F_ECHO, {}};
  request.attributes.text(NFTA_RULE_TABLE, table_).text(NFTA_RULE_CHAIN, kChain);
  request.attributes.nested(NFTA_RULE_EXPRESSIONS, expressions);
  std::optional<std::uint64_t> handle;
  const std::lock_guard lock(mutex_);
  const int error = socket_.transact({request}, [&handle](std::uint16_t type, Bytes attributes) {
    const auto value = find_attribute(attributes, NFTA_RULE_HANDLE);
    if (type != NFT_MSG_NEWRULE || !value || value->size() != sizeof(std::uint64_t)) return;
    std::uint64_t number;
    std::memcpy(&number, value->data(), sizeof number);
    handle = be64toh(number);
  });
  if (error) return Error{refusal(error)};
  if (!handle) return Error{"the kernel names no handle of a firewall rule (nf_tables)"};
  return FirewallRule(*this, *handle);
}

void Firewall::remove(std::uint64_t handle) {
  NftRequest request{NFT_MSG_DELRULE, 0, {}};
  request.attributes.text(NFTA_RULE_TABLE, table_).text(NFTA_RULE_CHAIN, kChain);
  request.attributes.number64(NFTA_RULE_HANDLE, handle);
  const std::lock_guard lock(mutex_);
  socket_.transact({request});  // if this fails, the rule is removed with the table
}

}  // namespace kcptun
