// Bytes of any peer against the multiplexer, with an owner that answers in every way: frames that leave are
// well-formed, the receive budget adds up, tables stay bounded.
#include <memory>
#include <set>

#include "core/base/check.h"
#include "core/smux/smux.h"
#include "tests/fuzz/input.h"

using namespace kcptun;
using namespace kcptun::test;

namespace {

class Owner {
 public:
  Owner(Role role, const SmuxSettings& settings)
      : role_(role), settings_(settings), smux_(role, settings, now_) {}

  void act(Input& input) {
    switch (input.u8() % 10) {
      case 0:
        return feed(input.bytes(input.u8()));
      case 1:
      case 2:
      case 3:
        return feed(frame(input));
      case 4:
        return drain(input);
      case 5:
        drain(input);
        return smux_.finish(sid(input));
      case 6:
        drain(input);
        return reset_stream(sid(input));
      case 7:
        drain(input);
        return write(input);
      case 8:
        drain(input);
        return control(1 + input.u16());  // as the Link asks: events first
      case 9:
        return wait(milliseconds(input.u16()), input.u8() & 1);
    }
  }

  void finish() {
    Input nothing(nullptr, 0);
    drain(nothing);
    consume_all();
    KCPTUN_CHECK(smux_.buffered() == 0);
    control(SIZE_MAX);
    smux_.trim();
  }

 private:
  std::uint32_t sid(Input& input) const {
    const std::uint8_t choice = input.u8();
    if (choice == 0xff) return kProgramMark;
    if (choice == 0xfe) return capability_sid(input.u8());
    if (choice >= 0xe0) return 4 + 2u * (choice % 16);  // request marks
    return 3 + 2u * (choice % 16);
  }

  std::vector<std::uint8_t> frame(Input& input) {
    FrameHeader header{smux_.version(), static_cast<std::uint8_t>(input.u8() % 5), 0, sid(input)};
    const bool update = header.command == static_cast<std::uint8_t>(SmuxCommand::kUpdate);
    const bool push = header.command == static_cast<std::uint8_t>(SmuxCommand::kPush);
    if (update) header.length = kUpdatePayload;
    if (push) header.length = input.u8();
    const std::vector<std::uint8_t> payload = input.bytes(header.length);
    std::vector<std::uint8_t> bytes(kFrameHeader);
    write_frame_header(bytes.data(), header);
    bytes.insert(bytes.end(), payload.begin(), payload.end());
    return bytes;
  }

  void feed(std::vector<std::uint8_t> bytes) {
    if (!smux_.can_receive()) return;
    kept_.push_back(std::move(bytes));
    smux_.handle_bytes(now_, kept_.back());
    KCPTUN_CHECK(smux_.streams() <= 2 * std::size_t{settings_.max_streams});
  }

  void drain(Input& input) {
    while (const std::optional<StreamEvent> event = smux_.poll_event()) {
      KCPTUN_CHECK(event->type != StreamEvent::Type::kOpened || role_ == Role::kServer);
      if (event->type == StreamEvent::Type::kOpened) smux_.set_tag(event->sid, event->sid);
      if (event->type == StreamEvent::Type::kEvicted) {
        KCPTUN_CHECK(smux_.stream_room(event->sid) ==
                     0);  // it is gone for its owner, whatever waits to be told
        forget(event->sid);
      }
      // What came before can still be read.
      if (event->type == StreamEvent::Type::kReset) KCPTUN_CHECK(smux_.stream_room(event->sid) == 0);
      if (event->type != StreamEvent::Type::kData) continue;
      for (const std::uint8_t byte : event->data) sum_ += byte;
      const std::uint8_t answer = input.u8();
      if (answer == 0xff) {
        reset_stream(event->sid);
      } else if (answer == 0xfe) {
        smux_.discard_input(event->sid);
        forget(event->sid);
      } else if (answer & 1) {
        unread_.emplace_back(event->sid, event->data.size());
      } else {
        smux_.consume(event->sid, event->data.size());
      }
    }
    kept_.clear();
    if (input.u8() & 1) consume_all();
  }

  void consume_all() {
    for (const auto& [stream, size] : unread_) {
      if (smux_.has_stream(stream)) smux_.consume(stream, size);
    }
    unread_.clear();
  }

  void reset_stream(std::uint32_t stream) {
    smux_.reset_stream(stream);
    forget(stream);
  }

  // What was not read of a stream that is over is nobody's.
  void forget(std::uint32_t stream) {
    std::erase_if(unread_, [stream](const auto& piece) { return piece.first == stream; });
  }

  void write(Input& input) {
    if (role_ == Role::kClient) open(input.u8());
    const std::uint32_t stream = sid(input);
    if (const std::size_t room = smux_.stream_room(stream); room > 0)
      smux_.record_sent(stream, std::min<std::size_t>(room, input.u16()));
  }

  void open(std::uint8_t how) {
    const bool may_request = settings_.capabilities & kRequestStreams;
    if (how & 1) smux_.open_stream(how & 2 && may_request ? StreamKind::kRequest : StreamKind::kPlain);
    if (how & 4) smux_.announce();
  }

  void control(std::size_t limit) {
    std::vector<std::uint8_t> out;
    smux_.poll_control(out, limit);
    for (Bytes left = out; !left.empty();) {
      KCPTUN_CHECK(left.size() >= kFrameHeader);
      const FrameHeader header = read_frame_header(left.data());
      KCPTUN_CHECK(header.version == smux_.version() && header.command <= 4);
      KCPTUN_CHECK(header.length == (header.command == 4 ? kUpdatePayload : 0));
      KCPTUN_CHECK(header.command != 4 || smux_.version() == 2);
      left = left.subspan(kFrameHeader + header.length);
    }
  }

  void wait(Duration by, bool stalled) {
    now_ += by;
    if (const auto due = smux_.next_timeout(); due && *due <= now_) smux_.handle_timeout(now_, stalled);
    if (const auto due = smux_.next_sweep(); due && *due <= now_) smux_.sweep(now_);
  }

  Role role_;
  SmuxSettings settings_;
  TimePoint now_{seconds(1)};
  Smux smux_;
  std::vector<std::vector<std::uint8_t>> kept_;  // what events point into
  std::vector<std::pair<std::uint32_t, std::size_t>> unread_;
  unsigned sum_ = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input input(data, size);
  const std::uint8_t how = input.u8();
  SmuxSettings settings;
  settings.version = how & 1 ? 2 : 1;
  settings.max_streams = how & 2 ? 4 : 65536;
  settings.receive_buffer = how & 4 ? 512 : 65536;
  settings.stream_buffer = 1024;
  settings.capabilities = how & 16 ? kRequestStreams | kDatagramPackets : 0;
  Owner owner(how & 8 ? Role::kClient : Role::kServer, settings);
  while (!input.empty()) owner.act(input);
  owner.finish();
  return 0;
}
