// Any text as rules of --allow and --deny: a list of valid rules, or one error.
#include "config/dial_rules.h"
#include "core/base/check.h"
#include "tests/fuzz/input.h"

using namespace kcptun;
using namespace kcptun::test;

namespace {

void check_rule(const DialRule& rule) {
  KCPTUN_CHECK(rule.port_min <= rule.port_max);
  KCPTUN_CHECK(rule.tcp || rule.udp);
  const bool named = rule.kind == DialRule::Kind::kName || rule.kind == DialRule::Kind::kPattern;
  KCPTUN_CHECK(named == !rule.name.empty() && rule.name.size() <= 253);
  KCPTUN_CHECK(rule.name == comparable_name(rule.name) || rule.name.ends_with('.'));
  if (rule.kind == DialRule::Kind::kName) KCPTUN_CHECK(!ends_in_number(rule.name));
  if (rule.kind != DialRule::Kind::kNetwork) return;
  KCPTUN_CHECK(rule.network.bits <= 128);
  KCPTUN_CHECK(rule.network.contains(rule.network.address));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  const auto rules = parse_dial_rules(text);
  if (!rules) {
    KCPTUN_CHECK(rules.error().starts_with("has ") && rules.error().find('\n') == std::string::npos);
    return 0;
  }
  KCPTUN_CHECK(rules.value().size() <= kMaxDialRules);
  for (const DialRule& rule : rules.value()) check_rule(rule);
  return 0;
}
