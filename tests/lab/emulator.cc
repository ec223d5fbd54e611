// link_emulator: an IP path between two network namespaces, with one TUN device in each
// (tests/lab/README.md).
//
//   link_emulator LEFT-NAMESPACE RIGHT-NAMESPACE [--seed N] [--grain MICROSECONDS] [--tun NAME]
//
// Commands come on standard input, one line each; each is answered by one line of JSON on standard output.
// The end of input ends the program, so that no emulator outlives who started it.
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <ctime>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "tests/lab/commands.h"
#include "tests/lab/fragments.h"
#include "tests/lab/link_model.h"
#include "tests/lab/packet_store.h"
#include "tests/lab/tun_device.h"

namespace kcptun::lab {
namespace {

using nlohmann::json;

struct Options {
  std::string left, right;
  std::uint64_t seed = 1;
  // A wake-up costs as much as 10 packets, so busy devices are looked at this often only.
  LinkDuration grain{200'000};
  std::string tun = "lab0";
};

LinkTime clock_now() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return LinkTime(LinkDuration(std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec));
}

/// One direction: reads from one device, writes to the other.
class Direction {
 public:
  Direction(std::uint64_t seed, TunDevice& from, TunDevice& to, PacketPool& pool)
      : model_(seed), from_(from), to_(to), pool_(pool) {}

  /// Takes what waits at the device. True: something did.
  bool take_in() {
    for (int taken = 0; taken < kMaxPerPass; ++taken) {
      if (!spare_ && !(spare_ = pool_.take())) return drop_one(taken);
      spare_->size = static_cast<std::uint32_t>(from_.read(spare_->bytes));
      if (spare_->size == 0) return taken > 0;
      const LinkSettings& settings = model_.settings();
      if (settings.fragments && settings.mtu != 0 && Fragments::can_cut(spare_->view(), settings.mtu)) {
        offer_fragments(settings.mtu);
      } else {
        offer(std::move(spare_));
      }
    }
    return true;
  }

  void deliver_due(LinkTime now) {
    while (in_flight_.next() && *in_flight_.next() <= now) {
      std::unique_ptr<Packet> packet = in_flight_.take();
      if (!to_.write(packet->view())) ++refused_;
      pool_.give_back(std::move(packet));
    }
  }

  std::optional<LinkTime> next() const { return in_flight_.next(); }
  LinkModel& model() { return model_; }

  json counters() const {
    const LinkModel::Counters& c = model_.counters();
    return {{"offered", c.offered},
            {"offered_bytes", c.offered_bytes},
            {"carried", c.carried},
            {"carried_bytes", c.carried_bytes},
            {"lost", c.lost},
            {"policed", c.policed},
            {"queue_drops", c.queue_drops},
            {"too_big", c.too_big},
            {"black_holed", c.black_holed},
            {"reordered", c.reordered},
            {"max_queue", c.max_queue},
            {"queued", model_.queued(clock_now())},
            {"overflow", overflow_},
            {"refused", refused_},
            {"cut", cut_}};
  }
  void reset_counters() {
    model_.reset_counters();
    overflow_ = refused_ = cut_ = 0;
  }

 private:
  static constexpr int kMaxPerPass = 256;  // so that neither direction waits long for the other

  void offer(std::unique_ptr<Packet> packet) {
    const LinkModel::Verdict verdict = model_.offer(clock_now(), packet->size);
    if (verdict.fate == Fate::kPasses) return in_flight_.add(verdict.out, std::move(packet));
    pool_.give_back(std::move(packet));
  }

  /// Of the packet just read.
  void offer_fragments(std::size_t mtu) {
    ++cut_;
    Fragments fragments(spare_->view(), mtu);
    for (;;) {
      std::unique_ptr<Packet> part = pool_.take();
      if (!part) {
        ++overflow_;
        return;
      }
      part->size = static_cast<std::uint32_t>(fragments.next(part->bytes));
      if (part->size == 0) return pool_.give_back(std::move(part));
      offer(std::move(part));
    }
  }

  /// The pool is empty: what waits is lost, and the run worth nothing, which `overflow` tells.
  bool drop_one(int taken) {
    std::array<std::uint8_t, kMaxPacket> bytes;
    if (from_.read(bytes) == 0) return taken > 0;
    ++overflow_;
    return true;
  }

  LinkModel model_;
  TunDevice& from_;
  TunDevice& to_;
  PacketPool& pool_;
  InFlight in_flight_;
  std::unique_ptr<Packet> spare_;
  std::uint64_t overflow_ = 0;  // dropped because kMaxInside were inside
  std::uint64_t refused_ = 0;   // not taken by the device
  std::uint64_t cut_ = 0;       // packets that went on as fragments
};

class Emulator {
 public:
  Emulator(const Options& options, TunDevice left, TunDevice right)
      : grain_(options.grain),
        left_(std::move(left)),
        right_(std::move(right)),
        up_(options.seed * 2 + 1, left_, right_, pool_),
        down_(options.seed * 2 + 2, right_, left_, pool_) {}

  /// Until "quit" or the end of input.
  void run() {
    while (!quit_) {
      const bool up = up_.take_in(), down = down_.take_in();
      const LinkTime now = clock_now();
      up_.deliver_due(now);
      down_.deliver_due(now);
      wait(now, up || down);
    }
    answer(counters());
  }

