#include "daemon/net/faketcp/firewall.h"

#include <nftables/libnftables.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <sstream>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "daemon/net/address.h"
#include "tests/daemon/own_network.h"

namespace kcptun::firewall_test {
namespace {

// A context of the test's own, as `nft` has.
std::string nft(const std::string& command) {
  nft_ctx* context = nft_ctx_new(NFT_CTX_DEFAULT);
  nft_ctx_buffer_output(context);
  CHECK(nft_run_cmd_from_buffer(context, command.c_str()) == 0);
  std::string output = nft_ctx_get_output_buffer(context);
  nft_ctx_free(context);
  return output;
}

std::vector<std::string> tables() {
  std::istringstream words(nft("list tables"));
  std::vector<std::string> names;
  for (std::string table, family, name; words >> table >> family >> name;) names.push_back(name);
  return names;
}

std::size_t count_rules() {
  const std::string text = nft("list ruleset");
  std::size_t rules = 0;
  for (std::size_t at = text.find(" drop"); at != text.npos; at = text.find(" drop", at + 1)) ++rules;
  return rules;
}

void add_table(const std::string& name) { nft("add table inet " + name); }

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
    if (firewall && (*firewall)->suppress_kernel_segments_of(4000, 4000))
      (void)!::write(ends[1], name.data(), name.size());
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
      auto ipv6 =
          (*firewall)->suppress_kernel_segments(*parse_endpoint("[::1]:1"), *parse_endpoint("[::2]:2"));
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

}  // namespace kcptun::firewall_test
