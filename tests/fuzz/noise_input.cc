// Datagrams of strangers under the suite noise, also of those who have the shared key and so can make heads,
// hellos and cookies: both ends of a session, and a server without it.
#include <array>
#include <memory>

#include "core/base/check.h"
#include "core/crypt/noise_gcm.h"
#include "core/crypt/noise_suite.h"
#include "core/link/demux.h"
#include "tests/fuzz/input.h"
#include "tests/support/noise_ends.h"

using namespace kcptun;
using namespace kcptun::test;

namespace {

constexpr TimePoint kNow{seconds(10000)};
constexpr UnixTime kWall{seconds(1700000000)};
constexpr std::uint64_t kSession = 77;

struct End {
  explicit End(std::uint64_t seed) : suite(credentials()), secrets(seed), context(LinkSettings{}) {
    context.set_overhead(suite);
    context.secrets = &secrets;
    context.wall = kWall;
  }
  static noise::Credentials credentials() {
    noise::Credentials out = noise_credentials(noise::Pattern::kNNpsk0).client;
    out.aes_gcm = make_noise_gcm;
    return out;
  }
  NoiseSuite suite;
  SeededSecrets secrets;
  LinkContext context;
};

// A datagram whose head is right for the mask key, with the mac of a hello; the rest is the input's.
std::vector<std::uint8_t> made(const End& end, Input& input, std::uint32_t time) {
  const noise::Credentials& credentials = *end.suite.credentials();
  const std::uint8_t choice = input.u8();
  const auto kind = static_cast<noise::Kind>(choice & 3);
  const std::size_t part = noise::handshake_part_size(kind, credentials.pattern);
  const std::uint64_t session = input.u8() & 1 ? kSession : input.u8();
  std::vector<std::uint8_t> packet(noise::kHeadSize);
  noise::write_head(packet.data(),
                    {session, input.u16(), input.u8(), kind, choice >= 128 && kind != noise::Kind::kCookie});
  const auto rest = input.bytes(part + input.below(200));
  packet.insert(packet.end(), rest.begin(), rest.end());
  packet.resize(std::max(packet.size(), noise::kHeadSize + part + noise::kTagSize));
  if (kind == noise::Kind::kHello) {
    const MutableBytes bytes = MutableBytes(packet).subspan(noise::kHeadSize, part);
    std::vector<std::uint8_t> message(bytes.begin() + 4, bytes.end() - 32);
    noise::write_hello(bytes, session, {time, message, {}, {}}, credentials.shared.mac, nullptr);
  }
  return packet;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input input(data, size);
  End client(1), server(2);
  Link link(Role::kClient, SessionName(7, kSession), client.context, kNow);
  ReplayCache cache(kNow - seconds(3600));
  DemuxSettings settings;
  settings.admission = &cache;
  Demux demux(server.context, 4, settings);

  // The session is open at the server for some inputs, and complete for some of those.
  const std::uint8_t stage = input.u8() & 3;
  TransmitBatch batch;
  link.open_stream();
  link.poll_transmit(kNow, Path{}, batch);
  if (stage > 0) demux.handle_run(kNow, Path{}, batch.packets());
  KCPTUN_CHECK(demux.size() == (stage > 0 ? 1 : 0));
  if (stage > 1) {
    SessionEntry* const entry = demux.take_touched().front();
    batch.clear();
    entry->link.poll_transmit(kNow, Path{}, batch);
    link.handle_packets(kNow, batch.packets());
    KCPTUN_CHECK(link.noise()->established());
  }
  const std::size_t sessions = demux.size();
  const std::size_t known = cache.size();
  while (!input.empty()) {
    std::vector<std::uint8_t> packet;
    if (input.u8() & 1) {
      packet = made(server, input, 1700000000);
    } else {
      packet = input.bytes(input.below(kMaxDatagram + 1));
      Packet masked{packet.data(), static_cast<std::uint32_t>(packet.size())};
      server.suite.open({&masked, 1});
      packet.resize(masked.size);
    }
    std::vector<std::uint8_t> copy = packet;
    const Packet to_server{packet.data(), static_cast<std::uint32_t>(packet.size())};
    const Packet to_client{copy.data(), static_cast<std::uint32_t>(copy.size())};
    demux.handle_run(kNow, Path{}, {&to_server, 1});
    link.handle_packets(kNow, {&to_client, 1});
    KCPTUN_CHECK(demux.size() == sessions && cache.size() == known);
    KCPTUN_CHECK(!link.noise()->forgotten() && link.closed_reason().empty());
  }
  return 0;
}
