// A memory quota for tests, on one thread.
#pragma once

#include <catch2/catch.hpp>

#include "core/smux/receive_budget.h"

namespace kcptun::test {

class TestQuota final : public MemoryQuota {
 public:
  explicit TestQuota(std::uint64_t limit) : limit_(limit) {}
  void charge(std::uint64_t bytes) override { charged_ += bytes; }
  void uncharge(std::uint64_t bytes) override {
    REQUIRE(bytes <= charged_);
    charged_ -= bytes;
  }
  std::uint64_t left() const override { return charged_ < limit_ ? limit_ - charged_ : 0; }
  std::uint64_t limit() const override { return limit_; }
  std::uint64_t charged() const { return charged_; }

 private:
  const std::uint64_t limit_;
  std::uint64_t charged_ = 0;
};

}  // namespace kcptun::test
