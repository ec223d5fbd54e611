// A UDP socket with its cipher, for a probe that waits for the result of each step.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "config/profile.h"
#include "core/base/packet.h"
#include "core/base/secret_source.h"
#include "core/base/time.h"
#include "core/crypt/suite.h"
#include "core/link/anti_replay.h"
#include "core/link/noise_session.h"
#include "daemon/net/udp_socket.h"
#include "daemon/worker/tunnel_keys.h"

namespace kcptun {

TimePoint read_probe_clock();
std::uint32_t random_conv();

/// Each socket has its own port, so each is a separate session to the server.
class ProbeSocket {
 public:
  /// The error names the server's address. `keys` are used only during the call.
  static Result<ProbeSocket> open(const IpEndpoint& remote, const Profile& profile, const TunnelKeys& keys);

  /// The space of most_body() bytes for the next packet's body. Call send_body() after writing it.
  std::uint8_t* body() { return batch_->next_slot() + header_size(); }
  std::size_t most_body() const { return kMaxDatagram - overhead(); }
  /// Under noise it shrinks with the server's first answer.
  std::size_t overhead() const { return header_size() + suite_->trailer_size(); }
  /// Seals and sends the body. Receive nothing between body() and it. False: it is too large for this
  /// machine's interface.
  bool send_body(std::size_t size);

  /// Waits until a packet arrives or `until` has passed. True: a packet arrived.
  bool wait(TimePoint until) const;
  /// Calls handle(now, body) for each packet that arrived and was opened.
  template <typename Handle>
  void receive(Handle handle) {
    bool dry = false;
    while (!dry) {
      const UdpSocket::Received received = socket_.receive(*arena_);
      dry = received.dry;
      for (const ReceivedRun& run : received.runs) {
        for (const Packet& packet : open_run(run)) {
          if (packet.size > 0) handle(read_probe_clock(), Bytes(packet.bytes()));
        }
      }
    }
  }
  /// Sets the don't-fragment bit and ignores the kernel's path MTU.
  void forbid_fragments();

  std::uint64_t rejected() const { return rejected_; }
  /// ICMP errors from the server's host or from a router on the path.
  std::uint64_t refusals() const { return socket_.counters().pending_errors; }

 private:
  ProbeSocket(UdpSocket socket, std::unique_ptr<Suite> suite, const IpEndpoint& remote);
  std::size_t header_size() const { return noise_ ? noise_->header_size() : suite_->header_size(); }
  void stamp(const Packet& packet);
  MutableBytes take(const Packet& packet);
  std::span<const Packet> open_run(const ReceivedRun& run);

  struct SystemSecrets final : SecretSource {
    void fill(MutableBytes bytes) override;
  };

  UdpSocket socket_;
  std::unique_ptr<Suite> suite_;
  std::unique_ptr<AntiReplay> guard_;  // null unless the suite has sessions
  std::unique_ptr<SystemSecrets> secrets_;
  std::unique_ptr<NoiseSession> noise_;  // null unless sessions seal their packets
  Path path_;
  std::unique_ptr<TransmitBatch> batch_;
  std::unique_ptr<ReceiveArena> arena_;
  std::vector<Packet> packets_;
  std::uint64_t rejected_ = 0;
};

}  // namespace kcptun
