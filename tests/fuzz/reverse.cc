// Any text as a reverse forward and as listen rules: one clear error, or a value that reads back as the same.
#include "config/reverses.h"
#include "core/base/check.h"
#include "tests/fuzz/input.h"

using namespace kcptun;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const Result<Reverse> reverse = parse_reverse(text);
  if (reverse) {
    const Result<Reverse> again = parse_reverse(to_text(reverse.value()));
    KCPTUN_CHECK(again.ok() && again.value() == reverse.value());
  } else {
    KCPTUN_CHECK(!reverse.error().empty() && reverse.error().find('\n') == std::string::npos);
  }
  const auto rules = parse_listen_rules(text);
  if (!rules) {
    KCPTUN_CHECK(!rules.error().empty() && rules.error().find('\n') == std::string::npos);
    return 0;
  }
  for (const DialRule& rule : rules.value())
    KCPTUN_CHECK(rule.kind == DialRule::Kind::kAny || rule.kind == DialRule::Kind::kNetwork);
  return 0;
}
