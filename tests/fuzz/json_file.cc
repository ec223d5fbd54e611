// Any text as the JSON file of -c.
#include "config/json_file.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/start.h"

using namespace kcptun;
using namespace kcptun::test;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  for (const Role role : {Role::kClient, Role::kServer}) {
    const Result<FileSettings> settings = parse_json_settings(text, "x.json", role);
    if (!settings)
      KCPTUN_CHECK(!settings.error().empty() && settings.error().find('\n') == std::string::npos);
    start({.role = role, .arguments = {"-c", "x.json"}}, text);
  }
  return 0;
}
