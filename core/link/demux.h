// The server's table of conversations: finds the one that a datagram belongs to, opens and replaces them
// (docs/protocol.md section 5, "Server side").
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

#include "core/base/packet.h"
#include "core/base/path.h"
#include "core/base/time.h"
#include "core/link/link.h"

namespace kcptun {

/// One conversation that the server holds.
struct Conversation {
  Conversation(std::uint32_t conv, LinkContext& context, TimePoint now, const Path& from)
      : link(Role::kServer, conv, context, now), path(from) {}
  Link link;
  Path path;
  std::uint64_t tag = 0;   // its owner's
  bool touched = false;    // is in the list of take_touched()
};

/// Conversations are keyed by the remote address and the socket that it came to, for each listening port is a server of
/// its own to kcptun. Bounded by `max_conversations`; what is opened beyond is dropped
/// and counted.
class Demux {
 public:
  struct Counters {
    std::uint64_t opened = 0;
    std::uint64_t replaced = 0;
    std::uint64_t foreign = 0;   // known address, other conv, not a beginning
    std::uint64_t homeless = 0;  // unknown address, nothing that opens a session
    std::uint64_t refused = 0;   // beyond max_conversations
  };

  /// `context` outlives the demux.
  Demux(LinkContext& context, std::size_t max_conversations)
      : context_(context), max_conversations_(max_conversations) {}

  /// Opened packets that came over one path. See Link about the life of views.
  void handle_run(TimePoint now, const Path& path, std::span<const Packet> packets);

  /// Conversations that got packets since the last call, each once; pointers stay valid until ended.
  /// The view stays valid until the next handle_run().
  std::span<Conversation* const> take_touched();
  /// Conversations that a newer one from their address has replaced, handed to the caller.
  std::vector<std::unique_ptr<Conversation>> take_replaced();
  /// Forgets a conversation and hands it to the caller. REQUIRES: it is in the table.
  std::unique_ptr<Conversation> end(Conversation& conversation);

  std::size_t size() const { return table_.size(); }
  const Counters& counters() const { return counters_; }

 private:
  struct Key {
    IpEndpoint remote;
    std::uint32_t socket = 0;
    bool operator==(const Key&) const = default;
  };
  struct KeyHash {
    std::size_t operator()(const Key& key) const { return IpEndpointHash{}(key.remote) ^ key.socket; }
  };
  static Key key_of(const Path& path) { return {path.remote, path.socket}; }

  Conversation* find(const Path& path) const;
  Conversation* conversation_for(TimePoint now, const Path& path, MutableBytes body, Conversation* known);
  Conversation* open(TimePoint now, const Path& path, std::uint32_t conv);

  LinkContext& context_;
  const std::size_t max_conversations_;
  std::unordered_map<Key, std::unique_ptr<Conversation>, KeyHash> table_;
  std::vector<Conversation*> touched_;
  std::vector<Conversation*> taken_;
  std::vector<std::unique_ptr<Conversation>> replaced_;
  Counters counters_;
};

}  // namespace kcptun
