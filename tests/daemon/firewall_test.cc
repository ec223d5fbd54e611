#include "daemon/net/faketcp/firewall.h"

#include <linux/netfilter/nf_tables.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "daemon/net/address.h"
#include "tests/daemon/own_network.h"

namespace kcptun {
namespace {

std::string text_of(Bytes value) {
  return {reinterpret_cast<const char*>(value.data()), value.empty() ? 0 : value.size() - 1};
}

std::vector<std::string> tables() {
  std::vector<std::string> names;
  Result<NftSocket> socket = NftSocket::open();
  CHECK(socket->dump({NFT_MSG_GETTABLE, 0, {}}, [&names](std::uint16_t, Bytes attributes) {
    names.push_back(text_of(find_attribute(attributes, NFTA_TABLE_NAME).value()));
  }) == 0);
  return names;
}

std::size_t count_rules() {
  std::size_t rules = 0;
  Result<NftSocket> socket = NftSocket::open();
  CHECK(socket->dump({NFT_MSG_GETRULE, 0, {}}, [&rules](std::uint16_t, Bytes) { ++rules; }) == 0);
  return rules;
}

void add_table(const std::string& name) {
  Result<NftSocket> socket = NftSocket::open();
  NftRequest request{NFT_MSG_NEWTABLE, NLM_F_CREATE, {}};
  request.attributes.text(NFTA_TABLE_NAME, name).number(NFTA_TABLE_FLAGS, 0);
  CHECK(socket->transact({request}) == 0);
}

bool has(const std::vector<std::string>& names, const std::string& name) {
  return std::ranges::find(names, name) != names.end();
}

// Starts a child that creates a firewall of the given kind, and kills it. Returns its table's name.
std::string table_of_killed(Firewall::Owner owner) {
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  const pid_t child = ::fork();
  if (child == 0) {
    Result<std::unique_ptr<Firewall>> firewall = Firewall::open(owner);
    const std::string name = firewall ? (*firewall)->table() : "";
    if (firewall && (*firewall)->suppress_kernel_segments_of(4000, 4000)) (void)!::write(ends[1], name.data(), name.size());
    ::raise(SIGKILL);
  }
  ::close(ends[1]);
  char buffer[256];
  const ssize_t size = ::read(ends[0], buffer, sizeof buffer);
  ::close(ends[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  CHECK(WIFSIGNALED(status));
  return {buffer, static_cast<std::size_t>(std::max<ssize_t>(size, 0))};
}

}  // namespace

TEST_CASE("a rule is there for as long as its object, and the table for as long as the firewall") {
  test::in_own_network([] {
    Result<std::unique_ptr<Firewall>> firewall = Firewall::open();
    REQUIRE(firewall);
    CHECK(tables() == std::vector{(*firewall)->table()});
    {
      auto ports = (*firewall)->suppress_kernel_segments_of(3000, 3100);
      REQUIRE(ports);
      CHECK(count_rules() == 2);  // one per family
      auto ipv4 =
          (*firewall)->suppress_kernel_segments(*parse_endpoint("10.0.0.1:1"), *parse_endpoint("10.0.0.2:2"));
      auto ipv6 = (*firewall)->suppress_kernel_segments(*parse_endpoint("[::1]:1"), *parse_endpoint("[::2]:2"));
      REQUIRE((ipv4 && ipv6));
      CHECK(count_rules() == 4);
      { const FirewallRule gone = std::move(*ipv4); }
      CHECK(count_rules() == 3);
    }
    CHECK(count_rules() == 0);
    firewall->reset();
    CHECK(tables().empty());
  });
}

TEST_CASE("the kernel removes the table of a killed process, or the next start does") {
  test::in_own_network([] {
    CHECK(table_of_killed(Firewall::Owner::kSocket).starts_with("kcptun-uv-"));
    CHECK(tables().empty());  // removed when the process has ended
    const std::string stale = table_of_killed(Firewall::Owner::kProcess);
    REQUIRE(tables() == std::vector{stale});
    CHECK(is_stale_table(stale));
    Result<std::unique_ptr<Firewall>> next = Firewall::open();
    REQUIRE(next);
    CHECK(tables() == std::vector{(*next)->table()});
  });
}

TEST_CASE("nobody else's table is taken for stale: other names, living processes, other PID namespaces") {
  test::in_own_network([] {
    Result<std::unique_ptr<Firewall>> living = Firewall::open(Firewall::Owner::kProcess);
    REQUIRE(living);
    const std::string own = (*living)->table();
    std::vector<std::string> others{"filter",
                                    "kcptun-uv",
                                    "kcptun-uv-",
                                    "kcptun-uv-1-2-3",
                                    "kcptun-uv-1-2-3-x",
                                    "kcptun-uv-1-99999999-3-4",
                                    own + "-1",
                                    "x" + own};
    for (const std::string& name : others) {
      CHECK_FALSE(is_stale_table(name));
      add_table(name);
    }
    CHECK_FALSE(is_stale_table(own));
    Result<std::unique_ptr<Firewall>> next = Firewall::open();
    REQUIRE(next);
    CHECK((*next)->table() != own);
    const auto names = tables();
    CHECK(names.size() == others.size() + 2);
    for (const std::string& name : others) CHECK(has(names, name));
    CHECK(has(names, own));
  });
}

TEST_CASE("attributes are found behind others, and lengths that lie are refused") {
  NetlinkAttributes attributes;
  attributes.text(1, "name").number(2, 0x01020304);
  const Bytes whole = attributes.bytes();
  CHECK(text_of(find_attribute(whole, 1).value()) == "name");
  CHECK(find_attribute(whole, 2)->size() == 4);
  CHECK((*find_attribute(whole, 2))[0] == 1);
  CHECK_FALSE(find_attribute(whole, 3));
  for (std::size_t size = 0; size < whole.size(); ++size) CHECK_FALSE(find_attribute(whole.first(size), 2));
  std::vector<std::uint8_t> lies(whole.begin(), whole.end());
  for (int length : {0, 3, 255}) {
    lies[0] = static_cast<std::uint8_t>(length);
    CHECK_FALSE(find_attribute(lies, 2));
  }
}

}  // namespace kcptun
