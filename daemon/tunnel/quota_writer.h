// Keeps what users have transferred in the tunnel's quota-file.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "config/profile.h"
#include "core/base/result.h"
#include "core/base/time.h"
#include "daemon/server/user_accounts.h"

namespace kcptun {

/// Reads a quota-file; no file means that nobody has transferred anything. The error names the file.
Result<QuotaUses> read_quota_file(const std::string& path);

/// Writes the accounts at the start, then every kPeriod if they have changed, on a thread of its own, because
/// the disk may take its time; and at the end. A failure is logged once, and so is the recovery.
class QuotaWriter {
 public:
  /// What a crash of the machine or the process may lose.
  static constexpr Duration kPeriod = seconds(10);

  /// Runs a task on the thread that may log, or drops it. Called on the writer's thread.
  using Post = std::function<void(std::function<void()> task)>;

  /// Null if the tunnel has no quota-file.
  static std::unique_ptr<QuotaWriter> make(const Profile& profile, const UserAccounts& accounts, Post post);
  /// `accounts` outlive the writer. `tunnel`: its name in the log.
  QuotaWriter(std::string path, const UserAccounts& accounts, std::string tunnel, Post post);
  /// Writes for the last time, if start() was called. Call it when the accounts change no more.
  ~QuotaWriter();
  QuotaWriter(const QuotaWriter&) = delete;
  QuotaWriter& operator=(const QuotaWriter&) = delete;

  /// Call it after the process has dropped its privileges. The error is the system's reason for refusing a
  /// thread: then the accounts are written at the end only.
  Result<bool> start();

 private:
  void run();
  std::optional<Result<bool>> write();

  const std::string path_;
  const UserAccounts& accounts_;
  const std::string tunnel_;
  const Post post_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool ending_ = false;
  bool in_service_ = false;  // start() was called
  // Of the thread, and of the destructor behind it:
  std::uint64_t written_ = ~std::uint64_t{0};  // UserAccounts::changes() at the last successful write
  bool failing_ = false;                       // of the last write
  std::thread thread_;
};

}  // namespace kcptun
