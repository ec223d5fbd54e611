#include "core/fec/coding_matrix.h"

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

// All sources as long as the result: one stretch, and the factors need no second copy.
void multiply_equal(gf::Kernel kernel, gf::Product& block, std::span<const Bytes> sources, std::size_t size,
                    gf::Store store) {
  block.columns = sources.size();
  for (std::size_t c = 0; c < sources.size(); ++c) block.source[c] = sources[c].data();
  kernel(block, 0, size, store);
}

// targets = (targets +) factors * sources, a block of rows at a time. factor_of(row, column) gives the matrix.
template <typename FactorOf>
void multiply(gf::Kernel kernel, FactorOf factor_of, std::span<const Bytes> sources,
              std::span<std::uint8_t* const> targets, std::size_t size, gf::Store store) {
  const bool equal = !sources.empty() && std::all_of(sources.begin(), sources.end(),
                                                     [size](Bytes s) { return s.size() == size; });
  gf::Product block;
  for (std::size_t row = 0; row < targets.size(); row += gf::kRowBlock) {
    block.rows = std::min(gf::kRowBlock, targets.size() - row);
    for (std::size_t r = 0; r < block.rows; ++r) {
      block.target[r] = targets[row + r];
      for (std::size_t c = 0; c < sources.size(); ++c) block.factor[r][c] = factor_of(row + r, c);
    }
    (equal ? multiply_equal : multiply_rows)(kernel, block, sources, size, store);
  }
}

}  // namespace

FecCode::FecCode(std::uint32_t data_shards, std::uint32_t parity_shards, gf::Path path)
    : data_shards_(data_shards), parity_shards_(parity_shards), kernel_(gf::kernel(path)) {
  KCPTUN_CHECK(data_shards > 0 && parity_shards > 0 && data_shards <= kMaxShards && parity_shards <= kMaxShards &&
               shards() <= kMaxShards);
  node_log_.resize(shards());
  for (std::uint32_t point = 0; point < shards(); ++point) {
    unsigned sum = 0;
    for (std::uint32_t node = 0; node < data_shards_; ++node) {
      if (node != point) sum += gap(point, node);
    }
    node_log_[point] = static_cast<std::uint8_t>(sum % kOrder);
  }
  rows_.resize(std::size_t{parity_shards_} * data_shards_);
  for (std::uint32_t row = 0; row < parity_shards_; ++row) {
    const std::uint32_t point = data_shards_ + row;
    for (std::uint32_t c = 0; c < data_shards_; ++c) {
      rows_[row * data_shards_ + c] = gf::power(node_log_[point] + inverse(gap(point, c)) + inverse(node_log_[c]));
    }
  }
}

void FecCode::encode(std::size_t first, std::span<const Bytes> data, std::span<std::uint8_t* const> parity,
                     std::size_t size, gf::Store store) const {
  KCPTUN_CHECK(first + data.size() <= data_shards_ && parity.size() <= parity_shards_);
  const std::uint8_t* rows = rows_.data() + first;
  const std::size_t stride = data_shards_;
  multiply(kernel_, [=](std::size_t r, std::size_t c) { return rows[r * stride + c]; }, data, parity, size, store);
}

// Lagrange's coefficient of survivor s for lost point e, with S the survivors' points:
//   product over j in S, j != s, of (e - j) / (s - j).
// S is the data points without the lost ones plus as many parity points, so the products over S follow from those over
// the data points (node_log_) by a correction per lost point and per parity point.
void FecCode::decode(std::span<const Survivor> survivors, std::span<const std::uint32_t> lost,
                     std::span<std::uint8_t* const> outs, std::size_t size) const {
  KCPTUN_CHECK(survivors.size() == data_shards_ && lost.size() == outs.size());
  std::array<std::uint32_t, kMaxShards> parity;
  std::array<std::uint32_t, kMaxShards> missing;  // all data points that are not in S; `lost` may be fewer
  std::array<bool, kMaxShards> present{};
  std::size_t parities = 0, missings = 0;
  for (const Survivor& s : survivors) {
    present[s.index] = true;
    if (s.index >= data_shards_) parity[parities++] = s.index;
  }
  for (std::uint32_t i = 0; i < data_shards_; ++i) {
    if (!present[i]) missing[missings++] = i;
  }
  KCPTUN_CHECK(parities == missings);
  // log of the product of (point - j) over j in S, j != point
  const auto product_over_survivors = [&](std::uint32_t point) {
    unsigned sum = node_log_[point];
    for (std::size_t i = 0; i < parities; ++i) {
      if (parity[i] != point) sum += gap(point, parity[i]);
      if (missing[i] != point) sum += inverse(gap(point, missing[i]));
    }
    return sum % kOrder;
  };
  std::array<std::uint8_t, kMaxShards> divisor;
  std::array<std::uint8_t, kMaxShards> point;
  std::array<Bytes, kMaxShards> sources;
  for (std::size_t c = 0; c < survivors.size(); ++c) {
    point[c] = static_cast<std::uint8_t>(survivors[c].index);
    divisor[c] = static_cast<std::uint8_t>(product_over_survivors(survivors[c].index));
    sources[c] = survivors[c].bytes;
  }
  std::array<std::uint8_t, kMaxShards> dividend;
  for (std::size_t r = 0; r < lost.size(); ++r) dividend[r] = static_cast<std::uint8_t>(product_over_survivors(lost[r]));
  multiply(
      kernel_,
      [&](std::size_t r, std::size_t c) {
        return gf::power(dividend[r] + inverse(gap(lost[r], point[c])) + inverse(divisor[c]));
      },
      std::span<const Bytes>(sources.data(), survivors.size()), outs, size, gf::Store::kSet);
}

}  // namespace kcptun
