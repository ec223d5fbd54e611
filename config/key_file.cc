#include "config/key_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "config/open_file.h"
#include "config/text.h"

namespace kcptun {
namespace {

using enum OptionId;

Error system_error(const char* what) { return Error{std::string(what) + ": " + std::strerror(errno)}; }

/// Replaces the leading $CREDENTIALS_DIRECTORY/ by that directory.
Result<std::string> expanded(const std::string& path) {
  if (!path.starts_with(kCredentials)) return path;
  const char* directory = std::getenv("CREDENTIALS_DIRECTORY");
  if (!directory || !*directory)
    return Error{
        "names systemd's credentials, but CREDENTIALS_DIRECTORY is not set: the unit needs LoadCredential="};
  return directory + path.substr(kCredentials.size() - 1);
}

/// Rejects a file that others can read or write, because its key is not secret. The error is a predicate.
Result<bool> check_permissions(int fd) {
  struct stat info {};
  if (::fstat(fd, &info) != 0) return system_error("cannot be read");
  if (S_ISDIR(info.st_mode)) return Error{"is a folder"};
  if ((info.st_mode & (S_IROTH | S_IWOTH)) == 0 || !S_ISREG(info.st_mode)) return true;
  std::array<char, 8> mode{};
  std::snprintf(mode.data(), mode.size(), "%04o", info.st_mode & 07777u);
  return Error{"has mode " + std::string(mode.data()) +
               ", so that others may read or write it: chmod 600, or 640 with "
               "a group of its own"};
}

}  // namespace

std::optional<ValidationError> resolve_file(
    Settings& settings, OptionId id,
    const std::function<Result<std::string>(const std::string& path)>& value_in) {
  const OptionId file = file_option_of(id).value();
  const Source of_file = settings.source(file);
  const Source of_value = settings.source(id);
  const std::string& path = settings.text(file);
  if (of_file == Source::kDefault || path.empty()) return std::nullopt;
  if (of_file == of_value)
    return ValidationError{
        file, "cannot stand beside " + std::string(option_of(id).flag) + ": give one of the two"};
  if (of_value > of_file) {
    settings.set(file, std::string(), of_value);  // overridden
    return std::nullopt;
  }
  if (path.find('\0') != std::string::npos) return ValidationError{file, "has a NUL byte"};
  auto value = value_in(path);
  if (!value) return ValidationError{file, value.error()};
  settings.set(id, std::move(value.value()), of_file);
  return std::nullopt;
}

std::optional<ValidationError> resolve_keys(Settings& settings, const KeyFileReader& read) {
  const auto key_in = [&read](const std::string& path) {
    auto text = read(path);
    return text ? key_of_text(std::move(text.value())) : text;
  };
  if (auto bad = resolve_file(settings, kKey, key_in)) return bad;
  return resolve_file(settings, kPrivateKey, key_in);
}

Result<std::string> key_of_text(std::string given) {
  const bool cut = given.size() >= kMaxKeyFile + kAroundKey;
  auto text = text_of_file(std::move(given));
  if (!text) return text;
  std::string& key = text.value();
  key.erase(key.find_last_not_of("\r\n") + 1);  // npos + 1 is 0
  key.erase(0, key.find_first_not_of("\r\n"));
  if (key.empty()) return Error{"is empty"};
  if (cut || key.size() > kMaxKeyFile)
    return Error{"holds more than " + std::to_string(kMaxKeyFile) + " bytes"};
  return text;
}

Result<std::string> read_key_file(const std::string& path) {
  const Result<std::string> name = expanded(path);
  if (!name) return Error{name.error()};
  const Result<OpenFile> opened = open_to_read(name.value());
  if (!opened) return Error{"cannot be read: " + opened.error()};
  const OpenFile& file = opened.value();
  std::setvbuf(file.get(), nullptr, _IONBF, 0);  // unbuffered, so that no copy of the key stays in a buffer
  if (const Result<bool> good = check_permissions(::fileno(file.get())); !good) return Error{good.error()};
  std::string text(kMaxKeyFile + kAroundKey, '\0');
  const std::size_t got = std::fread(text.data(), 1, text.size(), file.get());
  if (std::ferror(file.get())) return system_error("cannot be read");
  text.resize(got);
  return text;
}

}  // namespace kcptun
