// Fixed-size buffers for one engine: segments in windows, and blocks of decompressed or withheld stream data.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

namespace kcptun {

/// A slab of equal buffers; single-threaded. It allocates chunks of 128 KiB on demand, keeps those that the
/// load needs repeatedly, and frees the others in trim(). No allocation in steady state. Buffers must not
/// outlive the pool. The callers bound the number of buffers in use (windows, smuxbuf).
class BufferPool {
 public:
  explicit BufferPool(std::size_t buffer_size);
  ~BufferPool();
  BufferPool(const BufferPool&) = delete;
  BufferPool& operator=(const BufferPool&) = delete;

  /// Returns a buffer of buffer_size() bytes, aligned to 64, with undefined content. Aborts when memory is
  /// exhausted.
  std::uint8_t* take();
  /// REQUIRES: `buffer` came from take() of this pool and has not been returned.
  void put(std::uint8_t* buffer);

  /// Frees the chunks that have been empty since the last trim(). Call it periodically, also when idle.
  void trim();

  std::size_t buffer_size() const { return buffer_size_; }
  /// Buffers in use now.
  std::size_t in_use() const { return in_use_; }
  /// Heap bytes held now.
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
  std::size_t min_empty_ = 0;  // minimum number of empty chunks since the last trim()
  Chunk* partial_ = nullptr;   // chunks with at least one free buffer; empty chunks are at the back
  Chunk* last_ = nullptr;
};

/// Owns one buffer of a pool.
class PoolBuffer {
 public:
  PoolBuffer() = default;
  explicit PoolBuffer(BufferPool& pool) : pool_(&pool), data_(pool.take()) {}
  PoolBuffer(PoolBuffer&& other) noexcept : pool_(other.pool_), data_(std::exchange(other.data_, nullptr)) {}
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
    if (data_) pool_->put(std::exchange(data_, nullptr));
  }
  std::uint8_t* data() const { return data_; }
  explicit operator bool() const { return data_ != nullptr; }

 private:
  BufferPool* pool_ = nullptr;
  std::uint8_t* data_ = nullptr;
};

}  // namespace kcptun
