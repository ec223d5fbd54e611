// A listener that a client has asked for, at the server.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "core/base/path.h"
#include "daemon/engine/deadlines.h"
#include "daemon/engine/flow_stream.h"
#include "daemon/engine/stream_end.h"
#include "daemon/io/listener.h"

namespace kcptun {

class ListenerTable;

/// Opens a stream to the client for each connection that it accepts, and puts a request in front of it that
/// names the listener and the connecting host (docs/develop/protocol.md section 16). The client's reply is
/// taken off; if it cannot connect, the connection is reset. Lives as long as the stream that asked for it.
/// Bounds: kMaxPending connections may wait for the client's reply; further ones are reset.
class ReverseListener final : public StreamEnd, private Deadline {
 public:
  /// Connections that the client has not replied to. Each has a descriptor; a client replies within a round
  /// trip and the time that its target takes.
  static constexpr std::size_t kMaxPending = 256;
  /// A client that another one's request has put in doubt gives a sign of life within this time. Longer than
  /// a round trip and a few losses.
  static constexpr Duration kCheckTime = seconds(3);

  struct At {
    ListenerTable& table;  // outlives the listener
    IpEndpoint address;
  };
  ReverseListener(Session& session, std::uint32_t sid, const At& at, FileDescriptor listening);
  ~ReverseListener() override;

  /// Sends what the client receives first. REQUIRES: attached.
  void reply(Bytes bytes) { stream_.write(bytes, *this); }
  /// Ends the listener unless its client shows that it lives.
  void check_client();
  void end(std::string_view reason);
  const IpEndpoint& address() const { return address_; }
  const Session& session() const { return session_; }

  void handle_data(MutableBytes) override {}
  void handle_datagram(MutableBytes) override {}
  void handle_round_end() override {}
  void handle_room() override { stream_.write_unsent(*this); }
  void handle_peer_ended() override { end("its client has closed it"); }
  void handle_gone() override { leave("its session has ended"); }

 private:
  void handle_deadline(TimePoint now) override;
  void accept(FileDescriptor fd);
  bool pending_is_full();
  void refuse(int fd);
  void leave(std::string_view reason);
  void log(std::string_view event, std::string_view reason) const;

  ListenerTable& table_;
  Session& session_;
  FlowStream stream_;
  const IpEndpoint address_;
  std::vector<std::uint32_t> pending_;             // streams that the client may not have replied to
  std::optional<std::uint64_t> checked_segments_;  // received from the client when the check began
  std::optional<TimePoint> refusal_logged_at_;
  bool ended_ = false;
  std::unique_ptr<Listener> listener_;
};

}  // namespace kcptun
