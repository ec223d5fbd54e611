#include "core/link/packet_sender.h"

#include <algorithm>
#include <array>
#include <utility>

namespace kcptun {
namespace {

// Bytes of a KCP packet that are worth a datagram to an address that has not answered: two acknowledgements.
// It is also the least that Kcp::poll_packet() works with.
constexpr std::size_t kMinAllowance = 2 * kSegmentHeader;

}  // namespace

PacketSender::PacketSender(const Parts& parts, TimePoint now)
    : context_(parts.context),
      kcp_(parts.kcp),
      validation_(parts.validation),
      anti_replay_(parts.anti_replay),
      noise_(parts.noise),
      overhead_(parts.context.overhead()),
      parity_policy_(parts.context.settings.fec) {
  const LinkSettings& settings = context_.settings;
  if (settings.fec.enabled()) {
    code_ = context_.codes.use(settings.fec);
    encoder_.emplace(*code_);
  }
  set_rate_limit(settings.rate_limit, now);
}

void PacketSender::set_rate_limit(std::uint64_t rate, TimePoint now) {
  limiter_.reset();
  if (rate > 0) limiter_.emplace(rate, now);
}

void PacketSender::share_rate(std::shared_ptr<SharedRate> rate) {
  turn_.reset();
  if (rate) turn_.emplace(std::move(rate));
}

bool PacketSender::send_data(TimePoint now, PacketSource& source, TransmitBatch& batch) {
  for (;;) {
    if (batch.room() == 0) return true;
    if (!may_send(now)) return false;
    if (encoder_ && encoder_->begins_group()) plan_group();
    const MutableBytes packet = room(batch, overhead_.fec_header);
    const std::size_t size = source.poll_packet(now, packet).size;
    if (size == 0) return false;
    append(now, batch, overhead_.fec_header + size);
    if (encoder_) protect(now, batch, {packet.data() - overhead_.fec_header, overhead_.fec_header + size});
  }
}

bool PacketSender::send_datagrams(TimePoint now, PacketSource& source, TransmitBatch& batch) {
  while (batch.room() > 0) {
    if (!may_send(now)) return false;
    const std::size_t size = source.poll_packet(now, room(batch, 0)).size;
    if (size == 0) return false;
    append(now, batch, size);
  }
  return true;
}

bool PacketSender::send_probes(TimePoint now, PacketSource& source, TransmitBatch& batch) {
  while (batch.room() > 0) {
    const PacketSource::Polled polled = source.poll_packet(now, room(batch, 0));
    if (polled.size == 0) return false;
    if (batch.runs().back().fragments != polled.fragments) {
      const Path path = batch.runs().back().path;
      batch.begin_run(path, polled.fragments);
    }
    append(now, batch, polled.size);
  }
  return true;
}

// Where the next packet's body goes behind `fec_header` bytes, as large as the packet may be.
MutableBytes PacketSender::room(TransmitBatch& batch, std::size_t fec_header) const {
  const std::size_t overhead = crypto() + fec_header;
  const std::size_t datagram = std::min<std::size_t>(validation_.allowance(), kMaxDatagram);
  return {next_body(batch) + fec_header, datagram > overhead ? datagram - overhead : 0};
}

bool PacketSender::may_send(TimePoint now) {
  limited_until_.reset();
  if (validation_.allowance() < crypto() + overhead_.fec_header + kMinAllowance) return false;
  if (limiter_ && !limiter_->allows(now)) {
    limited_until_ = limiter_->ready_at();
  } else if (turn_ && !turn_->allows(now)) {
    limited_until_ = turn_->ready_at();
  }
  return !limited_until_;
}

void PacketSender::append(TimePoint now, TransmitBatch& batch, std::size_t body_size) {
  const Packet& packet = batch.push(crypto() + body_size);
  if (noise_) {
    noise_->stamp(anti_replay_->next(now), now, packet);
  } else if (anti_replay_) {
    anti_replay_->stamp(now, packet.data + overhead_.crypto_header - kSessionHeader);
  }
  ++packets_sent_;
  validation_.charge(packet.size);
  if (limiter_) limiter_->charge(packet.size);
  if (turn_) turn_->charge(now, packet.size);
}

// --- FEC ---

// Repeated on each poll until the group's first packet leaves. The context's settings may be newer than the
// session, which keeps its shard counts.
void PacketSender::plan_group() {
  const FecSettings& fec = parity_policy_.settings();
  const std::uint32_t group = encoder_->next_seqid() / (fec.data_shards + fec.parity_shards);
  encoder_->plan_parity(context_.settings.adaptive_parity
                            ? parity_policy_.next_group(
                                  {group, kcp_.loss(), kcp_.parity_budget(), kcp_.send_window().in_flight()})
                            : fec.parity_shards);
  kcp_.set_group(fec.data_shards, encoder_->planned_parity());
}

void PacketSender::protect(TimePoint now, TransmitBatch& batch, MutableBytes body) {
  if (encoder_->add(now, body)) append_parity(now, batch);
}

void PacketSender::append_parity(TimePoint now, TransmitBatch& batch) {
  const std::size_t count =
      encoder_->parity_skipped() || validation_.pending() ? 0 : encoder_->planned_parity();
  const std::size_t size = encoder_->parity_size();
  std::array<std::uint8_t*, kMaxShards> outs;
  std::uint8_t* const first = next_body(batch);
  for (std::size_t i = 0; i < count; ++i) outs[i] = first + i * kPacketStride;
  const std::size_t written = encoder_->finish_group({outs.data(), count});
  for (std::size_t i = 0; i < written; ++i) append(now, batch, size);
  parity_sent_ += written;
  kcp_.charge_parity(static_cast<std::uint32_t>(written));
}

}  // namespace kcptun
