// What a session's stream leads to, if not to a connection.
#pragma once

#include <cstdint>

#include "core/base/bytes.h"
#include "core/proxy/proxy_request.h"
#include "daemon/system/file_descriptor.h"

namespace kcptun {

/// A stream whose request does not lead to a connection. The views live during the call.
struct HandedOver {
  const ProxyRequest& request;  // kUdpInTcp or kListen
  FileDescriptor listening;     // kListen
  Bytes unsent;                 // what the peer receives first
  MutableBytes unread;          // what it has sent behind the request
};

/// Called by the Session that owns it. May end itself with Session::detach().
class StreamEnd {
 public:
  explicit StreamEnd(std::uint32_t sid) : sid_(sid) {}
  virtual ~StreamEnd() = default;
  StreamEnd(const StreamEnd&) = delete;
  StreamEnd& operator=(const StreamEnd&) = delete;

  std::uint32_t sid() const { return sid_; }

  /// Bytes of the stream, which count as read afterwards. The view ends with handle_round_end().
  virtual void handle_data(MutableBytes data) = 0;
  /// A datagram of the stream's flow; the view ends likewise.
  virtual void handle_datagram(MutableBytes datagram) = 0;
  /// The views given so far end.
  virtual void handle_round_end() = 0;
  /// The stream may have room again, after Session::wait_for_room().
  virtual void handle_room() = 0;
  /// The peer has closed or reset the stream.
  virtual void handle_peer_ended() = 0;
  /// The stream is gone, with its session or for lack of memory.
  virtual void handle_gone() = 0;

  bool waits_for_room = false;  // the session's bookkeeping
  bool in_round = false;

 private:
  const std::uint32_t sid_;
};

/// The tag of its stream: distinct from that of a Connection, whose address is even, too.
inline std::uint64_t stream_tag(StreamEnd& end) { return reinterpret_cast<std::uintptr_t>(&end) | 1; }
/// Null for another tag.
inline StreamEnd* stream_end_of(std::uint64_t tag) {
  return tag & 1 ? reinterpret_cast<StreamEnd*>(tag & ~std::uint64_t{1}) : nullptr;
}

}  // namespace kcptun
