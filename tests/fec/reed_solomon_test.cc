#include "core/fec/reed_solomon.h"

#include <catch2/catch.hpp>

extern "C" {
#include <jerasure.h>
}

#include <numeric>

#include "core/base/random.h"
#include "tests/support/vectors.h"

namespace kcptun::test::reed_solomon_test {

namespace {

using Buffer = std::vector<std::uint8_t>;

std::vector<gf::Backend> backends() {
  std::vector<gf::Backend> out;
  using enum gf::Backend;
  for (gf::Backend backend : {kBest, kJerasure, kAvx2, kAvx2Gfni, kAvx512Gfni}) {
    if (gf::supported(backend)) out.push_back(backend);
  }
  return out;
}

// A group of random shards of `longest` bytes or fewer, parity behind data.
std::vector<Buffer> make_group(const ErasureCode& code, Random& random, std::size_t longest, bool equal) {
  std::vector<Buffer> shards(code.shards());
  std::vector<Bytes> data;
  for (std::uint32_t i = 0; i < code.data_shards(); ++i) {
    shards[i].resize(equal || i == 0 ? longest : 1 + random.below(static_cast<std::uint32_t>(longest)));
    for (std::uint8_t& b : shards[i]) b = static_cast<std::uint8_t>(random.next32());
    data.push_back(shards[i]);
  }
  std::vector<std::uint8_t*> parity;
  for (std::uint32_t i = code.data_shards(); i < code.shards(); ++i) {
    shards[i].resize(longest);
    parity.push_back(shards[i].data());
  }
  code.encode({0, data}, {parity, longest});
  return shards;
}

// Recovers the data shards that `here` lacks from the first that it has.
void check_recovery(const ErasureCode& code, const std::vector<Buffer>& shards,
                    const std::vector<bool>& here) {
  const std::size_t size = shards.back().size();
  std::vector<ErasureCode::Survivor> survivors;
  std::vector<std::uint32_t> lost;
  for (std::uint32_t i = 0; i < code.shards(); ++i) {
    if (here[i] && survivors.size() < code.data_shards()) survivors.push_back({i, shards[i]});
    if (!here[i] && i < code.data_shards()) lost.push_back(i);
  }
  if (survivors.size() < code.data_shards() || lost.empty()) return;
  std::vector<Buffer> outs(lost.size(), Buffer(size, 0xee));
  std::vector<std::uint8_t*> pointers;
  for (Buffer& out : outs) pointers.push_back(out.data());
  code.decode(survivors, lost, {pointers, size});
  for (std::size_t i = 0; i < lost.size(); ++i) {
    Buffer expected = shards[lost[i]];
    expected.resize(size);
    REQUIRE(outs[i] == expected);
  }
}

}  // namespace

TEST_CASE("coding rows and parity are those of the recorded groups, on every backend") {
  const auto vectors = load_vectors("fec.json");
  for (const auto& group : vectors.at("groups")) {
    for (gf::Backend backend : backends()) {
      const ReedSolomonCode code({group.at("data_shards"), group.at("parity_shards")}, backend);
      std::vector<Buffer> data, parity;
      for (const auto& hex : group.at("data")) data.push_back(from_hex(hex));
      for (const auto& hex : group.at("parity")) parity.push_back(from_hex(hex));
      for (std::uint32_t r = 0; r < code.parity_shards(); ++r) {
        const Buffer row = from_hex(group.at("coding_matrix_rows").at(r));
        for (std::uint32_t c = 0; c < code.data_shards(); ++c) REQUIRE(code.coefficient(r, c) == row[c]);
      }
      const std::size_t size = parity[0].size();
      for (std::size_t some = 0; some <= parity.size(); ++some) {  // also the first few parity shards alone
        std::vector<Buffer> outs(some, Buffer(size));
        std::vector<std::uint8_t*> pointers;
        for (Buffer& out : outs) pointers.push_back(out.data());
        const std::vector<Bytes> views(data.begin(), data.end());
        code.encode({0, views}, {pointers, size});
        REQUIRE(std::equal(outs.begin(), outs.end(), parity.begin()));
      }
    }
  }
}

TEST_CASE("every erasure pattern of 10/3, 3/3 and 1/1 is recovered, on every backend") {
  Random random(7);
  for (gf::Backend backend : backends()) {
    for (auto [data, parity] : {std::pair{10u, 3u}, {3u, 3u}, {1u, 1u}}) {
      const ReedSolomonCode code({data, parity}, backend);
      const auto shards = make_group(code, random, 73, false);
      for (unsigned mask = 0; mask < 1u << code.shards(); ++mask) {
        std::vector<bool> here(code.shards());
        for (std::uint32_t i = 0; i < code.shards(); ++i) here[i] = mask >> i & 1;
        check_recovery(code, shards, here);
      }
    }
  }
}

TEST_CASE("random erasures of random codes of up to 256 shards are recovered, and all backends agree") {
  const std::uint64_t seed = 20261123;
  CAPTURE(seed);
  Random random(seed);
  for (int round = 0; round < 60; ++round) {
    const std::uint32_t total = round < 3 ? 256 : 2 + random.below(255);
    const std::uint32_t data = round == 1 ? 255 : round == 2 ? 1 : 1 + random.below(total - 1);
    const std::size_t longest = 1 + random.below(1500);
    CAPTURE(data, total, longest);
    const std::uint64_t group_seed = random.next();
    std::vector<Buffer> first;
    for (gf::Backend backend : backends()) {
      const ReedSolomonCode code({data, total - data}, backend);
      Random group_random(group_seed);
      const auto shards = make_group(code, group_random, longest, round % 2);
      if (first.empty()) first = shards;
      REQUIRE(shards == first);
      std::vector<std::uint32_t> order(total);
      std::iota(order.begin(), order.end(), 0u);
      for (std::uint32_t i = total - 1; i > 0; --i) std::swap(order[i], order[group_random.below(i + 1)]);
      std::vector<bool> here(total);
      for (std::uint32_t i = 0; i < data; ++i) here[order[i]] = true;
      check_recovery(code, shards, here);
    }
  }
}

TEST_CASE("parity and recovery are those of Jerasure's own matrix routines") {
  Random random(3);
  for (auto [k, m] : {std::pair{10, 3}, {5, 5}, {2, 8}, {40, 20}}) {
    const ReedSolomonCode code({static_cast<std::uint32_t>(k), static_cast<std::uint32_t>(m)});
    std::vector<int> matrix;
    for (int r = 0; r < m; ++r)
      for (int c = 0; c < k; ++c)
        matrix.push_back(code.coefficient(static_cast<std::uint32_t>(r), static_cast<std::uint32_t>(c)));
    constexpr int kSize = 1304;
    const auto shards = make_group(code, random, kSize, true);
    std::vector<Buffer> copy = shards;
    std::vector<char*> data, parity;
    for (int i = 0; i < k + m; ++i)
      (i < k ? data : parity).push_back(reinterpret_cast<char*>(copy[static_cast<std::size_t>(i)].data()));
    jerasure_matrix_encode(k, m, 8, matrix.data(), data.data(), parity.data(), kSize);
    REQUIRE(copy == shards);
    std::vector<int> erasures{0, k - 1, -1};
    std::fill(copy[0].begin(), copy[0].end(), std::uint8_t{0});
    std::fill(copy[static_cast<std::size_t>(k - 1)].begin(), copy[static_cast<std::size_t>(k - 1)].end(),
              std::uint8_t{0});
    REQUIRE(jerasure_matrix_decode(k, m, 8, matrix.data(), 0, erasures.data(), data.data(), parity.data(),
                                   kSize) == 0);
    REQUIRE(copy == shards);
    std::vector<bool> here(static_cast<std::size_t>(k + m), true);
    here[0] = here[static_cast<std::size_t>(k - 1)] = false;
    check_recovery(code, shards, here);
  }
}

TEST_CASE("parity summed up piece by piece is that of the whole group, at any alignment") {
  Random random(11);
  for (gf::Backend backend : backends()) {
    const ReedSolomonCode code({7, 6}, backend);
    for (std::size_t shift = 0; shift < 16; ++shift) {
      const auto shards = make_group(code, random, 100 + shift * 13, false);
      const std::size_t size = shards.back().size();
      std::vector<Buffer> outs(6, Buffer(size + 16));
      std::vector<std::uint8_t*> pointers;
      for (Buffer& out : outs) pointers.push_back(out.data() + shift);
      for (std::size_t i = 0; i < 7; ++i) {
        const std::array<Bytes, 1> one{Bytes(shards[i])};
        code.encode({i, one}, {pointers, size, i == 0 ? ErasureCode::Store::kSet : ErasureCode::Store::kAdd});
      }
      for (std::size_t i = 0; i < 6; ++i) {
        REQUIRE(Buffer(pointers[i], pointers[i] + size) == shards[7 + i]);
        REQUIRE(std::all_of(outs[i].begin(), outs[i].begin() + static_cast<std::ptrdiff_t>(shift),
                            [](int b) { return b == 0; }));
        REQUIRE(
            std::all_of(pointers[i] + size, outs[i].data() + outs[i].size(), [](int b) { return b == 0; }));
      }
    }
  }
}

}  // namespace kcptun::test::reed_solomon_test
