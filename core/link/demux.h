// The server's table of conversations: finds the one that a datagram belongs to, opens and replaces them
// (docs/develop/protocol.md section 5, "Server side"), and follows those whose client's address changes.
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
#include "core/link/session_directory.h"
#include "core/link/link.h"
#include "core/link/replay_cache.h"
#include "core/link/session_limiter.h"

namespace kcptun {

/// An address that is to prove that the client of a conversation is there: it is sent a segment that the client has,
/// with `token` as its time stamp, which only the acknowledgement of a live client can echo (RFC 9000 section 8.2).
struct PathChallenge {
  Path path;
  std::uint32_t token = 0;
  TimePoint sent_at{};
};

/// One conversation that the server holds.
struct SessionEntry {
  SessionEntry(SessionName id, LinkContext& context, TimePoint now, const Path& from)
      : link(Role::kServer, id, context, now), path(from) {}
  Link link;
  Path path;               // the newest that proved to be the client's: answers go there
  std::uint64_t tag = 0;   // its owner's
  bool touched = false;    // is in the list of take_touched()
  bool established = false;  // it has carried a stream
  std::optional<Path> previous;  // the newest before it that had answered: returning there is free
  std::optional<TimePoint> migrated_at;  // to an address that had not answered
  std::optional<PathChallenge> challenge;  // the last one, until it is answered
};

/// What a server of several loops adds. `directory` and `admission` outlive the demux; `seed` makes the tokens of
/// challenges. A suite that knows sessions needs `admission`, and no directory.
struct DemuxSettings {
  SessionDirectory* directory = nullptr;
  std::uint32_t loop = 0;
  std::uint64_t seed = 0;
  SessionAdmission* admission = nullptr;
};

/// Conversations are keyed by the remote address and the socket that it came to, for each listening port is a server of
/// its own to kcptun, and by their conv. Bounded by `max_sessions`; who gets the places stands in SessionLimiter.
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
    std::uint64_t unmatched = 0;  // unknown address, nothing that opens a session
    std::uint64_t refused = 0;   // no place, see SessionLimiter
    std::uint64_t moved = 0;     // conversations whose client has another address
    std::uint64_t stale = 0;     // unknown address, known conversation, no news
    std::uint64_t misrouted = 0;    // passed on, for another loop has their conversation
    std::uint64_t sessions_refused = 0;  // packets of sessions that may not be opened (SessionRefusal)
  };
  /// One of sessions_refused.
  struct RefusedSession {
    SessionRefusal why = SessionRefusal::kNone;
    IpEndpoint remote;
    seconds ahead{};  // the client's clock minus ours
  };
  /// Packets for a conversation of another loop, from the path of the run that was handled.
  struct Misrouted {
    std::uint32_t loop = 0;
    std::span<const Packet> packets;
  };
  struct Challenged {
    SessionEntry* conversation = nullptr;
    PathChallenge challenge;
  };

  /// A conversation moves to a new address at most so often; in between its packets are taken, from wherever they come. It
  /// returns to the address before at any time, if that has answered: a packet that somebody sent on has only moved it
  /// until the client's next one.
  static constexpr Duration kMinMigrationInterval = milliseconds(250);
  /// Addresses that claim to be one conversation's are challenged at most so often.
  static constexpr Duration kMinChallengeInterval = milliseconds(100);
  /// Addresses remembered whose packets are passed on; all are forgotten when there are more.
  static constexpr std::size_t kMaxMisroutedPaths = 4096;

  /// `context` outlives the demux.
  Demux(LinkContext& context, std::size_t max_sessions, const DemuxSettings& place = {});
  ~Demux();

  /// Opened packets that came over one path. See Link about the life of views.
  void handle_run(TimePoint now, const Path& path, std::span<const Packet> packets);
  /// The same, of packets that another loop passed on: they open nothing.
  void handle_forwarded(TimePoint now, const Path& path, std::span<const Packet> packets);

  /// Conversations that got packets since the last call, each once; pointers stay valid until ended.
  /// The view stays valid until the next handle_run().
  std::span<SessionEntry* const> take_touched();
  /// Conversations that a newer one from their address has replaced, handed to the caller.
  std::vector<std::unique_ptr<SessionEntry>> take_replaced();
  /// Conversations that had no stream and had to make room, handed to the caller.
  std::vector<std::unique_ptr<SessionEntry>> take_evicted();
  /// What the last handle_run() found for other loops. The view stays valid until the next one.
  std::span<const Misrouted> misrouted() const { return misrouted_; }
  /// What the last handle_run() wants to be sent, with Link::append_challenge().
  std::span<const Challenged> challenges() const { return challenges_; }
  /// Forgets a conversation and hands it to the caller. REQUIRES: it is in the table.
  std::unique_ptr<SessionEntry> end(TimePoint now, SessionEntry& conversation);
  /// The last session that was refused, if any was since the last call.
  std::optional<RefusedSession> take_refusal();

  /// The conversation of that name, if any.
  SessionEntry* find(std::uint32_t conv) const;
  std::size_t size() const { return by_conv_.size() + sessions_.size(); }
  const SessionLimiter& places() const { return places_; }
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
  static std::size_t count_same_conv(std::span<const Packet> packets, std::uint32_t conv);
  void handle(TimePoint now, const Path& path, std::span<const Packet> packets, Source source);
  SessionEntry* find(const Path& path) const;
  SessionEntry* find_or_open(TimePoint now, const Path& path, MutableBytes body, Source source);
  SessionEntry* find_migrating(TimePoint now, const Path& path, MutableBytes body, SessionEntry& conversation);
  SessionEntry* begin(TimePoint now, const Path& path, const Segment& segment, SessionEntry* known);
  SessionEntry* open(TimePoint now, const Path& path, std::uint32_t conv);
  bool has_place(const Path& path, SessionLimiter::Decision& decision);
  void make_room(TimePoint now, const SessionLimiter::Decision& decision);
  void record_activity(SessionEntry& conversation);
  static SessionLimiter::Id id_of(const SessionEntry& conversation);
  bool may_move(TimePoint now, const Path& path, const SessionEntry& conversation) const;
  void move(TimePoint now, const Path& path, SessionEntry& conversation);
  void follow(TimePoint now, const Path& path, SessionEntry& conversation);
  static void credit(const Path& path, SessionEntry& conversation, std::span<const Packet> packets);
  void challenge(TimePoint now, const Path& path, SessionEntry& conversation);
  void record_misrouted(const Path& path, std::uint32_t loop);
  std::size_t forward(std::span<const Packet> packets);
  // demux_sessions.cc
  void handle_session_run(TimePoint now, const Path& path, std::span<const Packet> packets, Source source);
  void handle_session_packets(TimePoint now, const Path& path, SessionEntry& conversation,
                              std::span<const Packet> packets);
  SessionEntry* open_session(TimePoint now, const Path& path, const Packet& packet);
  std::unique_ptr<SessionEntry> end_session(TimePoint now, SessionEntry& conversation);

  LinkContext& context_;
  SessionLimiter places_;
  const DemuxSettings place_;
  Random random_;
  std::unordered_map<std::uint32_t, std::unique_ptr<SessionEntry>> by_conv_;  // by conv
  std::unordered_map<Key, SessionEntry*, KeyHash> by_path_;  // one that lost its address to another is in none
  std::unordered_map<Key, std::uint32_t, KeyHash> misrouted_paths_;  // whose packets another loop gets
  std::unordered_map<std::uint64_t, std::unique_ptr<SessionEntry>> sessions_;  // by session, in place of the others
  std::optional<RefusedSession> last_refusal_;
  std::optional<std::uint32_t> misrouted_to_;  // the packet just looked at is that loop's
  std::vector<SessionEntry*> touched_;
  std::vector<SessionEntry*> taken_;
  std::vector<std::unique_ptr<SessionEntry>> replaced_;
  std::vector<std::unique_ptr<SessionEntry>> evicted_;
  std::vector<Misrouted> misrouted_;
  std::vector<Challenged> challenges_;
  Counters counters_;
};

}  // namespace kcptun
