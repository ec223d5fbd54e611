#include "core/link/datagram_reassembler.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace kcptun {

void DatagramReassembler::drop(Partials::iterator at) {
  ++incomplete_;
  bytes_ -= at->bytes.size();
  partial_.erase(at);
}

void DatagramReassembler::handle_timeout(TimePoint now) {
  while (!partial_.empty() && now - partial_.front().since >= kMaxAge) drop(partial_.begin());
}

void DatagramReassembler::make_room(std::size_t bytes) {
  while (!partial_.empty() && (partial_.size() >= kMaxDatagrams || bytes_ + bytes > kMaxBytes))
    drop(partial_.begin());
}

DatagramReassembler::Partials::iterator DatagramReassembler::find_or_begin(TimePoint now,
                                                                           const DatagramRecord& record) {
  const Fragment& fragment = *record.fragment;
  const auto known = std::find_if(partial_.rbegin(), partial_.rend(), [&](const Partial& partial) {
    return partial.sid == record.sid && partial.first.id == fragment.id;
  });
  if (known != partial_.rend()) {
    if (known->first.size == fragment.size && known->first.count == fragment.count)
      return std::prev(known.base());
    drop(std::prev(known.base()));  // the ids have come round
  }
  make_room(fragment.size);
  Partial& begun = partial_.emplace_back();
  begun.since = now;
  begun.sid = record.sid;
  begun.first = fragment;
  begun.missing = fragment.count;
  begun.bytes.resize(fragment.size);
  bytes_ += fragment.size;
  return std::prev(partial_.end());
}

std::optional<std::vector<std::uint8_t>> DatagramReassembler::add(TimePoint now,
                                                                  const DatagramRecord& record) {
  handle_timeout(now);
  const Fragment& fragment = *record.fragment;
  const Partials::iterator at = find_or_begin(now, record);
  if (at->arrived[fragment.index]) return std::nullopt;
  at->arrived[fragment.index] = true;
  std::memcpy(at->bytes.data() + fragment.offset(), record.payload.data(), record.payload.size());
  if (--at->missing > 0) return std::nullopt;
  std::vector<std::uint8_t> whole = std::move(at->bytes);
  bytes_ -= whole.size();
  partial_.erase(at);
  return whole;
}

}  // namespace kcptun
