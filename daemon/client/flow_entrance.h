// Where UDP flows of a client come from.
#pragma once

#include <string>

#include "core/base/path.h"
#include "core/proxy/datagram_frame.h"
#include "daemon/engine/engine.h"

namespace kcptun {

class Session;

/// What a ClientFlow needs of the socket that its application sends to.
class FlowEntrance {
 public:
  /// Where flows find a session.
  class Sessions {
   public:
    virtual ~Sessions() = default;
    /// Null: there is none now.
    virtual Session* session_for_flow() = 0;
  };

  virtual ~FlowEntrance() = default;
  virtual Engine& engine() = 0;
  /// A datagram for the application at `source`. The view lives until the next flush().
  virtual void deliver(const IpEndpoint& source, const AddressedDatagram& datagram) = 0;
  virtual void flush() = 0;
  /// The flow of this source is over.
  virtual void forget(const IpEndpoint& source) = 0;
  /// The server refuses flows, for this reason.
  virtual void handle_refused(const std::string& reason) = 0;
};

}  // namespace kcptun
