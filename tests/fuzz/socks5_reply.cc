// Any bytes as a server's answer to a request, in two pieces: the same end as in one, within the bound.
#include "core/base/check.h"
#include "core/proxy/socks5_client.h"
#include "tests/fuzz/input.h"

using namespace kcptun;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const Bytes input(data + 1, size - 1);
  Socks5ReplyReader whole;
  const std::size_t taken = whole.handle_input(input);
  KCPTUN_CHECK(taken <= Socks5ReplyReader::kMaxReplies && taken <= input.size());
  KCPTUN_CHECK((whole.state() != Socks5ReplyReader::State::kReading) || taken == input.size());
  const std::size_t split = input.empty() ? 0 : data[0] % (input.size() + 1);
  Socks5ReplyReader parts;
  std::size_t sum = parts.handle_input(input.first(split));
  sum += parts.handle_input(input.subspan(split));
  KCPTUN_CHECK(sum == taken && parts.state() == whole.state());
  if (whole.state() == Socks5ReplyReader::State::kComplete) KCPTUN_CHECK(parts.code() == whole.code());
  return 0;
}
