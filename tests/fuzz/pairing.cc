// Any text as a pairing string: never accepted unless its length and checksum fit, never taken for more than
// a profile.
#include "config/pairing.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/start.h"

using namespace kcptun;
using namespace kcptun::test;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  for (const Role role : {Role::kClient, Role::kServer}) {
    const std::string whole = std::string(kPairingScheme) + "v1/" + text;
    for (const std::string& candidate : {text, whole}) {
      const Result<std::string> json = decode_pairing(candidate, role);
      KCPTUN_CHECK(json || !json.error().empty());
      start({.role = role, .arguments = {"-c", candidate}}, text);
    }
  }
  return 0;
}