 private:
  /// While packets come, only time and commands end the wait: the devices are read again after one grain.
  void wait(LinkTime now, bool busy) {
    std::optional<LinkDuration> until;
    if (busy) {
      until = grain_;
    } else {
      for (const std::optional<LinkTime>& next : {up_.next(), down_.next()})
        if (next) until = std::min(until.value_or(LinkDuration::max()), std::max(*next - now, grain_));
    }
    std::array<pollfd, 3> watched{
        {{STDIN_FILENO, POLLIN, 0}, {left_.descriptor(), POLLIN, 0}, {right_.descriptor(), POLLIN, 0}}};
    timespec timeout{};
    if (until) timeout = {until->count() / 1'000'000'000, until->count() % 1'000'000'000};
    const int ready = ::ppoll(watched.data(), busy ? 1 : 3, until ? &timeout : nullptr, nullptr);
    if (ready > 0 && watched[0].revents != 0) read_commands();
  }

  void read_commands() {
    char bytes[4096];
    const ssize_t size = ::read(STDIN_FILENO, bytes, sizeof bytes);
    if (size <= 0) {
      quit_ = true;
      return;
    }
    input_.append(bytes, static_cast<std::size_t>(size));
    for (std::size_t end; !quit_ && (end = input_.find('\n')) != std::string::npos; input_.erase(0, end + 1))
      obey(std::string_view(input_).substr(0, end));
    if (input_.size() > kMaxLine) quit_ = true;
  }

  void obey(std::string_view line) {
    Result<Command> command = parse_command(line);
    if (!command) return answer({{"error", command.error()}});
    if (const SetCommand* set = std::get_if<SetCommand>(&*command)) return answer(apply(*set));
    if (std::holds_alternative<CountersCommand>(*command)) return answer(counters());
    if (std::holds_alternative<ResetCommand>(*command)) {
      up_.reset_counters();
      down_.reset_counters();
      return answer({{"ok", true}});
    }
    quit_ = true;
  }

  json apply(const SetCommand& command) {
    std::vector<Direction*> ways;
    if (command.way != Way::kDown) ways.push_back(&up_);
    if (command.way != Way::kUp) ways.push_back(&down_);
    std::vector<LinkSettings> next;  // of all, before any: a refused command changes nothing
    for (Direction* way : ways) {
      Result<LinkSettings> settings = changed(way->model().settings(), command.changes);
      if (!settings) return {{"error", settings.error()}};
      next.push_back(*settings);
    }
    for (std::size_t i = 0; i < ways.size(); ++i) ways[i]->model().set(next[i]);
    return {{"ok", true}};
  }

  json counters() const { return {{"up", up_.counters()}, {"down", down_.counters()}}; }

  static void answer(const json& line) {
    std::puts(line.dump().c_str());
    std::fflush(stdout);
  }

  static constexpr std::size_t kMaxLine = 4096;

  LinkDuration grain_;
  TunDevice left_, right_;
  PacketPool pool_;
  Direction up_, down_;
  std::string input_;
  bool quit_ = false;
};

bool read_number(const char* text, std::uint64_t least, std::uint64_t most, std::uint64_t& value) {
  const std::string_view view(text);
  const auto [end, fault] = std::from_chars(view.data(), view.data() + view.size(), value);
  return fault == std::errc() && end == view.data() + view.size() && value >= least && value <= most;
}

Result<Options> parse_arguments(int count, char** words) {
  Options options;
  if (count < 3 || count % 2 == 0) return Error{"two namespaces, then options and their values"};
  options.left = words[1];
  options.right = words[2];
  for (int i = 3; i < count; i += 2) {
    const std::string_view name(words[i]);
    std::uint64_t value = 0;
    if (name == "--seed" && read_number(words[i + 1], 0, UINT32_MAX, value)) {
      options.seed = value;
    } else if (name == "--grain" && read_number(words[i + 1], 1, 100'000, value)) {
      options.grain = LinkDuration(static_cast<std::int64_t>(value) * 1000);
    } else if (name == "--tun") {
      options.tun = words[i + 1];
    } else {
      return Error{std::string(name) + " " + words[i + 1] +
                   " is no option (--seed 0..4294967295, --grain 1..100000)"};
    }
  }
  return options;
}

/// Before other processes, or a busy machine would be part of the path. Gives what was reached, for the
/// report.
const char* take_precedence() {
  ::prctl(PR_SET_TIMERSLACK, 1UL, 0, 0, 0);
  sched_param priority{};
  priority.sched_priority = 1;
  return ::sched_setscheduler(0, SCHED_RR, &priority) == 0 ? "real-time" : "normal";
}

int main_of(int count, char** words) {
  const Result<Options> options = parse_arguments(count, words);
  if (!options) {
    std::fprintf(stderr,
                 "link_emulator: %s\nusage: link_emulator LEFT-NAMESPACE RIGHT-NAMESPACE [--seed N] [--grain "
                 "MICROSECONDS] [--tun NAME]\nSettings, for: set up|down|both SETTING VALUE ...\n%s",
                 options.error().c_str(), describe_fields().c_str());
    return 2;
  }
  const Options& chosen = options.value();
  Result<TunDevice> left = TunDevice::make(chosen.left, chosen.tun);
  Result<TunDevice> right = left ? TunDevice::make(chosen.right, chosen.tun) : Error{left.error()};
  if (!right) {
    std::fprintf(stderr, "link_emulator: %s\n", right.error().c_str());
    return 1;
  }
  const char* const scheduling = take_precedence();
  std::printf("{\"ready\":true,\"scheduling\":\"%s\"}\n", scheduling);
  std::fflush(stdout);
  Emulator(chosen, std::move(left.value()), std::move(right.value())).run();
  return 0;
}

}  // namespace
}  // namespace kcptun::lab

int main(int count, char** words) { return kcptun::lab::main_of(count, words); }
