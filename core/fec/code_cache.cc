#include "core/fec/code_cache.h"

#include <algorithm>

#include "core/base/check.h"

namespace kcptun {

FecCodeCache::~FecCodeCache() { KCPTUN_CHECK(entries_.empty()); }

FecCodeCache::Use FecCodeCache::use(FecSettings settings) {
  const auto found = std::find_if(entries_.begin(), entries_.end(), [&](const auto& entry) {
    return entry->code.data_shards() == settings.data_shards && entry->code.parity_shards() == settings.parity_shards;
  });
  Entry* entry = nullptr;
  if (found != entries_.end()) {
    entry = found->get();
  } else {
    entries_.push_back(
        std::make_unique<Entry>(Entry{FecCode(settings.data_shards, settings.parity_shards, path_), 0}));
    entry = entries_.back().get();
  }
  ++entry->users;
  return Use(this, entry);
}

void FecCodeCache::release(Entry* entry) {
  if (--entry->users > 0) return;
  std::erase_if(entries_, [entry](const auto& held) { return held.get() == entry; });
}

}  // namespace kcptun
