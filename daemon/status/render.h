// A snapshot as text: /status.json and /metrics.
#pragma once

#include <string>

#include "daemon/metrics/snapshot.h"

namespace kcptun {

/// An object; its fields are those of fields.h, null where a number is not known. Ends with a newline.
std::string render_status_json(const ProcessSnapshot& snapshot);

/// Of the tunnels whose peer does not answer, a line each: name, state and hint; empty if all peers answer.
std::string render_failed_peers(const ProcessSnapshot& snapshot);

/// Prometheus' text format 0.0.4. A session is labelled with its tunnel, conv and remote address, which only
/// kMaxSessionRows of the process have at once.
std::string render_metrics(const ProcessSnapshot& snapshot);

/// A label's value between its quotes: backslash, quote and line feed escaped, bytes that are no UTF-8
/// replaced.
std::string escape_label(std::string_view value);

}  // namespace kcptun
