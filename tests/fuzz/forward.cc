// Any text as a forward: one clear error, or a forward that reads back as the same.
#include "config/forwards.h"
#include "core/base/check.h"
#include "tests/fuzz/input.h"

using namespace kcptun;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const Result<Forward> forward = parse_forward(text);
  if (!forward) {
    KCPTUN_CHECK(!forward.error().empty() && forward.error().find('\n') == std::string::npos);
    return 0;
  }
  const Result<Forward> again = parse_forward(to_text(forward.value()));
  KCPTUN_CHECK(again.ok() && again.value() == forward.value());
  return 0;
}
