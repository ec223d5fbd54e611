#include "core/fec/erasure_code_cache.h"

#include <algorithm>

#include "core/base/check.h"

namespace kcptun {

ErasureCodeCache::~ErasureCodeCache() { KCPTUN_CHECK(entries_.empty()); }

ErasureCodeCache::Use ErasureCodeCache::use(FecSettings settings) {
  const auto found = std::find_if(entries_.begin(), entries_.end(), [&](const auto& entry) {
    return entry->code->data_shards() == settings.data_shards &&
           entry->code->parity_shards() == settings.parity_shards;
  });
  Entry* entry = nullptr;
  if (found != entries_.end()) {
    entry = found->get();
  } else {
    entries_.push_back(std::make_unique<Entry>(Entry{factory_(settings), 0}));
    entry = entries_.back().get();
  }
  ++entry->users;
  return Use(this, entry);
}

void ErasureCodeCache::release(Entry* entry) {
  if (--entry->users > 0) return;
  std::erase_if(entries_, [entry](const auto& held) { return held.get() == entry; });
}

}  // namespace kcptun
