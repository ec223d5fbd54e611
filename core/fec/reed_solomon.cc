#include "core/fec/reed_solomon.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "core/base/check.h"

namespace kcptun {

namespace {

constexpr unsigned kOrder = 255;  // of the multiplicative group

// log of the difference of two points.
unsigned gap(std::uint32_t a, std::uint32_t b) { return gf::log(a ^ b); }
unsigned inverse(unsigned log) { return kOrder - log; }

gf::Store kernel_store(ErasureCode::Store store) {
  return store == ErasureCode::Store::kSet ? gf::Store::kSet : gf::Store::kAdd;
}

// Runs the kernel over stretches in which the same sources have bytes left.
void multiply_rows(gf::Kernel kernel, gf::Product& block, std::span<const Bytes> sources, std::size_t size,
                   gf::Store store) {
  const auto factor = block.factor;
  for (std::size_t begin = 0; begin < size;) {
    std::size_t end = size;
    block.columns = 0;
    for (std::size_t c = 0; c < sources.size(); ++c) {
      if (sources[c].size() <= begin) continue;
      end = std::min(end, sources[c].size());
      block.source[block.columns] = sources[c].data();
      for (std::size_t r = 0; r < block.rows; ++r) block.factor[r][block.columns] = factor[r][c];
      ++block.columns;
    }
    if (block.columns > 0) {
      kernel(block, begin, end, store);
    } else if (store == gf::Store::kSet) {
      for (std::size_t r = 0; r < block.rows; ++r) std::memset(block.target[r] + begin, 0, end - begin);
    }
    begin = end;
  }
}

// All sources are as long as the result: there is one stretch, and the factors need no second copy.
void multiply_equal(gf::Kernel kernel, gf::Product& block, std::span<const Bytes> sources, std::size_t size,
                    gf::Store store) {
  block.columns = sources.size();
  for (std::size_t c = 0; c < sources.size(); ++c) block.source[c] = sources[c].data();
  kernel(block, 0, size, store);
}

// targets = (targets +) factors * sources, a block of rows at a time. factor_of(row, column) gives the
// matrix.
template <typename FactorOf>
void multiply(gf::Kernel kernel, FactorOf factor_of, std::span<const Bytes> sources,
              const ErasureCode::Targets& targets) {
  const std::size_t size = targets.size;
  const gf::Store store = kernel_store(targets.store);
  const bool equal = !sources.empty() && std::all_of(sources.begin(), sources.end(),
                                                     [size](Bytes s) { return s.size() == size; });
  gf::Product block;
  for (std::size_t row = 0; row < targets.shards.size(); row += gf::kRowBlock) {
    block.rows = std::min(gf::kRowBlock, targets.shards.size() - row);
    for (std::size_t r = 0; r < block.rows; ++r) {
      block.target[r] = targets.shards[row + r];
      for (std::size_t c = 0; c < sources.size(); ++c) block.factor[r][c] = factor_of(row + r, c);
    }
    (equal ? multiply_equal : multiply_rows)(kernel, block, sources, size, store);
  }
}

}  // namespace

ReedSolomonCode::ReedSolomonCode(FecSettings counts, gf::Backend backend)
    : ErasureCode(counts), kernel_(gf::kernel(backend)) {
  node_log_.resize(shards());
  for (std::uint32_t point = 0; point < shards(); ++point) {
    unsigned sum = 0;
    for (std::uint32_t node = 0; node < data_shards(); ++node) {
      if (node != point) sum += gap(point, node);
    }
    node_log_[point] = static_cast<std::uint8_t>(sum % kOrder);
  }
  rows_.resize(std::size_t{parity_shards()} * data_shards());
  for (std::uint32_t row = 0; row < parity_shards(); ++row) {
    const std::uint32_t point = data_shards() + row;
    for (std::uint32_t c = 0; c < data_shards(); ++c) {
      rows_[row * data_shards() + c] =
          gf::power(node_log_[point] + inverse(gap(point, c)) + inverse(node_log_[c]));
    }
  }
}

void ReedSolomonCode::encode(const DataShards& data, const Targets& parity) const {
  KCPTUN_CHECK(data.first + data.shards.size() <= data_shards() && parity.shards.size() <= parity_shards());
  const std::uint8_t* rows = rows_.data() + data.first;
  const std::size_t stride = data_shards();
  multiply(
      kernel_, [=](std::size_t r, std::size_t c) { return rows[r * stride + c]; }, data.shards, parity);
}

// Products of differences between points, over the set S of the survivors' points. S is the data points
// without the lost ones plus as many parity points, so each product follows from the one over the data points
// (node_log_) by a correction for each lost point and each parity point.
class ReedSolomonCode::SurvivorProducts {
 public:
  SurvivorProducts(const ReedSolomonCode& code, std::span<const Survivor> survivors) : code_(code) {
    std::array<bool, kMaxShards> present{};
    for (const Survivor& s : survivors) {
      present[s.index] = true;
      if (s.index >= code.data_shards()) parity_[parities_++] = s.index;
    }
    std::size_t missing = 0;
    for (std::uint32_t i = 0; i < code.data_shards(); ++i) {
      if (!present[i]) missing_[missing++] = i;
    }
    KCPTUN_CHECK(parities_ == missing);
  }

  // log of the product of (point - j) over j in S, j != point.
  std::uint8_t log_at(std::uint32_t point) const {
    unsigned sum = code_.node_log_[point];
    for (std::size_t i = 0; i < parities_; ++i) {
      if (parity_[i] != point) sum += gap(point, parity_[i]);
      if (missing_[i] != point) sum += inverse(gap(point, missing_[i]));
    }
    return static_cast<std::uint8_t>(sum % kOrder);
  }

 private:
  const ReedSolomonCode& code_;
  std::array<std::uint32_t, kMaxShards> parity_;
  std::array<std::uint32_t, kMaxShards> missing_;  // data points that are not in S; `lost` may be fewer
  std::size_t parities_ = 0;                       // of each
};

// Lagrange's coefficient of survivor s for lost point e, with S the survivors' points:
//   product over j in S, j != s, of (e - j) / (s - j).
void ReedSolomonCode::decode(std::span<const Survivor> survivors, std::span<const std::uint32_t> lost,
                             const Targets& outs) const {
  KCPTUN_CHECK(survivors.size() == data_shards() && lost.size() == outs.shards.size() &&
               outs.store == Store::kSet);
  const SurvivorProducts products(*this, survivors);
  std::array<std::uint8_t, kMaxShards> divisor;
  std::array<std::uint8_t, kMaxShards> point;
  std::array<Bytes, kMaxShards> sources;
  for (std::size_t c = 0; c < survivors.size(); ++c) {
    point[c] = static_cast<std::uint8_t>(survivors[c].index);
    divisor[c] = products.log_at(survivors[c].index);
    sources[c] = survivors[c].bytes;
  }
  std::array<std::uint8_t, kMaxShards> dividend;
  for (std::size_t r = 0; r < lost.size(); ++r) dividend[r] = products.log_at(lost[r]);
  multiply(
      kernel_,
      [&](std::size_t r, std::size_t c) {
        return gf::power(dividend[r] + inverse(gap(lost[r], point[c])) + inverse(divisor[c]));
      },
      std::span<const Bytes>(sources.data(), survivors.size()), outs);
}

std::unique_ptr<const ErasureCode> make_reed_solomon(FecSettings counts) {
  return std::make_unique<ReedSolomonCode>(counts);
}

}  // namespace kcptun
