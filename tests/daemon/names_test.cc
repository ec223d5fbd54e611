// Name resolution from the system's files, and from a hand-written name server that can stop answering.
#include <sys/socket.h>

#include <cstring>

#include "daemon/io/name_lookup.h"
#include "tests/daemon/daemon_harness.h"

namespace kcptun::names_test {
namespace {

using test::loopback;
using test::PlainLoop;

bool contains(const std::string& text, const std::string& word) {
  return text.find(word) != std::string::npos;
}

IpEndpoint ip(const char* text, std::uint16_t port = 0) { return parse_ip(text, port).value(); }

/// Returns 192.0.2.7 for names that begin with "good" and an error for those that begin with "bad". Does not
/// answer other queries.
class NameServer {
 public:
  NameServer() : fd_(::socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)) {
    const SocketAddress name = to_sockaddr(loopback());
    REQUIRE(::bind(fd_.get(), name.get(), name.size) == 0);
  }
  NameLookup::Servers servers() const { return {"127.0.0.1:" + std::to_string(test::port_of(fd_.get()))}; }
  void step() {
    char query[512];
    sockaddr_in from{};
    socklen_t size = sizeof from;
    for (ssize_t n; (n = ::recvfrom(fd_.get(), query, sizeof query, 0, reinterpret_cast<sockaddr*>(&from),
                                    &size)) > 0;) {
      ++asked;
      const std::string answer = answer_to(std::string(query, static_cast<std::size_t>(n)));
      if (!answer.empty())
        ::sendto(fd_.get(), answer.data(), answer.size(), 0, reinterpret_cast<const sockaddr*>(&from), size);
    }
  }
  int asked = 0;

 private:
  static constexpr std::size_t kHeader = 12;
  static constexpr char kTypeA = 1;
  // RFC 1035 section 4: repeats the question and appends one record that points to the question's name.
  static std::string answer_to(const std::string& query) {
    const bool good = query.compare(kHeader + 1, 4, "good") == 0;
    const bool bad = query.compare(kHeader + 1, 3, "bad") == 0;
    if (!good && !bad) return {};
    const std::size_t end = query.find('\0', kHeader) + 1 + 4;  // name, type, class
    std::string answer = query.substr(0, end);
    const bool has_record = good && query[end - 3] == kTypeA;
    answer[2] = '\x81';                 // a response, recursion desired
    answer[3] = bad ? '\x83' : '\x80';  // NXDOMAIN or no error
    answer[7] = has_record ? 1 : 0;
    answer[11] = 0;  // no additional records
    if (has_record) answer += std::string("\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\xc0\0\2\7", 16);
    return answer;
  }
  FileDescriptor fd_;
};

struct Rig {
  template <typename Condition>
  bool until(Condition condition) {
    return loop.until([&] {
      server.step();
      return condition();
    });
  }
  std::unique_ptr<NameLookup> look_up(const std::string& name, NameLookup::Done done) {
    return std::make_unique<NameLookup>(loop.uv, name, 4000, std::move(done), server.servers());
  }
  PlainLoop loop;
  NameServer server;
};

}  // namespace

TEST_CASE("a literal asks nobody, and is told from the loop") {
  Rig rig;
  for (const char* literal : {"127.0.0.1", "::1", "2001:db8::7", ""}) {
    std::vector<IpEndpoint> found;
    const auto lookup =
        rig.look_up(literal, [&](NameLookup::Addresses addresses) { found = addresses.value(); });
    CHECK(found.empty());
    CHECK(rig.until([&] { return !found.empty(); }));
    CHECK(found == std::vector{ip(literal, 4000)});
  }
  CHECK(rig.server.asked == 0);
}

TEST_CASE("names of the hosts file and of name servers are resolved") {
  Rig rig;
  for (const char* name : {"localhost", "good.example"}) {
    std::optional<NameLookup::Addresses> found;
    const auto lookup =
        rig.look_up(name, [&](NameLookup::Addresses addresses) { found = std::move(addresses); });
    CHECK_FALSE(found);
    REQUIRE(rig.until([&] { return found.has_value(); }));
    if (!*found) FAIL(found->error());
    REQUIRE_FALSE((*found)->empty());
    for (const IpEndpoint& address : **found) CHECK(address.port == 4000);
    if (name == std::string("good.example")) CHECK(**found == std::vector{ip("192.0.2.7", 4000)});
  }
}

