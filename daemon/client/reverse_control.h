// The stream by which a client asks its server to listen.
#pragma once

#include <cstddef>
#include <string>

#include "core/proxy/socks5_client.h"
#include "daemon/engine/flow_stream.h"
#include "daemon/engine/stream_end.h"

namespace kcptun {

class ReverseKeeper;

/// Sends the request and reads the reply. The server listens as long as the stream is open.
class ReverseControl final : public StreamEnd {
 public:
  /// Both outlive it. `number`: of the reverse forward in the profile.
  ReverseControl(ReverseKeeper& keeper, Session& session, std::uint32_t sid, std::size_t number);

  /// Sends the request. REQUIRES: attached.
  void ask(const Socks5Address& address);
  const Session& session() const { return session_; }
  std::size_t number() const { return number_; }
  /// Closes the stream without a word to the keeper.
  void close();

  void handle_data(MutableBytes data) override;
  void handle_datagram(MutableBytes) override {}
  void handle_round_end() override {}
  void handle_room() override { stream_.write_unsent(*this); }
  void handle_peer_ended() override;
  void handle_gone() override;

 private:
  void refuse(ReplyCode code, const std::string& reason);

  ReverseKeeper& keeper_;
  Session& session_;
  FlowStream stream_;
  const std::size_t number_;
  Socks5ReplyReader reply_;
  bool listening_ = false;
  bool left_ = false;  // the keeper has forgotten it
};

}  // namespace kcptun
