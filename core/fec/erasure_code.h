// An erasure code as FecEncoder and FecDecoder use it: parity shards from data shards, and lost data shards
// from the rest.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>

#include "core/base/bytes.h"
#include "core/base/check.h"
#include "core/base/settings.h"

namespace kcptun {

/// A systematic code for one pair of shard counts: any data_shards() shards of a group give the whole group.
/// It works on bytes, and knows no packets, sequence numbers or groups. Immutable after construction, so
/// sessions may share one.
///
/// A new code is one file: a subclass, and a factory (ErasureCodeFactory) that LinkContext gives to its
/// cache. Calls are a few per group, so the virtual call is not measurable (encode and decode take
/// microseconds).
///
/// Shards may have different lengths and any alignment. A shard counts as zeros beyond its end.
class ErasureCode {
 public:
  /// Whether a result replaces the bytes of its target or is added to them.
  enum class Store : std::uint8_t { kSet, kAdd };
  /// Consecutive data shards of a group, the first of them at position `first`.
  struct DataShards {
    std::size_t first = 0;
    std::span<const Bytes> shards;
  };
  /// Where results go: `size` bytes each.
  struct Targets {
    std::span<std::uint8_t* const> shards;
    std::size_t size = 0;
    Store store = Store::kSet;
  };
  /// A shard that arrived.
  struct Survivor {
    std::uint32_t index = 0;  // position in the group
    Bytes bytes;
  };

  virtual ~ErasureCode() = default;
  ErasureCode(const ErasureCode&) = delete;
  ErasureCode& operator=(const ErasureCode&) = delete;

  std::uint32_t data_shards() const { return counts_.data_shards; }
  std::uint32_t parity_shards() const { return counts_.parity_shards; }
  std::uint32_t shards() const { return counts_.data_shards + counts_.parity_shards; }
  /// Sequence numbers of groups run from 0 to wrap() - 1 (docs/develop/protocol.md section 4).
  std::uint32_t wrap() const { return 0xffffffffu / shards() * shards(); }

  /// Computes what `data` contributes to the first parity.shards.size() parity shards.
  /// REQUIRES: no data shard is longer than parity.size; at most parity_shards() targets.
  virtual void encode(const DataShards& data, const Targets& parity) const = 0;

  /// Computes data shards lost[i] into outs.shards[i].
  /// REQUIRES: data_shards() survivors, none longer than outs.size; their indices and `lost` are distinct;
  /// outs.store is kSet.
  virtual void decode(std::span<const Survivor> survivors, std::span<const std::uint32_t> lost,
                      const Targets& outs) const = 0;

 protected:
  /// REQUIRES: both counts positive, at most kMaxShards together.
  explicit ErasureCode(FecSettings counts) : counts_(counts) {
    KCPTUN_CHECK(counts.enabled() && counts.data_shards <= kMaxShards && counts.parity_shards <= kMaxShards &&
                 shards() <= kMaxShards);
  }

 private:
  const FecSettings counts_;
};

/// Makes the code for a pair of shard counts.
using ErasureCodeFactory = std::function<std::unique_ptr<const ErasureCode>(FecSettings counts)>;

}  // namespace kcptun
