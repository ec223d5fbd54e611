#include "core/link/stream_codec.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "core/link/piece_cursor.h"

namespace kcptun {
namespace {

// Blocks from this size on stay in the buffer that they were decompressed into; smaller ones are copied
// together, so that many of them do not hold kSnappyBlock bytes each.
constexpr std::size_t kLargeBlock = kSnappyBlock / 4;

// QPP states of streams that have ended are erased when there are more than twice the open streams and this
// many.
constexpr std::size_t kEndedQppPairs = 16;

}  // namespace

StreamCodec::StreamCodec(LinkContext& context, Kcp& kcp, const Smux& smux)
    : context_(context), kcp_(kcp), smux_(smux), frame_size_(context.settings.smux.frame_size) {
  if (!context.settings.compress) return;
  framer_.emplace();
  deframer_.emplace();
}

// --- receiving ---

void StreamCodec::feed(ReceiveWindow::Piece piece) {
  piece_ = piece.data;
  input_ = piece.data;
  if (piece.buffer) held_.push_back(std::move(piece.buffer));
  received_.observe(piece.data);
}

MutableBytes StreamCodec::poll_bytes() {
  if (!deframer_) return std::exchange(piece_, {});
  if (!error_.empty()) return {};
  if (!context_.inflated) context_.inflated = PoolBuffer(context_.blocks);
  const SnappyDeframer::Step step = deframer_->feed(input_, {context_.inflated.data(), kSnappyBlock});
  if (step.status == SnappyDeframer::Status::kMore) return {};
  if (step.status == SnappyDeframer::Status::kFailed) {
    error_ = "the peer's stream is not snappy, or damaged";
    return {};
  }
  decompressed_.observe(step.block);
  return keep_block(step.block);
}

// Makes a block live as long as the events that will point into it.
MutableBytes StreamCodec::keep_block(Bytes block) {
  auto* const data = const_cast<std::uint8_t*>(block.data());
  if (block.data() >= piece_.data() && block.data() < piece_.data() + piece_.size())
    return {data, block.size()};
  if (block.data() == context_.inflated.data() && block.size() >= kLargeBlock) {
    held_.push_back(std::move(context_.inflated));
    return {data, block.size()};
  }
  if (packed_.size() < block.size()) {
    held_.emplace_back(context_.blocks);
    packed_ = {held_.back().data(), kSnappyBlock};
  }
  const MutableBytes kept = packed_.first(block.size());
  packed_ = packed_.subspan(block.size());
  std::memcpy(kept.data(), block.data(), block.size());
  return kept;
}

void StreamCodec::decrypt(const StreamEvent& event) {
  if (context_.qpp && event.type == StreamEvent::Type::kData)
    qpp_pair(event.sid).receiving.decrypt(event.data);
}

void StreamCodec::release_views() {
  held_.clear();
  packed_ = {};
}

Mismatch StreamCodec::mismatch() const {
  return find_mismatch(received_, decompressed_, deframer_.has_value(), smux_.version());
}

// --- sending ---

std::span<const MutableBytes> StreamCodec::prepare(std::size_t bytes) {
  room_.clear();
  payload_.clear();
  if (bytes == 0) return {};
  const std::size_t frames = (bytes + frame_size_ - 1) / frame_size_;
  const std::size_t total = bytes + frames * kFrameHeader;
  if (framer_) {
    if (context_.frames.size() < total) context_.frames.resize(total);
    room_.push_back({context_.frames.data(), total});
  } else {
    kcp_.prepare(total, room_);
  }
  PieceCursor cursor(room_);
  for (std::size_t left = bytes; left > 0;) {
    const std::size_t length = std::min(left, frame_size_);
    cursor.skip(kFrameHeader);
    cursor.advance(length, [this](MutableBytes stretch) { payload_.push_back(stretch); });
    left -= length;
  }
  return payload_;
}

void StreamCodec::commit(std::uint32_t sid, std::size_t bytes) {
  if (bytes == 0) {
    if (!framer_) kcp_.commit(0);
    return;
  }
  if (context_.qpp) {
    QppStream& stream = qpp_pair(sid).sending;
    PieceCursor(payload_).advance(bytes, [&stream](MutableBytes stretch) { stream.encrypt(stretch); });
  }
  const std::size_t total = bytes + write_frame_headers(sid, bytes);
  if (framer_) {
    append_frames({context_.frames.data(), total});
  } else {
    kcp_.commit(total);
  }
}

// Returns the bytes of the headers.
std::size_t StreamCodec::write_frame_headers(std::uint32_t sid, std::size_t bytes) {
  std::size_t written = 0;
  PieceCursor cursor(room_);
  for (std::size_t left = bytes; left > 0;) {
    const std::size_t length = std::min(left, frame_size_);
    std::array<std::uint8_t, kFrameHeader> header;
    write_frame_header(header.data(), {smux_.version(), static_cast<std::uint8_t>(SmuxCommand::kPush),
                                       static_cast<std::uint16_t>(length), sid});
    cursor.write(header);
    cursor.skip(length);
    written += kFrameHeader;
    left -= length;
  }
  return written;
}

void StreamCodec::append_frames(Bytes frames) {
  if (!framer_) return append_stream(frames);
  context_.compressed.resize(kSnappyMaxEncoded);
  while (!frames.empty()) {
    const std::size_t size = framer_->encode(frames, context_.compressed);
    append_stream(Bytes(context_.compressed).first(size));
  }
}

void StreamCodec::append_stream(Bytes bytes) {
  room_.clear();
  kcp_.prepare(bytes.size(), room_);
  PieceCursor(room_).write(bytes);
  kcp_.commit(bytes.size());
}

StreamCodec::QppPair& StreamCodec::qpp_pair(std::uint32_t sid) {
  if (qpp_.size() > 2 * smux_.streams() + kEndedQppPairs)
    std::erase_if(qpp_, [this](const auto& entry) { return !smux_.has_stream(entry.first); });
  const auto it = qpp_.find(sid);
  if (it != qpp_.end()) return it->second;
  return qpp_.emplace(sid, QppPair{QppStream(*context_.qpp), QppStream(*context_.qpp)}).first->second;
}

}  // namespace kcptun
