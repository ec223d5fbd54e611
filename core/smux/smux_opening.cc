// What precedes the payload of a session and of a stream: the mark, the capabilities, and the kinds of
// streams.
#include <utility>

#include "core/base/check.h"
#include "core/smux/smux.h"

namespace kcptun {

// --- stream ids ---

// After the client's last one the sid would wrap around to values that the peer may still use. A server's
// stay below those of capabilities, whose NOPs would look like resets.
std::uint32_t Smux::last_sid() const { return role_ == Role::kClient ? 0xffffffff - 2 : last_server_sid(); }

// A client's next sid is always free. A server's may not be: nothing keeps a client from opening streams of
// even sids. The mark's sid names no stream.
void Smux::skip_used_sids() {
  if (role_ == Role::kClient) return;
  while (!sids_used_up() && (next_sid_ == kProgramMark || find(next_sid_))) next_sid_ += 2;
}

// --- the mark and the capabilities ---

void Smux::announce() {
  KCPTUN_CHECK(role_ == Role::kClient);
  if (std::exchange(marked_, true)) return;
  mark_due_ = mark_first_ = true;
  nop_due_ = true;  // a session that begins with the mark itself is a probe (ProtocolSniffer)
}

// The mark follows the first SYN, because a peer with other settings diagnoses a mismatch from the first
// bytes of a session. It precedes the SYN if the server must know that this client marks its streams.
void Smux::announce_with_stream() {
  if (settings_.capabilities & kRequestStreams) return announce();
  if (!std::exchange(marked_, true)) mark_due_ = true;
}

// A server's mark precedes all resets, which a peer ignores before it has seen the mark.
void Smux::append_mark(std::vector<std::uint8_t>& out) {
  if (!std::exchange(mark_due_, false)) return;
  append_frame(out, SmuxCommand::kNop, kProgramMark, {});
  if (settings_.capabilities != 0)
    append_frame(out, SmuxCommand::kNop, capability_sid(settings_.capabilities), {});
}

void Smux::handle_mark() {
  if (std::exchange(peer_is_ours_, true)) return;
  if (!std::exchange(marked_, true)) mark_due_ = true;
  release_lingering();
}

void Smux::handle_capabilities(std::uint32_t sid) {
  if (!peer_capabilities_ && (sid & kCapabilityFlag) != 0) peer_capabilities_ = capabilities_in(sid);
}

// --- kinds of streams ---

// A client that marks requests follows the SYN of any other stream by a keepalive, so that the server need
// not wait for the stream's payload to know its kind.
void Smux::append_opening(std::vector<std::uint8_t>& out, std::uint32_t sid, const Stream& stream) const {
  append_frame(out, SmuxCommand::kSyn, sid, {});
  if (role_ == Role::kServer || (settings_.capabilities & kRequestStreams) == 0) return;
  append_frame(out, SmuxCommand::kNop, stream.kind == StreamKind::kRequest ? sid + 1 : 0, {});
}

void Smux::report_opened(std::uint32_t sid) {
  if (role_ == Role::kServer && (peer_capabilities() & kRequestStreams)) {
    unsettled_sid_ = sid;
  } else {
    events_.push_back({StreamEvent::Type::kOpened, sid, 0, {}});
  }
}

// A stream beyond max_streams. Of too many even the rejections cannot be sent.
void Smux::reject(std::uint32_t sid) {
  ++counters_.rejected_streams;
  if (role_ == Role::kServer && (peer_capabilities() & kRequestStreams)) rejected_sid_ = sid;
  if (streams_.size() >= 2 * std::size_t{settings_.max_streams}) return;
  Stream& stream = streams_[sid];
  stream.fin_due = stream.reset_due = true;
  stream.gone = true;
  queue_control(sid, stream);
}

// Reports the unsettled stream. True if the frame behind its SYN is its request mark.
bool Smux::settle_opened(const FrameHeader& next) {
  const auto is_mark_of = [&next](std::uint32_t sid) {
    return next.command == static_cast<std::uint8_t>(SmuxCommand::kNop) && next.sid == sid + 1;
  };
  if (const auto rejected = std::exchange(rejected_sid_, std::nullopt)) return is_mark_of(*rejected);
  const std::uint32_t sid = *std::exchange(unsettled_sid_, std::nullopt);
  const bool is_mark = is_mark_of(sid);
  if (is_mark) {
    Stream* const stream = find(sid);
    KCPTUN_CHECK(stream != nullptr);  // its owner cannot have removed what was not reported
    stream->kind = StreamKind::kRequest;
  }
  events_.push_back({StreamEvent::Type::kOpened, sid, 0, {}});
  return is_mark;
}

}  // namespace kcptun
