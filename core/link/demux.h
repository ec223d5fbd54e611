// The server's table of conversations: finds the one that a datagram belongs to, opens and replaces them
// (docs/protocol.md section 5, "Server side"), and follows those whose client's address changes.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "core/base/packet.h"
#include "core/base/random.h"
#include "core/base/time.h"
#include "core/link/conversation_directory.h"
#include "core/link/link.h"
#include "core/link/session_gate.h"
#include "core/link/session_places.h"

namespace kcptun {

/// An address that is to prove that the client of a conversation is there: it is sent a segment that the client has,
/// with `token` as its time stamp, which only the acknowledgement of a live client can echo (RFC 9000 section 8.2).
struct PathChallenge {
  Path path;
  std::uint32_t token = 0;
  TimePoint sent_at{};
};

/// One conversation that the server holds.
struct Conversation {
  Conversation(ConversationId id, LinkContext& context, TimePoint now, const Path& from)
      : link(Role::kServer, id, context, now), path(from) {}
  Link link;
  Path path;               // the newest that proved to be the client's: answers go there
  std::uint64_t tag = 0;   // its owner's
  bool touched = false;    // is in the list of take_touched()
  bool established = false;  // it has carried a stream
  std::optional<Path> previous;  // the newest before it that had answered: returning there is free
  std::optional<TimePoint> moved_at;  // to an address that had not answered
  std::optional<PathChallenge> challenge;  // the last one, until it is answered
};

/// What a server of several loops adds. `directory` and `admission` outlive the demux; `seed` makes the tokens of
/// challenges. A suite that knows sessions needs `admission`, and no directory.
struct DemuxPlace {
  ConversationDirectory* directory = nullptr;
  std::uint32_t loop = 0;
  std::uint64_t seed = 0;
  SessionAdmission* admission = nullptr;
};

/// Conversations are keyed by the remote address and the socket that it came to, for each listening port is a server of
/// its own to kcptun, and by their conv. Bounded by `max_conversations`; who gets the places stands in SessionPlaces.
///
/// A packet from an unknown address that names a known conversation belongs to it only if it brings news: data beyond all
/// that has arrived, an acknowledgement of what was not acknowledged, or the answer to a challenge. What was recorded and
/// is replayed from elsewhere brings none; it moves nothing, opens nothing, and at most makes the demux challenge that
/// address. The packet is as authentic as the suite makes it: with xor, none and null, anybody's can be news.
///
/// Under a suite that knows sessions they are keyed by their session instead (demux_sessions.cc): the newest packet from
/// another address moves its conversation there, and what is not fresh does nothing at all.
class Demux {
 public:
  struct Counters {
    std::uint64_t opened = 0;
    std::uint64_t replaced = 0;
    std::uint64_t foreign = 0;   // known address, other conv, not a beginning
    std::uint64_t homeless = 0;  // unknown address, nothing that opens a session
    std::uint64_t refused = 0;   // no place, see SessionPlaces
    std::uint64_t moved = 0;     // conversations whose client has another address
    std::uint64_t stale = 0;     // unknown address, known conversation, no news
    std::uint64_t strays = 0;    // passed on, for another loop has their conversation
    std::uint64_t sessions_refused = 0;  // packets of sessions that may not be opened (SessionRefusal)
  };
  /// One of sessions_refused.
  struct RefusedSession {
    SessionRefusal why = SessionRefusal::kNone;
    IpEndpoint remote;
    seconds ahead{};  // the client's clock minus ours
  };
  /// Packets for a conversation of another loop, from the path of the run that was handled.
  struct Stray {
    std::uint32_t loop = 0;
    std::span<const Packet> packets;
  };
  struct Challenged {
    Conversation* conversation = nullptr;
    PathChallenge challenge;
  };

  /// A conversation moves to a new address at most so often; in between its packets are taken, from wherever they come. It
  /// returns to the address before at any time, if that has answered: a packet that somebody sent on has only moved it
  /// until the client's next one.
  static constexpr Duration kMoveEvery = milliseconds(250);
  /// Addresses that claim to be one conversation's are challenged at most so often.
  static constexpr Duration kChallengeEvery = milliseconds(100);
  /// Addresses remembered whose packets are passed on; all are forgotten when there are more.
  static constexpr std::size_t kMostStrayPaths = 4096;

  /// `context` outlives the demux.
  Demux(LinkContext& context, std::size_t max_conversations, const DemuxPlace& place = {});
  ~Demux();

  /// Opened packets that came over one path. See Link about the life of views.
  void handle_run(TimePoint now, const Path& path, std::span<const Packet> packets);
  /// The same, of packets that another loop passed on: they open nothing.
  void handle_passed_on(TimePoint now, const Path& path, std::span<const Packet> packets);

