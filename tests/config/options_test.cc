#include "config/options.h"

#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "config/render.h"
#include "tests/config/support.h"

namespace kcptun::test::options_test {
namespace {

constexpr auto kRoles = {Role::kClient, Role::kServer};

/// A value that the option accepts and this version does, as flag text.
std::string good_text(const Option& option, Role role) {
  if (option.kind == OptionKind::kSwitch) return "false";
  const std::string preset(option.default_for(role));
  if (option.kind == OptionKind::kText) return option.id == OptionId::kLog ? "/tmp/x.log" : "";
  return preset;
}

std::string as_json(const Option& option, const std::string& text) {
  const bool no_quotes = option.kind == OptionKind::kSwitch || option.kind == OptionKind::kNumber;
  return no_quotes ? text : nlohmann::json(text).dump();
}

TEST_CASE("Every option of the table is accepted on the command line, by flag and alias") {
  for (const auto role : kRoles) {
    for (const auto& option : all_options()) {
      if (!option.applies_to(role)) continue;
      INFO(option.flag);
      for (const auto name : {option.flag, option.alias.empty() ? option.flag : option.alias}) {
        CHECK(refusal_line(run_flags({'-' + std::string(name) + '=' + good_text(option, role)}, role)) ==
              "not refused");
      }
    }
  }
}

TEST_CASE("Every field of the table is accepted from JSON without a warning") {
  for (const auto role : kRoles) {
    for (const auto& option : all_options()) {
      if (!option.applies_to(role) || option.json.empty()) continue;
      if (option.id == OptionId::kKey || option.id == OptionId::kKeyFile) continue;
      const auto text = "{\"key\": \"k\", \"" + std::string(option.json) +
                        "\": " + as_json(option, good_text(option, role)) + "}";
      INFO(text);
      CHECK(warnings_of(run_json(text, role)).empty());
    }
  }
}

TEST_CASE("Every option of the table is in the help and in the Markdown table") {
  const auto markdown = printed(run_flags({"--help-markdown"}));
  for (const auto role : kRoles) {
    const auto help = printed(run_flags({"--help"}, role));
    for (const auto& option : all_options()) {
      if (option.group == OptionGroup::kHidden || !option.applies_to(role)) continue;
      const std::string flag = (option.flag.size() == 1 ? "  -" : "  --") + std::string(option.flag);
      INFO(flag);
      CHECK((help.find(flag + ' ') != std::string::npos || help.find(flag + ',') != std::string::npos));
      CHECK(markdown.find("| `" + flag.substr(2)) != std::string::npos);
    }
    CHECK(help.find("help-markdown") == std::string::npos);
  }
}

TEST_CASE("The help fits 80 columns") {
  for (const auto role : kRoles) {
    std::istringstream lines(render_help(role));
    for (std::string line; std::getline(lines, line);) {
      INFO(line);
      CHECK(line.size() <= 80);
      CHECK_FALSE(line.ends_with(' '));
    }
  }
}

TEST_CASE("Each Markdown row has six cells") {
  std::istringstream lines(render_markdown());
  for (std::string line; std::getline(lines, line);) {
    INFO(line);
    CHECK(std::count(line.begin(), line.end(), '|') == 7);
  }
}

TEST_CASE("Every option of the table is in the manual page's list, and every field in the file's") {
  const auto fields = printed(run_flags({"--help-man-json"}));
  for (const auto role : kRoles) {
    const auto flags = printed(run_flags({"--help-man"}, role));
    for (const auto& option : all_options()) {
      INFO(option.flag);
      const std::string dash = option.flag.size() == 1 ? "" : "-";
      std::size_t entries = 0;
      for (const auto* end : {"\n", " "}) {
        if (flags.find(".It Fl " + dash + std::string(option.flag) + end) != std::string::npos) ++entries;
      }
      CHECK(entries == (option.group != OptionGroup::kHidden && option.applies_to(role) ? 1 : 0));
      if (option.json.empty()) continue;
      CHECK(fields.find(".It Cm " + std::string(option.json) + " Pq ") != std::string::npos);
    }
  }
}

TEST_CASE("Each line of the manual pages' lists is a known macro or text, and no default is lost") {
  for (const auto& text : {render_man(Role::kClient), render_man(Role::kServer), render_man_json()}) {
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
      INFO(line);
      REQUIRE_FALSE(line.empty());
      CHECK(line.front() != '\'');
      if (line.front() != '.') continue;
      CHECK((line.starts_with(".Ss ") || line.starts_with(".Bl ") || line == ".El" ||
             line.starts_with(".It ") || line.starts_with(".Ql ")));
    }
  }
  CHECK(render_man(Role::kServer).find("The default is\n.Ql \"1024\" .\n") != std::string::npos);
  CHECK(render_man_json().find(".Ql \"128\"\non the client and\n.Ql \"1024\"\non the server.\n") !=
        std::string::npos);
  CHECK(render_man_json().find(".It Cm conn Pq number, client only\n") != std::string::npos);
}

TEST_CASE("No two options of a program share a name, and every default is in range") {
  for (const auto role : kRoles) {
    std::set<std::string_view> flags, fields;
    for (const auto& option : all_options()) {
      if (!option.applies_to(role)) continue;
      INFO(option.flag);
      CHECK(flags.insert(option.flag).second);
      CHECK((option.alias.empty() || flags.insert(option.alias).second));
      CHECK((option.json.empty() || fields.insert(option.json).second));
      if (option.kind == OptionKind::kNumber) {
        CHECK(option.range.contains(Settings(role).number(option.id)));
      }
    }
  }
}

TEST_CASE("kcptun's names and defaults are all there") {
  const auto check = fields_of(printed(run_flags({"--check"})));
  const auto client = nlohmann::json::parse(
      R"json({"localaddr": ":12948", "localaddr-mode": "", "localaddr-group": "", "remoteaddr": "vps:29900", "key": "(hidden)",
    "crypt": "aes", "mode": "fast", "qpp": false, "qpp-count": 61, "conn": "auto", "autoexpire": 0, "scavengettl": 600,
    "mtu": 1350, "ratelimit": 0, "sndwnd": "auto", "rcvwnd": "auto", "datashard": 10, "parityshard": 3, "cc": "auto", "thin": "auto", "fec": "adaptive", "dscp": 0,
    "nocomp": false, "acknodelay": false, "nodelay": 0, "interval": 30, "resend": 2, "nc": 1, "sockbuf": 4194304, "udp-offload": "auto",
    "smuxver": 2, "smuxbuf": "auto", "framesize": 8192, "streambuf": "auto", "keepalive": 10, "closewait": 0,
    "name": "", "log": "", "log-level": "info", "log-format": "text", "log-utc": false, "snmplog": "", "snmpperiod": 60, "quiet": false, "tcp": false, "pprof": false,
    "status": "", "status-token": "", "threads": 0, "memory": 0,
    "key-file": "", "private-key": "", "private-key-file": "", "server-key": "", "user": "", "max-streams": 65536,
    "forwards": [], "reverses": [], "bind": "", "interface": "", "fwmark": 0, "hop": 0})json");
  CHECK(check == client);
  auto server = client;
  for (const auto* field :
       {"localaddr", "localaddr-mode", "localaddr-group", "remoteaddr", "conn", "autoexpire", "scavengettl",
        "forwards", "reverses", "server-key", "bind", "interface", "fwmark", "hop"})
    server.erase(field);
  server.update(nlohmann::json::parse(
      R"({"listen": ":29900", "target": "127.0.0.1:12948", "allow": [], "deny": [], "allow-listen": [], "proxy-protocol": "off",
          "closewait": 30, "public-address": "", "users": [], "users-file": "", "quota-file": "",
          "max-sessions": 32768})"));
  CHECK(fields_of(printed(run_flags({"--check"}, Role::kServer))) == server);
}

}  // namespace
}  // namespace kcptun::test::options_test
