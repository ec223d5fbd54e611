// One UDP socket to the server with its cipher, for a probe that waits for each step.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "config/profile.h"
#include "core/base/packet.h"
#include "core/base/time.h"
#include "core/crypt/suite.h"
#include "core/link/anti_replay.h"
#include "daemon/net/udp_socket.h"

namespace kcptun {

TimePoint read_probe_clock();
std::uint32_t random_conv();

/// Each is a session of its own to the server, for it has a port of its own.
class ProbeSocket {
 public:
  /// The error names the server's address. `key` is used during the call only.
  static Result<ProbeSocket> open(const IpEndpoint& remote, const Profile& profile, const MasterKey& key);

  /// Where a packet's body is to be written, of most_body() bytes. Then send_body().
  std::uint8_t* body() { return batch_->next_slot() + suite_->header_size(); }
  std::size_t most_body() const { return kMaxDatagram - overhead(); }
  std::size_t overhead() const { return suite_->header_size() + suite_->trailer_size(); }
  /// Seals and sends what was written. False: too large for this machine's interface.
  bool send_body(std::size_t size);

  /// Until something came or `until` has passed. True: something came.
  bool wait(TimePoint until) const;
  /// Hands each opened body that has come to handle(now, body).
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
  /// Forbids fragments on the way, whatever this machine believes of the path.
  void forbid_fragments();

  std::uint64_t rejected() const { return rejected_; }
  /// ICMP errors: the server's host, or one before it, said no.
  std::uint64_t refusals() const { return socket_.counters().pending_errors; }

 private:
  ProbeSocket(UdpSocket socket, std::unique_ptr<Suite> suite, const IpEndpoint& remote);
  std::span<const Packet> open_run(const ReceivedRun& run);

  UdpSocket socket_;
  std::unique_ptr<Suite> suite_;
  std::unique_ptr<AntiReplay> guard_;  // null unless the suite knows sessions
  Path path_;
  std::unique_ptr<TransmitBatch> batch_;
  std::unique_ptr<ReceiveArena> arena_;
  std::vector<Packet> packets_;
  std::uint64_t rejected_ = 0;
};

}  // namespace kcptun
