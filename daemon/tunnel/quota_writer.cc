#include "daemon/tunnel/quota_writer.h"

#include <unistd.h>

#include <cerrno>
#include <utility>

#include "config/command.h"
#include "config/quota.h"
#include "daemon/log/log.h"
#include "daemon/system/replaced_file.h"
#include "daemon/system/thread.h"

namespace kcptun {
namespace {

void log_news(const std::string& tunnel, const std::string& path, const Result<bool>& written) {
  const EventLog log(tunnel);
  if (written) {
    log.info("quota-file is written again", {{"file", path}});
  } else {
    log.warning("quota-file is not written", {{"file", path}, {"error", written.error()}});
  }
}

}  // namespace

Result<QuotaUses> read_quota_file(const std::string& path) {
  if (::access(path.c_str(), F_OK) != 0 && errno == ENOENT) return QuotaUses{};
  auto text = read_text_file(path);
  if (!text) return Error{"quota-file " + path + " cannot be read: " + text.error()};
  if (text.value().empty()) return QuotaUses{};  // replace_text() creates it so
  auto uses = parse_quota_uses(std::move(text.value()));
  if (!uses) return Error{"quota-file " + path + " " + uses.error()};
  return uses;
}

std::unique_ptr<QuotaWriter> QuotaWriter::make(const Profile& profile, const UserAccounts& accounts,
                                               Post post) {
  if (profile.quota_file.empty()) return nullptr;
  return std::make_unique<QuotaWriter>(profile.quota_file, accounts, profile.name, std::move(post));
}

QuotaWriter::QuotaWriter(std::string path, const UserAccounts& accounts, std::string tunnel, Post post)
    : path_(std::move(path)), accounts_(accounts), tunnel_(std::move(tunnel)), post_(std::move(post)) {}

QuotaWriter::~QuotaWriter() {
  if (!in_service_) return;
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
  if (const auto news = write()) log_news(tunnel_, path_, *news);
}

Result<bool> QuotaWriter::start() {
  in_service_ = true;
  Result<std::thread> started = start_thread("quota", [this] { run(); });
  if (!started) return Error{started.error()};
  thread_ = std::move(*started);
  return true;
}

void QuotaWriter::run() {
  std::unique_lock lock(mutex_);
  while (!ending_) {
    lock.unlock();
    if (const auto news = write())
      post_([tunnel = tunnel_, path = path_, result = *news] { log_news(tunnel, path, result); });
    lock.lock();
    changed_.wait_for(lock, kPeriod, [this] { return ending_; });
  }
}

// The result is news where it differs from the one before.
std::optional<Result<bool>> QuotaWriter::write() {
  const std::uint64_t changes = accounts_.changes();
  if (changes == written_) return std::nullopt;
  const Result<bool> done = replace_text(path_, [this](const std::string&) -> Result<std::string> {
    return render_quota_uses(accounts_.uses());
  });
  if (done) written_ = changes;
  if (std::exchange(failing_, !done.ok()) == !done.ok()) return std::nullopt;
  return done;
}

}  // namespace kcptun
