#include "tests/lab/commands.h"

#include <charconv>
#include <cmath>
#include <cstdio>
#include <span>

namespace kcptun::lab {

namespace {

struct Field {
  std::string_view name;
  double least, most;
  std::string_view meaning;
  void (*assign)(LinkSettings&, double);
};

LinkDuration ms(double value) { return LinkDuration(std::llround(value * 1e6)); }

constexpr double kMaxRate = 1.25e10;  // bytes per second, 100 Gbit/s: no such machine runs this

// The one table of what can be set.
constexpr Field kFields[] = {
    {"delay_ms", 0, 10000, "one-way delay", [](LinkSettings& s, double v) { s.delay = ms(v); }},
    {"jitter_ms", 0, 10000, "up to so much more delay, in order",
     [](LinkSettings& s, double v) { s.jitter = ms(v); }},
    {"rate", 0, kMaxRate, "bytes per second, 0: no limit",
     [](LinkSettings& s, double v) { s.rate = static_cast<std::uint64_t>(v); }},
    {"queue", 0, 1e9, "bytes that may wait for the rate",
     [](LinkSettings& s, double v) { s.queue = static_cast<std::uint64_t>(v); }},
    {"police", 0, kMaxRate, "bytes per second beyond which a policer drops, 0: none",
     [](LinkSettings& s, double v) { s.police = static_cast<std::uint64_t>(v); }},
    {"bucket", 0, 1e9, "bytes that the policer lets through at once",
     [](LinkSettings& s, double v) { s.bucket = static_cast<std::uint64_t>(v); }},
    {"loss", 0, 1, "probability of an independent loss", [](LinkSettings& s, double v) { s.loss = v; }},
    {"burst_loss", 0, 1, "share of packets lost in bursts",
     [](LinkSettings& s, double v) { s.burst_loss = v; }},
    {"burst_length", 1, 10000, "mean packets of a burst",
     [](LinkSettings& s, double v) { s.burst_length = v; }},
    {"reorder", 0, 1, "probability of being held back", [](LinkSettings& s, double v) { s.reorder = v; }},
    {"reorder_ms", 0, 10000, "how long", [](LinkSettings& s, double v) { s.reorder_delay = ms(v); }},
    {"mtu", 0, 65535, "larger packets are dropped, 0: none",
     [](LinkSettings& s, double v) { s.mtu = static_cast<std::uint32_t>(v); }},
    {"fragments", 0, 1, "1: larger IPv4 packets without DF are cut, not dropped",
     [](LinkSettings& s, double v) { s.fragments = v != 0; }},
    {"blackhole", 0, 1, "1: nothing passes", [](LinkSettings& s, double v) { s.black_hole = v != 0; }},
};

const Field* find_field(std::string_view name) {
  for (const Field& field : kFields)
    if (field.name == name) return &field;
  return nullptr;
}

std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%g", value);
  return text;
}

std::string quoted(std::string_view word) { return std::string("'").append(word).append("'"); }

std::vector<std::string_view> words_of(std::string_view line) {
  std::vector<std::string_view> words;
  while (true) {
    const std::size_t begin = line.find_first_not_of(" \t\r");
    if (begin == std::string_view::npos) return words;
    line.remove_prefix(begin);
    const std::size_t end = std::min(line.find_first_of(" \t\r"), line.size());
    words.push_back(line.substr(0, end));
    line.remove_prefix(end);
  }
}

Result<Change> parse_change(std::string_view name, std::string_view text) {
  const Field* field = find_field(name);
  if (!field) return Error{"unknown setting " + quoted(name)};
  double value = 0;
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool read = fault == std::errc() && end == text.data() + text.size();
  if (!read || !(value >= field->least && value <= field->most))
    return Error{std::string(name) + " " + quoted(text) + " is not a number from " + number(field->least) +
                 " to " + number(field->most)};
  return Change{field->name, value};
}

Result<Command> parse_set(std::span<const std::string_view> words) {
  if (words.size() < 3 || words.size() % 2 == 0)
    return Error{"set wants: up|down|both, then SETTING VALUE pairs"};
  SetCommand command{};
  if (words[0] == "up") {
    command.way = Way::kUp;
  } else if (words[0] == "down") {
    command.way = Way::kDown;
  } else if (words[0] == "both") {
    command.way = Way::kBoth;
  } else {
    return Error{quoted(words[0]) + " is not up, down or both"};
  }
  for (std::size_t i = 1; i < words.size(); i += 2) {
    Result<Change> change = parse_change(words[i], words[i + 1]);
    if (!change) return Error{change.error()};
    command.changes.push_back(*change);
  }
  return Command(command);
}

}  // namespace

Result<Command> parse_command(std::string_view line) {
  const std::vector<std::string_view> words = words_of(line);
  if (words.empty()) return Error{"no command"};
  if (words[0] == "set") return parse_set(std::span(words).subspan(1));
  if (words.size() == 1 && words[0] == "counters") return Command(CountersCommand{});
  if (words.size() == 1 && words[0] == "reset") return Command(ResetCommand{});
  if (words.size() == 1 && words[0] == "quit") return Command(QuitCommand{});
  return Error{quoted(line) + " is not one of: set up|down|both SETTING VALUE ..., counters, reset, quit"};
}

Result<LinkSettings> changed(const LinkSettings& settings, const std::vector<Change>& changes) {
  LinkSettings next = settings;
  for (const Change& change : changes) find_field(change.field)->assign(next, change.value);
  if (next.rate != 0 && next.queue < kMinQueue)
    return Error{"a rate wants a queue of " + std::to_string(kMinQueue) + " bytes or more, not " +
                 std::to_string(next.queue)};
  if (next.burst_loss > next.burst_length / (next.burst_length + 1))
    return Error{"burst_loss " + number(next.burst_loss) + " is more than bursts of " +
                 number(next.burst_length) +
                 " packets can take: " + number(next.burst_length / (next.burst_length + 1))};
  return next;
}

std::string describe_fields() {
  std::string text;
  for (const Field& field : kFields)
    text.append("  ")
        .append(field.name)
        .append(14 - field.name.size(), ' ')
        .append(number(field.least))
        .append(" to ")
        .append(number(field.most))
        .append(": ")
        .append(field.meaning)
        .append("\n");
  return text;
}

}  // namespace kcptun::lab
