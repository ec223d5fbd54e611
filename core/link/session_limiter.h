// Which sessions a server admits: a bound on all, a share for each address, and the choice of sessions to
// evict.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <list>
#include <unordered_map>
#include <variant>

#include "core/base/path.h"

namespace kcptun {

/// Knows each session's id and address, and which are half-open (have not carried a stream yet), ordered by
/// their last packet. It decides; Demux opens and ends sessions. It stops a flood of packets that open
/// sessions with the right key, from any addresses: only half-open sessions are evicted, the longest silent
/// one first, never one with streams. All work is O(1). Memory: a node for each session, a count for each
/// address, so bounded by `max_sessions`.
class SessionLimiter {
 public:
  using Id = std::uint64_t;
  struct Counters {
    std::uint64_t evicted = 0;       // half-open ones, in favour of others
    std::uint64_t refused_full = 0;  // sessions with streams have all slots
    std::uint64_t refused_share =
        0;  // slots are short, and this address has its share of sessions with streams
  };
  enum class Answer : std::uint8_t { kAdmit, kEvictThenAdmit, kRefuse };
  struct Decision {
    Answer answer = Answer::kAdmit;
    Id victim = 0;  // of kEvictThenAdmit: remove() it first
  };

  /// An address's share is a quarter of all slots. Once only a quarter is left, it is kept for addresses
  /// below their share. So a single address gets at most three quarters.
  static constexpr std::size_t kShare = 4;

  explicit SessionLimiter(std::size_t max_sessions);

  /// May a session from `remote` begin? Counts refusals and evictions.
  Decision decide(const IpEndpoint& remote);
  /// It has begun, half-open. REQUIRES: `id` is not in use.
  void add(Id id, const IpEndpoint& remote);
  /// It has its first stream: from now on it is never evicted.
  void establish(Id id);
  /// A packet of it arrived.
  void record_activity(Id id);
  /// It has another address.
  void migrate(Id id, const IpEndpoint& remote);
  void remove(Id id);

  std::size_t size() const { return sessions_.size(); }
  std::size_t half_open() const { return half_open_; }
  std::size_t max_sessions() const { return max_sessions_; }
  std::size_t share() const { return share_; }
  const Counters& counters() const { return counters_; }

 private:
  /// An IPv4 address, or the first 64 bits of an IPv6 address: a host may choose the others freely.
  using Owner = std::array<std::uint8_t, 16>;
  struct OwnerHash {
    std::size_t operator()(const Owner& owner) const;
  };
  struct PerOwner {
    std::size_t sessions = 0;
    std::list<Id> half_open;  // the longest silent one first
  };
  struct Session {
    Owner owner;
    bool established = false;
    std::list<Id>::iterator in_all;  // while half-open
    std::list<Id>::iterator in_owner;
  };

  static Owner owner_of(const IpEndpoint& remote);
  bool slots_are_short() const { return max_sessions_ - sessions_.size() <= share_; }
  void leave_lists(Session& session);

  const std::size_t max_sessions_;
  const std::size_t share_;
  std::unordered_map<Id, Session> sessions_;
  std::unordered_map<Owner, PerOwner, OwnerHash> owners_;
  std::list<Id> half_open_list_;  // the longest silent one first
  std::size_t half_open_ = 0;
  Counters counters_;
};

}  // namespace kcptun
