// Turns the packets of a link's sources into datagrams that are ready to be sealed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "core/base/packet.h"
#include "core/base/settings.h"
#include "core/base/time.h"
#include "core/fec/erasure_code_cache.h"
#include "core/fec/fec_encoder.h"
#include "core/fec/parity_policy.h"
#include "core/kcp/kcp.h"
#include "core/link/anti_replay.h"
#include "core/link/link_context.h"
#include "core/link/noise_session.h"
#include "core/link/packet_source.h"
#include "core/link/path_validation.h"
#include "core/link/rate_limiter.h"
#include "core/link/shared_rate.h"

namespace kcptun {

/// Every packet of a session leaves through it, in the order in which the suite will seal the batch: it
/// writes the FEC and the session header, appends parity behind the last packet of a group, holds data back
/// for the rate limiter, and keeps to the allowance of a path that is not validated.
class PacketSender {
 public:
  /// What it works for; all outlive the sender.
  struct Parts {
    LinkContext& context;
    Kcp& kcp;  // knows the path: what parity is worth, and the budget that it is charged to
    PathValidation& validation;
    AntiReplay* anti_replay;        // null: the suite has no session header
    NoiseSession* noise = nullptr;  // null: the suite seals the packets
  };
  PacketSender(const Parts& parts, TimePoint now);
  PacketSender(const PacketSender&) = delete;
  PacketSender& operator=(const PacketSender&) = delete;

  /// Appends the packets of `source` that are due, to the path of the batch's last run. True if the batch is
  /// full.
  bool send(TimePoint now, PacketSource& source, TransmitBatch& batch) {
    if (source.kind() == PacketSource::Kind::kDatagram) return send_datagrams(now, source, batch);
    return source.kind() == PacketSource::Kind::kData ? send_data(now, source, batch)
                                                      : send_probes(now, source, batch);
  }
  /// The caller writes one packet itself: its body goes here, and append() completes it. For packets to
  /// another path.
  std::uint8_t* next_body(TransmitBatch& batch) const { return batch.next_slot() + crypto_header(); }
  /// REQUIRES: the batch has room.
  void append(TimePoint now, TransmitBatch& batch, std::size_t body_size);
  /// The batch is about to be sealed.
  void end_batch() {
    if (encoder_) encoder_->end_batch();
  }

  /// In bytes of UDP payload per second; 0: none.
  void set_rate_limit(std::uint64_t rate, TimePoint now);
  /// From now on the session also keeps to its part of `rate`; null: to its own limit only.
  void share_rate(std::shared_ptr<SharedRate> rate);
  /// When these limits let data leave again; none: they hold nothing back.
  std::optional<TimePoint> next_timeout() const { return limited_until_; }

  /// Packets of any kind.
  std::uint64_t packets_sent() const { return packets_sent_; }
  std::uint64_t parity_sent() const { return parity_sent_; }

 private:
  bool send_data(TimePoint now, PacketSource& source, TransmitBatch& batch);
  bool send_datagrams(TimePoint now, PacketSource& source, TransmitBatch& batch);
  bool send_probes(TimePoint now, PacketSource& source, TransmitBatch& batch);
  // Of the next packet.
  std::size_t crypto_header() const { return noise_ ? noise_->header_size() : overhead_.crypto_header; }
  std::size_t crypto() const { return crypto_header() + overhead_.crypto_trailer; }
  MutableBytes room(TransmitBatch& batch, std::size_t fec_header) const;
  bool may_send(TimePoint now);
  void plan_group();
  void protect(TimePoint now, TransmitBatch& batch, MutableBytes body);
  void append_parity(TimePoint now, TransmitBatch& batch);

  LinkContext& context_;
  Kcp& kcp_;
  PathValidation& validation_;
  AntiReplay* const anti_replay_;
  NoiseSession* const noise_;
  const PacketOverhead overhead_;
  ErasureCodeCache::Use code_;  // of encoder_
  std::optional<FecEncoder> encoder_;
  ParityPolicy parity_policy_;
  std::optional<RateLimiter> limiter_;
  std::optional<RateTurn> turn_;
  std::optional<TimePoint> limited_until_;
  std::uint64_t packets_sent_ = 0;
  std::uint64_t parity_sent_ = 0;
};

}  // namespace kcptun
