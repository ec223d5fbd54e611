// The protocol's Reed-Solomon code (docs/develop/protocol.md section 4) for one pair of shard counts.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/settings.h"
#include "core/fec/gf_kernels.h"

namespace kcptun {

/// Immutable after construction, so that all conversations of all loops may share one. Knows shards as bytes; not
/// packets, sequence numbers or groups.
///
/// Shard i of a group is the value at point i of the polynomial of degree < data_shards that runs through the data
/// shards at points 0, 1, ...: that is what V * inverse(top of V) says. So every coefficient, for coding and for any
/// erasure pattern, is a Lagrange coefficient and costs a few table lookups; no matrix is inverted and nothing needs
/// a cache.
///
/// Shards may be of different lengths and lie anywhere: behind its end a shard counts as zeros.
class FecCode {
 public:
  /// REQUIRES: both counts positive, at most kMaxShards together, and supported(path).
  FecCode(std::uint32_t data_shards, std::uint32_t parity_shards, gf::Path path = gf::Path::kBest);

  std::uint32_t data_shards() const { return data_shards_; }
  std::uint32_t parity_shards() const { return parity_shards_; }
  std::uint32_t shards() const { return data_shards_ + parity_shards_; }
  /// Sequence numbers of groups run from 0 to wrap() - 1 (docs/develop/protocol.md section 4).
  std::uint32_t wrap() const { return 0xffffffffu / shards() * shards(); }

  /// Element of the coding matrix: parity row 0.., data column 0.. .
  std::uint8_t coefficient(std::uint32_t row, std::uint32_t column) const {
    return rows_[row * data_shards_ + column];
  }

  /// What data shards first, first + 1, ... contribute to the first parity.size() parity shards, `size` bytes each:
  /// written there (Store::kSet) or added to what is there (Store::kAdd).
  /// REQUIRES: no data shard is longer than `size`.
  void encode(std::size_t first, std::span<const Bytes> data, std::span<std::uint8_t* const> parity, std::size_t size,
              gf::Store store) const;

  /// One shard that arrived.
  struct Survivor {
    std::uint32_t index = 0;  // position in the group
    Bytes bytes;
  };
  /// Computes data shards lost[i] into outs[i], `size` bytes each.
  /// REQUIRES: data_shards() survivors, their indices and `lost` distinct, none longer than `size`.
  void decode(std::span<const Survivor> survivors, std::span<const std::uint32_t> lost,
              std::span<std::uint8_t* const> outs, std::size_t size) const;

 private:
  std::uint32_t data_shards_;
  std::uint32_t parity_shards_;
  gf::Kernel kernel_;
  std::vector<std::uint8_t> rows_;      // parity_shards_ x data_shards_
  std::vector<std::uint8_t> node_log_;  // per point: log of the product of its differences to all (other) data points
};

}  // namespace kcptun
