// Renders a snapshot as text for /status.json and /metrics.
#pragma once

#include <string>

#include "daemon/metrics/snapshot.h"

namespace kcptun {

/// Renders an object with the fields of fields.h; an unknown number is null. Ends with a newline.
std::string render_status_json(const ProcessSnapshot& snapshot);

/// One line (name, state and hint) for each tunnel whose peer does not answer; empty if all peers answer.
std::string render_failed_peers(const ProcessSnapshot& snapshot);

/// Renders the Prometheus text format 0.0.4. Labels name a session by tunnel, conv and remote address. At
/// most kMaxSessionRows sessions of the process have rows at once.
std::string render_metrics(const ProcessSnapshot& snapshot);

/// Escapes a label's value: backslash, quote and line feed. Replaces bytes that are not UTF-8.
std::string escape_label(std::string_view value);

}  // namespace kcptun
