// kcptun's snmplog: rows of counters in comma-separated values (docs/protocol.md section 9).
#pragma once

#include <ctime>
#include <string>

#include "core/base/result.h"
#include "daemon/metrics/counters.h"

namespace kcptun {

/// Appends rows to a file that is opened anew for each: its name, without the directory, is a Go time layout, so that
/// the file changes as its name does. Knows files and nothing of the loop; the caller brings the moment and the
/// counters, and says in the log what failed. A row is in the file as a whole or not at all.
class CounterLog {
 public:
  /// `path`: a directory, taken as it is, and a file name in Go's time layout.
  explicit CounterLog(std::string path) : path_(std::move(path)) {}

  /// The file at that moment, in local time.
  std::string file_at(const timespec& now) const;
  /// Appends a row, behind the names of the columns if the file is empty. The error names the file.
  Result<bool> append(const timespec& now, const Counters& counters) const;

 private:
  std::string path_;
};

}  // namespace kcptun
