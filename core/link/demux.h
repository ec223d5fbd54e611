// A server's table of sessions: finds the session of a datagram, opens and replaces sessions
// (docs/develop/protocol.md section 5, "Server side"), and migrates those whose client's address changes.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/base/packet.h"
#include "core/base/random.h"
#include "core/base/time.h"
#include "core/link/hello_gate.h"
#include "core/link/link.h"
#include "core/link/replay_cache.h"
#include "core/link/session_directory.h"
#include "core/link/session_limiter.h"

namespace kcptun {

/// A request to an address to prove that the client of a session is there: a segment that the client already
/// has, with `token` as its time stamp. Only a live client's acknowledgement can echo the token (RFC 9000
/// section 8.2).
struct PathChallenge {
  Path path;
  std::uint32_t token = 0;
  TimePoint sent_at{};
};

/// One session of a server.
struct SessionEntry {
  SessionEntry(SessionName id, LinkContext& context, TimePoint now, const Path& from,
               std::unique_ptr<NoiseSession> noise = nullptr)
      : link(Role::kServer, id, context, now, std::move(noise)), path(from) {}
  Link link;
  Path path;                               // the newest that proved to be the client's: answers go there
  std::uint64_t tag = 0;                   // its owner's
  bool touched = false;                    // is in the list of take_touched()
  bool established = false;                // has carried a stream
  std::optional<noise::PublicKey> client;  // its static key, under IKpsk2
  std::optional<Path> previous;  // the last validated path before `path`; the client may return there at once
  std::optional<TimePoint> migrated_at;    // when it last migrated to a path that was not validated
  std::optional<PathChallenge> challenge;  // the last one, until it is answered
};

/// The demux's place in a server of several workers. `directory`, `admission` and `clients` outlive the
/// demux.
struct DemuxSettings {
  SessionDirectory* directory = nullptr;  // null: there is no other worker
  std::uint32_t worker = 0;               // the number of this demux's worker
  std::uint64_t seed = 0;                 // makes the tokens of challenges
  SessionAdmission* admission = nullptr;  // needed with a session header, in place of the directory
  const ClientPolicy* clients = nullptr;  // needed with IKpsk2
};

/// Without a session header, sessions are keyed by conv, and by the remote address and the socket that it
/// came to: each listening port is a server of its own to kcptun. With a session header they are keyed by the
/// session's id (demux_by_session.cc). Bounded by `max_sessions`; SessionLimiter decides which sessions get
/// the slots.
///
/// A packet from an unknown address that names a known conv belongs to its session only if it is fresh: it
/// has data beyond all that has arrived, acknowledges something for the first time, or answers a challenge. A
/// replayed packet is not fresh. It migrates and opens nothing; at most the demux challenges its address. A
/// packet is as authentic as the suite makes it: with xor, none and null, anyone can forge a fresh one.
///
/// With a session header, the newest packet from another address migrates its session, and what is not fresh
/// changes nothing.
class Demux {
 public:
  struct Counters {
    std::uint64_t opened = 0;
    std::uint64_t replaced = 0;
    std::uint64_t foreign = 0;    // packets: known address, other conv, and not the beginning of a session
    std::uint64_t unmatched = 0;  // packets: unknown address, and nothing that opens a session
    std::uint64_t refused = 0;    // sessions for which SessionLimiter had no slot
    std::uint64_t migrated = 0;   // times that a session's client had another address
    std::uint64_t stale = 0;      // packets: unknown address, known session, not fresh
    std::uint64_t misrouted = 0;  // packets of another worker's session
    std::uint64_t sessions_refused = 0;  // packets of sessions that may not be opened (SessionRefusal)
  };
  /// One of sessions_refused.
  struct RefusedSession {
    SessionRefusal why = SessionRefusal::kNone;
    IpEndpoint remote;
    seconds ahead{};  // the client's clock minus ours
  };
  /// Packets of another worker's session, from the path of the run that was handled.
  struct Misrouted {
    std::uint32_t worker = 0;
    std::span<const Packet> packets;
  };
  struct Challenged {
    SessionEntry* session = nullptr;
    PathChallenge challenge;
  };
  /// A complete packet, to be masked, for an address that has no session.
  struct CookieReply {
    Path path;
    noise::CookiePacket packet;
    /// REQUIRES: the batch has room.
    void append_to(TransmitBatch& batch) const;
  };

  /// A session migrates to a new address at most so often; in between, its packets are accepted from any
  /// address. It returns to the previous address at any time, so that a packet that an attacker forwards
  /// moves it only until the client's next one.
  static constexpr Duration kMinMigrationInterval = milliseconds(250);
  /// A session's addresses are challenged at most so often.
  static constexpr Duration kMinChallengeInterval = milliseconds(100);
  /// Addresses remembered whose packets go to another worker; all are forgotten when there are more.
  static constexpr std::size_t kMaxMisroutedPaths = 4096;

  /// `context` outlives the demux.
  Demux(LinkContext& context, std::size_t max_sessions, const DemuxSettings& settings = {});
  ~Demux();

  /// Opened packets that came over one path. See Link about the life of views.
  void handle_run(TimePoint now, const Path& path, std::span<const Packet> packets);
  /// The same, for packets that another worker forwarded: they open nothing.
  void handle_forwarded(TimePoint now, const Path& path, std::span<const Packet> packets);

