// Any bytes as a request at the front of a stream: in one piece and in pieces of any size, the reader comes
// to the same outcome, and takes the same bytes.
#include <algorithm>
#include <optional>

#include "core/base/check.h"
#include "core/proxy/request_reader.h"
#include "tests/fuzz/input.h"

using namespace kcptun;
using namespace kcptun::test;

namespace {

struct Outcome {
  RequestReader::State state;
  std::size_t taken = 0;
  std::vector<std::uint8_t> replies;
  std::optional<ProxyRequest> request;
};

void check_address(const Socks5Address& address) {
  KCPTUN_CHECK(address.name.size() <= Socks5Address::kMaxName);
  std::vector<std::uint8_t> bytes(socks5_address_size(address));
  KCPTUN_CHECK(write_socks5_address(address, bytes) == bytes.size());
  const Socks5AddressInput again = read_socks5_address(bytes);
  KCPTUN_CHECK(again.status == Socks5AddressStatus::kComplete && again.size == bytes.size());
  KCPTUN_CHECK(again.address == address);
}

Outcome read(Bytes input, RequestReader::Accepted accepted, std::size_t piece) {
  RequestReader reader(accepted);
  Outcome outcome{};
  while (outcome.taken < input.size() && reader.state() == RequestReader::State::kReading) {
    const std::size_t size = std::min(piece, input.size() - outcome.taken);
    const std::vector<std::uint8_t> exact(input.begin() + static_cast<std::ptrdiff_t>(outcome.taken),
                                          input.begin() + static_cast<std::ptrdiff_t>(outcome.taken + size));
    const std::size_t taken = reader.handle_input(exact);
    KCPTUN_CHECK(taken <= size);
    KCPTUN_CHECK(taken == size || reader.state() != RequestReader::State::kReading);
    outcome.taken += taken;
    const std::vector<std::uint8_t> reply = reader.take_reply();
    outcome.replies.insert(outcome.replies.end(), reply.begin(), reply.end());
  }
  outcome.state = reader.state();
  if (outcome.state == RequestReader::State::kComplete) outcome.request = reader.request();
  return outcome;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input input(data, size);
  const auto accepted = static_cast<RequestReader::Accepted>(input.u8() % 6);
  const std::size_t piece = 1 + input.below(64);
  const std::vector<std::uint8_t> bytes = input.rest();
  const Outcome whole = read(bytes, accepted, std::max<std::size_t>(bytes.size(), 1));
  const Outcome split = read(bytes, accepted, piece);
  KCPTUN_CHECK(whole.state == split.state && whole.replies == split.replies);
  KCPTUN_CHECK(whole.request.has_value() == split.request.has_value());
  KCPTUN_CHECK(whole.replies.size() < 1024);
  if (!whole.request) return 0;
  KCPTUN_CHECK(whole.taken == split.taken);
  KCPTUN_CHECK(whole.request->destination == split.request->destination);
  check_address(whole.request->destination);
  return 0;
}
