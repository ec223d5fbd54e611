// The protocol's Reed-Solomon code (docs/develop/protocol.md section 4).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "core/fec/erasure_code.h"
#include "core/fec/gf_kernels.h"

namespace kcptun {

/// Shard i of a group is the value at point i of the polynomial of degree < data_shards that runs through the
/// data shards at points 0, 1, ... (V * inverse(top of V), with V the Vandermonde matrix). So each
/// coefficient, for any erasure pattern, is a Lagrange coefficient and costs a few table lookups: no matrix
/// is inverted, and no inverse is cached.
class ReedSolomonCode final : public ErasureCode {
 public:
  /// REQUIRES: supported(backend).
  explicit ReedSolomonCode(FecSettings counts, gf::Backend backend = gf::Backend::kBest);

  /// Element of the coding matrix: parity row 0.., data column 0.. .
  std::uint8_t coefficient(std::uint32_t row, std::uint32_t column) const {
    return rows_[row * data_shards() + column];
  }

  void encode(const DataShards& data, const Targets& parity) const override;
  void decode(std::span<const Survivor> survivors, std::span<const std::uint32_t> lost,
              const Targets& outs) const override;

 private:
  class SurvivorProducts;

  gf::Kernel kernel_;
  std::vector<std::uint8_t> rows_;  // parity_shards() x data_shards()
  std::vector<std::uint8_t>
      node_log_;  // per point: log of the product of its differences to all (other) data points
};

/// The ErasureCodeFactory of ReedSolomonCode.
std::unique_ptr<const ErasureCode> make_reed_solomon(FecSettings counts);

}  // namespace kcptun
