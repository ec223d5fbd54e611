// Any environment of a shadowsocks plugin (SIP003): its five variables, parted by bytes 0.
#include "config/plugin.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/start.h"

using namespace kcptun;
using namespace kcptun::test;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input input(data, size);
  const std::uint8_t how = input.u8();
  CommandInput command{.role = how & 1 ? Role::kServer : Role::kClient};
  PluginEnvironment& plugin = command.plugin;
  plugin.remote_host = how & 2 ? input.text() : "192.0.2.1";
  plugin.remote_port = how & 4 ? input.text() : "29900";
  plugin.local_host = how & 8 ? input.text() : "127.0.0.1";
  plugin.local_port = how & 16 ? input.text() : "1080";
  plugin.options = input.text();
  const Result<std::vector<PluginOption>> options = split_plugin_options(*plugin.options);
  if (options) {
    for (const PluginOption& option : options.value()) KCPTUN_CHECK(!option.name.empty());
  } else {
    KCPTUN_CHECK(!options.error().empty());
  }
  start(command);
  return 0;
}