  /// Conversations that got packets since the last call, each once; pointers stay valid until ended.
  /// The view stays valid until the next handle_run().
  std::span<Conversation* const> take_touched();
  /// Conversations that a newer one from their address has replaced, handed to the caller.
  std::vector<std::unique_ptr<Conversation>> take_replaced();
  /// Conversations that had no stream and had to make room, handed to the caller.
  std::vector<std::unique_ptr<Conversation>> take_evicted();
  /// What the last handle_run() found for other loops. The view stays valid until the next one.
  std::span<const Stray> strays() const { return strays_; }
  /// What the last handle_run() wants to be sent, with Link::append_challenge().
  std::span<const Challenged> challenges() const { return challenges_; }
  /// Forgets a conversation and hands it to the caller. REQUIRES: it is in the table.
  std::unique_ptr<Conversation> end(TimePoint now, Conversation& conversation);
  /// The last session that was refused, if any was since the last call.
  std::optional<RefusedSession> take_refusal();

  /// The conversation of that name, if any.
  Conversation* find(std::uint32_t conv) const;
  std::size_t size() const { return conversations_.size() + sessions_.size(); }
  const SessionPlaces& places() const { return places_; }
  const Counters& counters() const { return counters_; }

 private:
  enum class Source : std::uint8_t { kSocket, kOtherLoop };
  struct Key {
    IpEndpoint remote;
    std::uint32_t socket = 0;
    bool operator==(const Key&) const = default;
  };
  struct KeyHash {
    std::size_t operator()(const Key& key) const { return IpEndpointHash{}(key.remote) ^ key.socket; }
  };
  static Key key_of(const Path& path) { return {path.remote, path.socket}; }

  /// The first segment of an opened packet, where it has one in the clear.
  static std::optional<Segment> first_segment(Bytes body);
  static std::size_t same_conversation(std::span<const Packet> packets, std::uint32_t conv);
  void handle(TimePoint now, const Path& path, std::span<const Packet> packets, Source source);
  Conversation* find(const Path& path) const;
  Conversation* conversation_for(TimePoint now, const Path& path, MutableBytes body, Source source);
  Conversation* wanderer(TimePoint now, const Path& path, MutableBytes body, Conversation& conversation);
  Conversation* begin(TimePoint now, const Path& path, const Segment& segment, Conversation* known);
  Conversation* open(TimePoint now, const Path& path, std::uint32_t conv);
  bool has_place(const Path& path, SessionPlaces::Decision& decision);
  void make_room(TimePoint now, const SessionPlaces::Decision& decision);
  void note_life(Conversation& conversation);
  static SessionPlaces::Id id_of(const Conversation& conversation);
  bool may_move(TimePoint now, const Path& path, const Conversation& conversation) const;
  void move(TimePoint now, const Path& path, Conversation& conversation);
  void follow(TimePoint now, const Path& path, Conversation& conversation);
  static void credit(const Path& path, Conversation& conversation, std::span<const Packet> packets);
  void challenge(TimePoint now, const Path& path, Conversation& conversation);
  void note_stray(const Path& path, std::uint32_t loop);
  std::size_t pass_on(std::span<const Packet> packets);
  // demux_sessions.cc
  void handle_session_run(TimePoint now, const Path& path, std::span<const Packet> packets, Source source);
  void handle_session_packets(TimePoint now, const Path& path, Conversation& conversation,
                              std::span<const Packet> packets);
  Conversation* open_session(TimePoint now, const Path& path, const Packet& packet);
  std::unique_ptr<Conversation> end_session(TimePoint now, Conversation& conversation);

  LinkContext& context_;
  SessionPlaces places_;
  const DemuxPlace place_;
  Random random_;
  std::unordered_map<std::uint32_t, std::unique_ptr<Conversation>> conversations_;  // by conv
  std::unordered_map<Key, Conversation*, KeyHash> by_path_;  // one that lost its address to another is in none
  std::unordered_map<Key, std::uint32_t, KeyHash> stray_paths_;  // whose packets another loop gets
  std::unordered_map<std::uint64_t, std::unique_ptr<Conversation>> sessions_;  // by session, in place of the others
  std::optional<RefusedSession> last_refusal_;
  std::optional<std::uint32_t> stray_to_;  // the packet just looked at is that loop's
  std::vector<Conversation*> touched_;
  std::vector<Conversation*> taken_;
  std::vector<std::unique_ptr<Conversation>> replaced_;
  std::vector<std::unique_ptr<Conversation>> evicted_;
  std::vector<Stray> strays_;
  std::vector<Challenged> challenges_;
  Counters counters_;
};

}  // namespace kcptun
