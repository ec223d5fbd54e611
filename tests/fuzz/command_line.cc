// Any words as the arguments of either program; they are parted by bytes 0.
#include "tests/fuzz/input.h"
#include "tests/fuzz/start.h"

using namespace kcptun;
using namespace kcptun::test;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input input(data, size);
  const std::uint8_t how = input.u8();
  CommandInput command{.role = how & 1 ? Role::kServer : Role::kClient};
  if (how & 2) command.environment_key = input.text();
  while (!input.empty()) command.arguments.push_back(input.text());
  start(command, "{\"mtu\": 1400}");
  return 0;
}