  /// Sessions that got packets since the last call, each once; pointers stay valid until ended.
  /// The view stays valid until the next handle_run().
  std::span<SessionEntry* const> take_touched();
  /// Sessions that a newer one from their address has replaced, handed to the caller.
  std::vector<std::unique_ptr<SessionEntry>> take_replaced();
  /// Sessions without a stream that were evicted for another, handed to the caller.
  std::vector<std::unique_ptr<SessionEntry>> take_evicted();
  /// What the last handle_run() found for other workers. The view stays valid until the next one.
  std::span<const Misrouted> misrouted() const { return misrouted_; }
  /// What the last handle_run() wants to be sent, with Link::append_challenge().
  std::span<const Challenged> challenges() const { return challenges_; }
  /// What the last handle_run() wants to be sent to clients that must prove their address.
  std::span<const CookieReply> cookie_replies() const { return cookie_replies_; }
  /// Removes a session and hands it to the caller. REQUIRES: it is in the table.
  std::unique_ptr<SessionEntry> end(TimePoint now, SessionEntry& session);
  /// The last session that was refused, if any was since the last call.
  std::optional<RefusedSession> take_refusal();

  /// The session with that conv, if any.
  SessionEntry* find(std::uint32_t conv) const;
  std::size_t size() const { return by_conv_.size() + by_id_.size(); }
  const SessionLimiter& limiter() const { return limiter_; }
  const Counters& counters() const { return counters_; }

 private:
  enum class Source : std::uint8_t { kSocket, kOtherWorker };
  struct Key {
    IpEndpoint remote;
    std::uint32_t socket = 0;
    bool operator==(const Key&) const = default;
  };
  struct KeyHash {
    std::size_t operator()(const Key& key) const { return IpEndpointHash{}(key.remote) ^ key.socket; }
  };
  static Key key_of(const Path& path) { return {path.remote, path.socket}; }

  static std::optional<std::uint32_t> conv_of(Bytes body);
  static std::size_t count_same_conv(std::span<const Packet> packets, std::uint32_t conv);
  void handle(TimePoint now, const Path& path, std::span<const Packet> packets, Source source);
  SessionEntry* find(const Path& path) const;
  SessionEntry* find_or_open(TimePoint now, const Path& path, MutableBytes body, Source source);
  SessionEntry* find_without_segment(TimePoint now, const Path& path, MutableBytes body, Source source);
  SessionEntry* find_migrating(TimePoint now, const Path& path, MutableBytes body, SessionEntry& session);
  SessionEntry* try_open(TimePoint now, const Path& path, const Segment& segment, SessionEntry* known);
  SessionEntry* open(TimePoint now, const Path& path, std::uint32_t conv);
  bool may_admit(const Path& path, SessionLimiter::Decision& decision);
  void evict_victim(TimePoint now, const SessionLimiter::Decision& decision);
  void record_activity(SessionEntry& session);
  static SessionLimiter::Id id_of(const SessionEntry& session);
  bool may_migrate(TimePoint now, const Path& path, const SessionEntry& session) const;
  void migrate(TimePoint now, const Path& path, SessionEntry& session);
  void set_path(TimePoint now, const Path& path, SessionEntry& session);
  static void credit_path(const Path& path, SessionEntry& session, std::span<const Packet> packets);
  void queue_challenge(TimePoint now, const Path& path, SessionEntry& session);
  void record_misrouted(const Path& path, std::uint32_t worker);
  std::size_t forward(std::span<const Packet> packets);
  // demux_by_session.cc
  static bool answers_challenge(const Path& path, const SessionEntry& session,
                                std::span<const Packet> bodies);
  void handle_session_run(TimePoint now, const Path& path, std::span<const Packet> packets, Source source);
  void handle_session_packets(TimePoint now, const Path& path, SessionEntry& session,
                              std::span<const Packet> packets);
  void open_with_first(TimePoint now, const Path& path, std::span<const Packet> packets);
  SessionEntry* open_session(TimePoint now, const Path& path, const Packet& packet);
  SessionEntry* open_noise_session(TimePoint now, const Path& path, const Packet& packet);
  bool belongs(const Packet& packet) const;
  SessionEntry* refuse(SessionRefusal why, const Path& path, std::uint32_t timestamp);
  SessionEntry* add_session(TimePoint now, const Path& path, SessionName name,
                            std::unique_ptr<NoiseSession> noise);
  std::unique_ptr<SessionEntry> end_session(TimePoint now, SessionEntry& session);

  LinkContext& context_;
  SessionLimiter limiter_;
  const DemuxSettings settings_;
  Random random_;
  std::unordered_map<std::uint32_t, std::unique_ptr<SessionEntry>> by_conv_;
  std::unordered_map<Key, SessionEntry*, KeyHash>
      by_path_;  // without sessions whose address another one has now
  std::unordered_map<Key, std::uint32_t, KeyHash> misrouted_paths_;  // the worker that gets their packets
  std::unordered_map<std::uint64_t, std::unique_ptr<SessionEntry>>
      by_id_;  // with a session header: the only table
  std::optional<RefusedSession> last_refusal_;
  std::optional<std::uint32_t> misrouted_to_;  // the worker of the packet that find_or_open() just saw
  std::vector<SessionEntry*> touched_;
  std::vector<SessionEntry*> taken_;
  std::vector<std::unique_ptr<SessionEntry>> replaced_;
  std::vector<std::unique_ptr<SessionEntry>> evicted_;
  std::vector<Misrouted> misrouted_;
  std::vector<Challenged> challenges_;
  std::optional<HelloGate> hello_gate_;  // none unless sessions have handshakes
  std::vector<CookieReply> cookie_replies_;
  Counters counters_;
};

}  // namespace kcptun
