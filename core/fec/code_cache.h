// Reed-Solomon codes shared by the conversations of one loop.
#pragma once

#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include "core/base/settings.h"
#include "core/fec/coding_matrix.h"

namespace kcptun {

/// Makes a code once for all who use the same shard counts, and drops it with its last user: at most one code per user
/// (up to 17 KiB each). Single-threaded; outlives its users.
class FecCodeCache {
  struct Entry {
    FecCode code;
    std::size_t users;
  };

 public:
  explicit FecCodeCache(gf::Path path = gf::Path::kBest) : path_(path) {}
  FecCodeCache(const FecCodeCache&) = delete;
  FecCodeCache& operator=(const FecCodeCache&) = delete;
  ~FecCodeCache();

  /// Holds a code for its owner.
  class Use {
   public:
    Use() = default;
    Use(Use&& other) noexcept
        : cache_(other.cache_), entry_(std::exchange(other.entry_, nullptr)) {}
    Use& operator=(Use&& other) noexcept {
      std::swap(cache_, other.cache_);
      std::swap(entry_, other.entry_);
      return *this;
    }
    ~Use() { reset(); }
    void reset() {
      if (entry_) cache_->release(std::exchange(entry_, nullptr));
    }
    explicit operator bool() const { return entry_ != nullptr; }
    const FecCode& operator*() const { return entry_->code; }
    const FecCode* operator->() const { return &entry_->code; }

   private:
    friend class FecCodeCache;
    Use(FecCodeCache* cache, Entry* entry) : cache_(cache), entry_(entry) {}
    FecCodeCache* cache_ = nullptr;
    Entry* entry_ = nullptr;
  };

  /// REQUIRES: settings.enabled(), at most kMaxShards together.
  Use use(FecSettings settings);
  std::size_t size() const { return entries_.size(); }

 private:
  void release(Entry* entry);

  gf::Path path_;
  std::vector<std::unique_ptr<Entry>> entries_;
};

}  // namespace kcptun
