#include "core/base/buffer_pool.h"

#include <algorithm>
#include <new>

#include "core/base/check.h"

namespace kcptun {

struct BufferPool::Chunk {
  Chunk* previous = nullptr;
  Chunk* next = nullptr;
  std::uint8_t* free_list = nullptr;  // a singly linked list through the first bytes of each free buffer
  std::uint32_t first_untouched =
      0;  // index of the first buffer that was never used, whose pages are untouched
  std::uint32_t in_use = 0;
};

namespace {
constexpr std::size_t kAlign = 64;
constexpr std::size_t round_up(std::size_t n) { return (n + kAlign - 1) / kAlign * kAlign; }
std::uint8_t*& next_free(std::uint8_t* buffer) { return *reinterpret_cast<std::uint8_t**>(buffer); }
}  // namespace

BufferPool::BufferPool(std::size_t buffer_size)
    : buffer_size_(round_up(buffer_size)), per_chunk_((kChunkSize - round_up(sizeof(Chunk))) / buffer_size_) {
  KCPTUN_CHECK(per_chunk_ >= 1);
}

BufferPool::~BufferPool() {
  KCPTUN_CHECK(in_use_ == 0);
  while (partial_) drop(partial_);
}

BufferPool::Chunk* BufferPool::new_chunk() {
  auto* chunk = new (::operator new(kChunkSize, std::align_val_t(kChunkSize))) Chunk;
  ++chunk_count_;
  ++empty_chunks_;
  link_front(chunk);
  return chunk;
}

void BufferPool::drop(Chunk* chunk) {
  unlink(chunk);
  --chunk_count_;
  ::operator delete(chunk, std::align_val_t(kChunkSize));
}

BufferPool::Chunk* BufferPool::chunk_of(std::uint8_t* buffer) {
  return reinterpret_cast<Chunk*>(reinterpret_cast<std::uintptr_t>(buffer) & ~(kChunkSize - 1));
}

void BufferPool::link_front(Chunk* chunk) {
  chunk->previous = nullptr;
  chunk->next = partial_;
  (partial_ ? partial_->previous : last_) = chunk;
  partial_ = chunk;
}

void BufferPool::link_back(Chunk* chunk) {
  chunk->previous = last_;
  chunk->next = nullptr;
  (last_ ? last_->next : partial_) = chunk;
  last_ = chunk;
}

void BufferPool::unlink(Chunk* chunk) {
  (chunk->previous ? chunk->previous->next : partial_) = chunk->next;
  (chunk->next ? chunk->next->previous : last_) = chunk->previous;
}

std::uint8_t* BufferPool::take() {
  Chunk* chunk = partial_ ? partial_ : new_chunk();
  if (chunk->in_use == 0) min_empty_ = std::min(min_empty_, --empty_chunks_);
  std::uint8_t* buffer = chunk->free_list;
  if (buffer) {
    chunk->free_list = next_free(buffer);
  } else {
    buffer = reinterpret_cast<std::uint8_t*>(chunk) + round_up(sizeof(Chunk)) +
             chunk->first_untouched++ * buffer_size_;
  }
  ++chunk->in_use;
  ++in_use_;
  if (!chunk->free_list && chunk->first_untouched == per_chunk_) unlink(chunk);
  return buffer;
}

void BufferPool::put(std::uint8_t* buffer) {
  Chunk* chunk = chunk_of(buffer);
  KCPTUN_CHECK(chunk->in_use > 0);
  const bool was_full = !chunk->free_list && chunk->first_untouched == per_chunk_;
  next_free(buffer) = chunk->free_list;
  chunk->free_list = buffer;
  --chunk->in_use;
  --in_use_;
  if (chunk->in_use == 0) {  // at the back, so that it is used last
    ++empty_chunks_;
    if (!was_full) unlink(chunk);
    link_back(chunk);
  } else if (was_full) {
    link_front(chunk);
  }
}

void BufferPool::trim() {
  for (; min_empty_ > 0; --min_empty_, --empty_chunks_) drop(last_);
  min_empty_ = empty_chunks_;
}

}  // namespace kcptun
