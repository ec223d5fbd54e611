// Fixed-size buffers for one loop: segments in windows, and blocks of decompressed or withheld stream data.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

namespace kcptun {

/// A slab of equal buffers, single-threaded. Chunks of 128 KiB are taken from the heap when needed, kept while the
/// load needs them now and then, and given back by trim(). No allocation in steady state.
/// Buffers must not outlive the pool. Bounds on how many are out are the callers' (windows, smuxbuf).
class BufferPool {
 public:
  explicit BufferPool(std::size_t buffer_size);
  ~BufferPool();
  BufferPool(const BufferPool&) = delete;
  BufferPool& operator=(const BufferPool&) = delete;

  /// A buffer of buffer_size() bytes, aligned to 64, content undefined. Aborts when memory is exhausted.
  std::uint8_t* take();
  /// REQUIRES: `buffer` came from take() of this pool and was not given back.
  void give(std::uint8_t* buffer);

  /// Gives back the chunks that were empty ever since the last trim(). Call it now and then, also when nothing happens.
  void trim();

  std::size_t buffer_size() const { return buffer_size_; }
  /// Buffers that are out now.
  std::size_t in_use() const { return in_use_; }
  /// Bytes held from the heap now.
  std::size_t held_bytes() const { return chunk_count_ * kChunkSize; }

 private:
  static constexpr std::size_t kChunkSize = 128 * 1024;
  struct Chunk;
  Chunk* new_chunk();
  void drop(Chunk* chunk);
  static Chunk* chunk_of(std::uint8_t* buffer);
  void link_front(Chunk* chunk);
  void link_back(Chunk* chunk);
  void unlink(Chunk* chunk);

  std::size_t buffer_size_;
  std::size_t per_chunk_;
  std::size_t in_use_ = 0;
  std::size_t chunk_count_ = 0;
  std::size_t empty_chunks_ = 0;
  std::size_t fewest_empty_ = 0;  // since the last trim(): so many were never needed
  Chunk* partial_ = nullptr;      // chunks with at least one free buffer; empty ones are at the back
  Chunk* last_ = nullptr;
};

/// Owns one buffer of a pool.
class PoolBuffer {
 public:
  PoolBuffer() = default;
  explicit PoolBuffer(BufferPool& pool) : pool_(&pool), data_(pool.take()) {}
  PoolBuffer(PoolBuffer&& other) noexcept
      : pool_(other.pool_), data_(std::exchange(other.data_, nullptr)) {}
  PoolBuffer& operator=(PoolBuffer&& other) noexcept {
    if (this != &other) {
      reset();
      pool_ = other.pool_;
      data_ = std::exchange(other.data_, nullptr);
    }
    return *this;
  }
  ~PoolBuffer() { reset(); }

  void reset() {
    if (data_) pool_->give(std::exchange(data_, nullptr));
  }
  std::uint8_t* data() const { return data_; }
  explicit operator bool() const { return data_ != nullptr; }

 private:
  BufferPool* pool_ = nullptr;
  std::uint8_t* data_ = nullptr;
};

}  // namespace kcptun
