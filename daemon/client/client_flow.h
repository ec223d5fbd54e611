// A UDP flow at the client: one local source address, and its stream.
#pragma once

#include <cstdint>
#include <vector>

#include "core/proxy/datagram_frame.h"
#include "core/proxy/socks5_client.h"
#include "daemon/client/flow_entrance.h"
#include "daemon/engine/deadlines.h"
#include "daemon/engine/flow_stream.h"
#include "daemon/engine/stream_end.h"

namespace kcptun {

/// Sends its request and, without waiting for the reply, framed datagrams. Once the reply is there, datagrams
/// take the best way. Ends with its stream, or when idle.
class ClientFlow final : public StreamEnd, private Deadline {
 public:
  /// RFC 4787 section 4.3; the server's flow has the same.
  static constexpr Duration kIdle = seconds(60);
  static constexpr Duration kIdleDns = seconds(10);

  /// An encoded address (socks5_address.h), and its port.
  struct Destination {
    Bytes address;
    std::uint16_t port = 0;
  };

  /// Both outlive the flow.
  ClientFlow(FlowEntrance& entrance, Session& session, std::uint32_t sid, const IpEndpoint& source);
  ~ClientFlow() override;

  /// Sends the request, which names the only destination of the flow, or 0.0.0.0:0. REQUIRES: attached, once.
  void ask(const Socks5Address& destination);
  /// The application sent a datagram. REQUIRES: ask() was called.
  void send(const Destination& to, Bytes payload);
  /// Ends the flow without a word to its entrance.
  void close();

  void handle_data(MutableBytes data) override;
  void handle_datagram(MutableBytes datagram) override;
  void handle_round_end() override { entrance_.flush(); }
  void handle_room() override { stream_.write_unsent(*this); }
  void handle_peer_ended() override;
  void handle_gone() override { leave(); }

 private:
  static constexpr std::uint16_t kDnsPort = 53;

  void handle_deadline(TimePoint now) override;
  bool read_reply(MutableBytes& data);
  void refuse(const std::string& reason);
  void touch();
  void leave();
  void end();
  void reset();
  Duration idle_limit() const { return only_dns_ ? kIdleDns : kIdle; }

  FlowEntrance& entrance_;
  FlowStream stream_;
  const IpEndpoint source_;
  DatagramFrameReader reader_;
  Socks5ReplyReader reply_;
  bool open_ = false;     // the server has accepted the flow
  bool left_ = false;     // the entrance has forgotten it
  bool only_dns_ = true;  // no port but 53 was used
  TimePoint active_at_;
};

}  // namespace kcptun
