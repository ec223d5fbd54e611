#include "daemon/log.h"

#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>

#include <cerrno>
#include <cstring>
#include <memory>

namespace kcptun {

Result<bool> open_log(const std::string& file) {
  try {
    auto logger = file.empty() ? spdlog::stderr_logger_mt("kcptun") : spdlog::basic_logger_mt("kcptun", file);
    logger->set_pattern("%Y/%m/%d %H:%M:%S %l %v");
    logger->flush_on(spdlog::level::info);
    spdlog::set_default_logger(std::move(logger));
  } catch (const spdlog::spdlog_ex&) {
    return Error{"cannot open log file " + file + ": " + std::strerror(errno)};
  }
  return true;
}

}  // namespace kcptun
