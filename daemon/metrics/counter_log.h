// kcptun's snmplog: rows of counters as comma-separated values (docs/develop/protocol.md section 9).
#pragma once

#include <ctime>
#include <string>

#include "core/base/result.h"
#include "daemon/metrics/counters.h"

namespace kcptun {

/// Appends rows to a file, which it opens for each row. The file name, without the directory, is a Go time
/// layout, so a new file starts when the formatted name changes. It has no clock and no loop: the caller
/// passes the time and the counters, and logs errors. A row is written completely or not at all.
class CounterLog {
 public:
  /// `path`: a literal directory, and a file name in Go's time layout.
  explicit CounterLog(std::string path) : path_(std::move(path)) {}

  /// The file name at this time, in local time.
  std::string file_at(const timespec& now) const;
  /// Appends a row; writes the column names before it if the file is empty. The error names the file.
  Result<bool> append(const timespec& now, const Counters& counters) const;

 private:
  std::string path_;
};

}  // namespace kcptun