TEST_CASE("a name that is none, and one that cannot be, are errors that name it") {
  Rig rig;
  for (const std::string& name : {std::string("bad.example"), std::string(70, 'x') + ".invalid"}) {
    std::string error;
    const auto lookup =
        rig.look_up(name, [&](NameLookup::Addresses addresses) { error = addresses.error(); });
    REQUIRE(rig.until([&] { return !error.empty(); }));
    CHECK(contains(error, "cannot resolve " + name + ": "));
  }
}

TEST_CASE("a good name does not wait for dead ones, and the end waits for none") {
  Rig rig;
  int others = 0;
  std::vector<std::unique_ptr<NameLookup>> dead;
  for (int i = 0; i < 64; ++i)
    dead.push_back(
        rig.look_up("dead" + std::to_string(i) + ".example", [&](NameLookup::Addresses) { ++others; }));
  REQUIRE(rig.until([&] { return rig.server.asked >= 64; }));
  std::vector<IpEndpoint> found;
  auto good =
      rig.look_up("good.example", [&](NameLookup::Addresses addresses) { found = addresses.value(); });
  CHECK(rig.until([&] { return !found.empty(); }));
  CHECK(others == 0);  // the first query to a dead server ends after 6 s
  good.reset();
  dead.clear();
  int turns = 0;
  CHECK(rig.until([&] { return ++turns == 3; }));
  CHECK(uv_loop_alive(&rig.loop.uv) == 0);  // so that the loop's end waits for nothing
  CHECK(others == 0);
}

TEST_CASE("a name server that says nothing is given up after a time") {
  Rig rig;
  std::string error;
  const auto lookup =
      rig.look_up("dead.example", [&](NameLookup::Addresses addresses) { error = addresses.error(); });
  REQUIRE(rig.until([&] { return !error.empty(); }));
  CHECK(contains(error, "cannot resolve dead.example: Timeout"));
}

TEST_CASE("a lookup may be destroyed inside its own answer") {
  Rig rig;
  std::unique_ptr<NameLookup> lookup;
  bool told = false;
  lookup = rig.look_up("good.example", [&](NameLookup::Addresses) {
    lookup.reset();
    told = true;
  });
  CHECK(rig.until([&] { return told; }));
}

TEST_CASE("several names are answered in their order, the bad one too") {
  PlainLoop loop;
  NameLookups::Answers answers;
  NameLookups lookups(loop.uv, {{"127.0.0.1", 1}, {std::string(70, 'x') + ".invalid", 2}, {"localhost", 3}},
                      [&](NameLookups::Answers given) { answers = std::move(given); });
  REQUIRE(loop.until([&] { return !answers.empty(); }));
  REQUIRE(answers.size() == 3);
  CHECK(answers[0].value() == std::vector{ip("127.0.0.1", 1)});
  CHECK_FALSE(answers[1]);
  CHECK(answers[2].value().front().port == 3);
}

TEST_CASE("addresses are tried one family after the other, IPv4 first, each once") {
  CHECK(in_dialling_order({ip("::1"), ip("::2"), ip("127.0.0.1"), ip("::1"), ip("127.0.0.2"), ip("::3")}) ==
        std::vector{ip("127.0.0.1"), ip("::1"), ip("127.0.0.2"), ip("::2"), ip("::3")});
  CHECK(in_dialling_order({ip("::2"), ip("::1")}) == std::vector{ip("::2"), ip("::1")});
  std::vector<IpEndpoint> many;
  for (std::uint16_t port = 1; port <= NameLookup::kMaxAddresses + 1; ++port) many.push_back(loopback(port));
  CHECK(in_dialling_order(many).size() == NameLookup::kMaxAddresses);
}

TEST_CASE("the blocking lookup gives literals as they are, and names with at least one address") {
  CHECK(to_string(resolve("192.0.2.7", 4000).value().front()) == "192.0.2.7:4000");
  CHECK(to_string(resolve("", 4000).value().front()) == "[::]:4000");
  NameLookup::Addresses local = resolve("localhost", 4000);
  if (!local) FAIL(local.error());
  for (const IpEndpoint& address : *local) CHECK(address.port == 4000);
  const NameLookup::Addresses none = resolve(std::string(70, 'x'), 4000);
  REQUIRE_FALSE(none);
  CHECK(contains(none.error(), "cannot resolve xxx"));
}

}  // namespace kcptun::names_test
