// Which sessions a server lets in when there are many: the bound on all, each address's share of it, and who must go.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <list>
#include <unordered_map>
#include <variant>

#include "core/base/path.h"

namespace kcptun {

/// Knows sessions by number, the address each came from, which of them are half-open (have not carried a stream yet),
/// and the order in which those last said something. Decides; the Demux opens and ends. Stops a flood of packets
/// that open sessions, from whatever addresses, with the right key: it takes no place from a session with streams, for
/// only half-open ones are ever put out, the one that is silent for longest first.
/// All work is O(1). Memory: a node for each session, a count for each address, so bounded by `most`.
class SessionLimiter {
 public:
  using Id = std::uint64_t;
  struct Counters {
    std::uint64_t evicted = 0;       // half-open ones that had to go
    std::uint64_t refused_full = 0;  // all places are taken by sessions with streams
    std::uint64_t refused_share = 0;  // places are short, and all that this address has are
  };
  enum class Answer : std::uint8_t { kAdmit, kEvictThenAdmit, kRefuse };
  struct Decision {
    Answer answer = Answer::kAdmit;
    Id victim = 0;  // of a kEvictThenAdmit: remove() it first
  };

  /// The part of all places that is an address's share, and that is kept for those which have not used up theirs: a
  /// quarter. An address alone may so have three quarters; the last one no address gets that has more than its share.
  static constexpr std::size_t kShare = 4;

  explicit SessionLimiter(std::size_t most);

  /// A session wants to begin. Counts refusals and evictions.
  Decision decide(const IpEndpoint& remote);
  /// It has begun, half-open. REQUIRES: `id` is not in use.
  void add(Id id, const IpEndpoint& remote);
  /// It has its first stream: from now on it is never put out.
  void establish(Id id);
  /// Something came for it.
  void touch(Id id);
  /// It came from another address.
  void move(Id id, const IpEndpoint& remote);
  void remove(Id id);

  std::size_t size() const { return sessions_.size(); }
  std::size_t half_open() const { return half_open_; }
  std::size_t most() const { return most_; }
  std::size_t share() const { return share_; }
  const Counters& counters() const { return counters_; }

 private:
  /// An IPv4 address, or the first 64 bits of an IPv6 one, of which a host has as many as it likes.
  using Owner = std::array<std::uint8_t, 16>;
  struct OwnerHash {
    std::size_t operator()(const Owner& owner) const;
  };
  struct PerOwner {
    std::size_t sessions = 0;
    std::list<Id> half_open;  // silent for longest first
  };
  struct Session {
    Owner owner;
    bool established = false;
    std::list<Id>::iterator in_all;    // while half-open
    std::list<Id>::iterator in_owner;
  };

  static Owner owner_of(const IpEndpoint& remote);
  bool short_of_places() const { return most_ - sessions_.size() <= share_; }
  void leave_lists(Session& session);

  const std::size_t most_;
  const std::size_t share_;
  std::unordered_map<Id, Session> sessions_;
  std::unordered_map<Owner, PerOwner, OwnerHash> owners_;
  std::list<Id> half_open_list_;  // silent for longest first
  std::size_t half_open_ = 0;
  Counters counters_;
};

}  // namespace kcptun
