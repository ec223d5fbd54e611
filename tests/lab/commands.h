// The emulator's commands as text: "set up loss 0.02 rate 12500000", "counters", "quit".
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/base/result.h"
#include "tests/lab/link_model.h"

namespace kcptun::lab {

/// Up is from the left device to the right one.
enum class Way { kUp, kDown, kBoth };

/// A LinkSettings field and its new value, checked against its range.
struct Change {
  std::string_view field;  // of the table in commands.cc
  double value;
};

struct SetCommand {
  Way way;
  std::vector<Change> changes;  // one or more
};
struct CountersCommand {};
struct ResetCommand {};  // counters to zero
struct QuitCommand {};
using Command = std::variant<SetCommand, CountersCommand, ResetCommand, QuitCommand>;

/// One line without its end. The error names word, value and range.
Result<Command> parse_command(std::string_view line);

/// All changes in, or the error that names the combination: a rate wants a queue of kMinQueue bytes or more,
/// and bursts so short cannot take so large a share.
Result<LinkSettings> changed(const LinkSettings& settings, const std::vector<Change>& changes);

/// The smallest queue of a limited rate: two full packets.
inline constexpr std::uint64_t kMinQueue = 3000;

/// One line per settable field: name, range, meaning.
std::string describe_fields();

}  // namespace kcptun::lab
