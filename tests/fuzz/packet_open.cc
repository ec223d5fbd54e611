// Datagrams against every cipher suite: opening never reads or writes outside the packet, and what was sealed
// opens.
#include <array>
#include <memory>

#include "core/base/check.h"
#include "core/crypt/suite.h"
#include "tests/fuzz/input.h"

using namespace kcptun;
using namespace kcptun::test;

namespace {

Suite& suite_of(std::size_t cipher, Dispatch dispatch) {
  static const MasterKey key("fuzz");
  static std::array<std::array<std::unique_ptr<Suite>, 2>, kStandaloneCipherNames.size()> suites;
  std::unique_ptr<Suite>& suite = suites[cipher][dispatch == Dispatch::kPortable];
  static const std::array<std::uint8_t, 32> seed{1};
  if (!suite) suite = Suite::make(kStandaloneCipherNames[cipher].cipher, key, seed, dispatch);
  return *suite;
}

struct Batch {
  std::vector<std::vector<std::uint8_t>> buffers;
  std::vector<Packet> packets;
  void add(std::vector<std::uint8_t> bytes) { buffers.push_back(std::move(bytes)); }
  std::span<Packet> view() {
    packets.clear();
    for (auto& bytes : buffers) packets.push_back({bytes.data(), static_cast<std::uint32_t>(bytes.size())});
    return packets;
  }
};

void check_opened(const Suite& suite, const Batch& batch, std::size_t rejected) {
  const std::size_t before =
      suite.header_size() - suite.session_header_size();  // that header stays with the body
  std::size_t empty = 0;
  for (std::size_t i = 0; i < batch.packets.size(); ++i) {
    const Packet& packet = batch.packets[i];
    if (packet.size == 0) {
      ++empty;
      continue;
    }
    const auto& whole = batch.buffers[i];
    KCPTUN_CHECK(packet.size + before + suite.trailer_size() == whole.size());
    KCPTUN_CHECK(packet.data == whole.data() + before);
  }
  KCPTUN_CHECK(rejected <= empty);
}

void open_strangers(Suite& suite, Input& input) {
  Batch batch;
  while (!input.empty() && batch.buffers.size() < 40) batch.add(input.bytes(input.below(kMaxDatagram + 1)));
  check_opened(suite, batch, suite.open(batch.view()));
}

void open_own(Suite& suite, Input& input) {
  Batch batch;
  std::vector<std::vector<std::uint8_t>> bodies;
  const std::size_t overhead = suite.header_size() + suite.trailer_size();
  while (!input.empty() && bodies.size() < 40) {
    bodies.push_back(input.bytes(1 + input.below(static_cast<std::uint32_t>(kMaxDatagram - overhead))));
    if (bodies.back().empty()) bodies.back().push_back(0);
    std::vector<std::uint8_t> whole(bodies.back().size() + overhead);
    std::copy(bodies.back().begin(), bodies.back().end(),
              whole.begin() + static_cast<std::ptrdiff_t>(suite.header_size()));
    batch.add(std::move(whole));
  }
  suite.seal(batch.view());
  KCPTUN_CHECK(suite.open(batch.view()) == 0);
  for (std::size_t i = 0; i < bodies.size(); ++i)
    KCPTUN_CHECK(
        std::ranges::equal(batch.packets[i].bytes().subspan(suite.session_header_size()), bodies[i]));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input input(data, size);
  const std::size_t cipher = input.below(kStandaloneCipherNames.size());
  const std::uint8_t how = input.u8();
  Suite& suite = suite_of(cipher, how & 1 ? Dispatch::kPortable : Dispatch::kBest);
  how & 2 ? open_own(suite, input) : open_strangers(suite, input);
  return 0;
}
