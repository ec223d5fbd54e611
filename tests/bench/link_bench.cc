// Two whole links joined in memory, sealed and opened as on a wire: all that a byte costs but the system
// calls.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/crypt/suite.h"
#include "core/link/link.h"

namespace kcptun {
namespace {

struct Setup {
  Cipher cipher = Cipher::kSalsa20;
  FecSettings fec;
  bool compress = false;
};

const MasterKey& link_key() {
  static const MasterKey key("it's a secrect");
  return key;
}

LinkSettings link_settings(const Setup& setup) {
  LinkSettings settings;
  settings.kcp.tuning = kModePresets[3].tuning;  // fast3
  settings.kcp.mtu = 1400;                       // this and the windows as in kcp-go's benchmark
  settings.kcp.send_window = settings.kcp.receive_window = 4096;
  settings.fec = setup.fec;
  settings.compress = setup.compress;
  return settings;
}

/// What one end's engine owns.
struct End {
  End(Role role, const Setup& setup, TimePoint now)
      : suite(Suite::make(setup.cipher, link_key(),
                          std::array<std::uint8_t, 32>{static_cast<std::uint8_t>(role)})),
        context(link_settings(setup)) {
    context.set_overhead(*suite);
    link = std::make_unique<Link>(role, 7, context, now);
  }

  std::unique_ptr<Suite> suite;
  LinkContext context;
  std::unique_ptr<Link> link;
  TransmitBatch batch;
  std::vector<Packet> arrived;
  std::vector<std::uint8_t> unsent;  // by the application, from unsent_at on
  std::size_t unsent_at = 0;
  std::size_t received = 0;
};

enum class Answer { kEcho, kNothing };

class LinkPair {
 public:
  LinkPair(const Setup& setup, Answer answer)
      : answer_(answer), client_(Role::kClient, setup, now_), server_(Role::kServer, setup, now_) {
    sid_ = *client_.link->open_stream();
  }

  /// The client sends `bytes`, the server answers; false if that never ends.
  bool exchange(Bytes bytes) {
    queue(client_, bytes);
    const std::size_t server_wanted = server_.received + bytes.size();
    const std::size_t client_wanted = client_.received + (answer_ == Answer::kEcho ? bytes.size() : 0);
    for (int rounds = 0; server_.received < server_wanted || client_.received < client_wanted; ++rounds) {
      if (rounds > 100000 || !client_.link->closed_reason().empty() || !server_.link->closed_reason().empty())
        return false;
      step();
    }
    return true;
  }

 private:
  static void queue(End& end, Bytes bytes) {
    end.unsent.insert(end.unsent.end(), bytes.begin(), bytes.end());
  }

  // Virtual time, so that no hiccup of the machine looks like a loss.
  void step() {
    now_ += microseconds(20);
    run(client_, server_);
    run(server_, client_);
  }

  void run(End& from, End& to) {
    if (const auto due = from.link->next_timeout(); due && *due <= now_) from.link->handle_timeout(now_);
    write(from);
    bool more = true;
    while (more) {
      from.batch.clear();
      more = from.link->poll_transmit(now_, Path{}, from.batch);
      if (from.batch.empty()) return;
      from.suite->seal(from.batch.packets());
      deliver(from, to);
      write(from);
    }
  }

  void deliver(End& from, End& to) {
    to.arrived.assign(from.batch.packets().begin(), from.batch.packets().end());
    to.suite->open(to.arrived);
    to.link->handle_packets(now_, to.arrived);
    while (const auto event = to.link->poll_event(now_)) {
      if (event->type != StreamEvent::Type::kData) continue;
      to.received += event->data.size();
      if (&to == &server_ && answer_ == Answer::kEcho) queue(to, event->data);
      to.link->consume(event->sid, event->data.size());
    }
    to.link->release_views();
  }

  void write(End& end) {
    while (end.unsent_at < end.unsent.size()) {
      const std::size_t wanted = std::min<std::size_t>(end.unsent.size() - end.unsent_at, 65536);
      const auto pieces = end.link->prepare_write(sid_, wanted);
      if (pieces.empty()) return;
      std::size_t written = 0;
      for (const MutableBytes piece : pieces) {
        std::memcpy(piece.data(), end.unsent.data() + end.unsent_at + written, piece.size());
        written += piece.size();
      }
      end.link->commit_write(sid_, written);
      end.unsent_at += written;
    }
    end.unsent.clear();
    end.unsent_at = 0;
  }

  const Answer answer_;
  TimePoint now_{seconds(1)};
  End client_;
  End server_;
  std::uint32_t sid_ = 0;
};

void run(benchmark::State& state, const Setup& setup, Answer answer, std::size_t size) {
  LinkPair pair(setup, answer);
  const std::vector<std::uint8_t> bytes(size, 0x5a);
  for (auto _ : state)
    if (!pair.exchange(bytes)) state.SkipWithError("the link makes no progress");
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * size));
}

void add(const std::string& name, const Setup& setup, Answer answer, std::size_t size) {
  benchmark::RegisterBenchmark(name.c_str(),
                               [=](benchmark::State& state) { run(state, setup, answer, size); });
}

const bool registered = [] {
  constexpr FecSettings kNoFec{0, 0};
  const Setup echo{Cipher::kSalsa20, {}, false};   // as kcp-go's echo
  const Setup sink{Cipher::kNull, kNoFec, false};  // as kcp-go's sink
  for (const auto& [label, size] :
       {std::pair{"4K", 4 << 10}, std::pair{"64K", 64 << 10}, std::pair{"256K", 256 << 10},
        std::pair{"512K", 512 << 10}, std::pair{"1M", 1 << 20}}) {
    const auto bytes = static_cast<std::size_t>(size);
    if (std::string_view(label) != "256K")
      add("BenchmarkEchoSpeed" + std::string(label), echo, Answer::kEcho, bytes);
    if (std::string_view(label) != "512K")
      add("BenchmarkSinkSpeed" + std::string(label), sink, Answer::kNothing, bytes);
  }
  for (const CipherName& row : kStandaloneCipherNames) {
    const std::string name(row.name);
    add("link_sink/" + name + "/fec/1M", {row.cipher, {}, false}, Answer::kNothing, 1 << 20);
    if (row.cipher == Cipher::kNone || row.cipher == Cipher::kAes128)
      add("link_sink/" + name + "/no_fec/1M", {row.cipher, kNoFec, false}, Answer::kNothing, 1 << 20);
  }
  add("link_sink/aes/fec/snappy/1M", {Cipher::kAes, {}, true}, Answer::kNothing, 1 << 20);
  return true;
}();

}  // namespace
}  // namespace kcptun
