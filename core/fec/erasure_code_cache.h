// Erasure codes that the sessions of one engine share.
#pragma once

#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include "core/base/settings.h"
#include "core/fec/erasure_code.h"

namespace kcptun {

/// Makes one code for each pair of shard counts in use, and drops it with its last user: at most one code per
/// user (a ReedSolomonCode has up to 17 KiB). Single-threaded; outlives its users.
class ErasureCodeCache {
  struct Entry {
    std::unique_ptr<const ErasureCode> code;
    std::size_t users;
  };

 public:
  explicit ErasureCodeCache(ErasureCodeFactory factory) : factory_(std::move(factory)) {}
  ErasureCodeCache(const ErasureCodeCache&) = delete;
  ErasureCodeCache& operator=(const ErasureCodeCache&) = delete;
  ~ErasureCodeCache();

  /// Holds a code for its owner.
  class Use {
   public:
    Use() = default;
    Use(Use&& other) noexcept : cache_(other.cache_), entry_(std::exchange(other.entry_, nullptr)) {}
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
    const ErasureCode& operator*() const { return *entry_->code; }
    const ErasureCode* operator->() const { return entry_->code.get(); }

   private:
    friend class ErasureCodeCache;
    Use(ErasureCodeCache* cache, Entry* entry) : cache_(cache), entry_(entry) {}
    ErasureCodeCache* cache_ = nullptr;
    Entry* entry_ = nullptr;
  };

  /// REQUIRES: settings.enabled(), at most kMaxShards together.
  Use use(FecSettings settings);
  std::size_t size() const { return entries_.size(); }

 private:
  void release(Entry* entry);

  ErasureCodeFactory factory_;
  std::vector<std::unique_ptr<Entry>> entries_;
};

}  // namespace kcptun
