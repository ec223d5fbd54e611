// A UDP flow at the client: one local source address, and its stream.
#pragma once

#include <cstdint>
#include <vector>

#include "core/proxy/datagram_frame.h"
#include "core/proxy/socks5_client.h"
#include "daemon/client/udp_entrance.h"
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

  /// Both outlive the flow. Sends the request.
  ClientFlow(UdpEntrance& entrance, Session& session, std::uint32_t sid, const IpEndpoint& source);
  ~ClientFlow() override;

  /// The application sent a datagram.
  void send(Bytes payload);

  void handle_data(MutableBytes data) override;
  void handle_datagram(MutableBytes datagram) override;
  void handle_round_end() override { entrance_.flush(); }
  void handle_room() override { stream_.write_unsent(*this); }
  void handle_peer_ended() override;
  void handle_gone() override { leave(); }

 private:
  void handle_deadline(TimePoint now) override;
  bool read_reply(MutableBytes& data);
  void refuse(const std::string& reason);
  void touch();
  void leave();
  void end();

  UdpEntrance& entrance_;
  FlowStream stream_;
  const IpEndpoint source_;
  DatagramFrameReader reader_;
  Socks5ReplyReader reply_;
  bool open_ = false;  // the server has accepted the flow
  bool left_ = false;  // the entrance has forgotten it
  TimePoint active_at_;
};

}  // namespace kcptun
