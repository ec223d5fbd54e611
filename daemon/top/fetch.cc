#include "daemon/top/fetch.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <functional>

#include "config/address.h"
#include "daemon/io/listener.h"
#include "daemon/io/name_lookup.h"
#include "daemon/net/address.h"
#include "daemon/status/http.h"
#include "daemon/system/file_descriptor.h"

namespace kcptun {
namespace {

using Clock = std::chrono::steady_clock;
constexpr auto kAnswerTimeout = std::chrono::seconds(5);
constexpr std::size_t kMaxBytes = 16 * 1024 * 1024;

// Waits until the descriptor is ready. Sets errno to ETIMEDOUT at the deadline.
bool wait_for(int fd, short events, Clock::time_point deadline) {
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
    pollfd one{fd, events, 0};
    const int ready = left > 0 ? ::poll(&one, 1, static_cast<int>(left)) : 0;
    if (ready > 0) return true;
    if (ready < 0 && errno == EINTR) continue;
    if (ready == 0) errno = ETIMEDOUT;
    return false;
  }
}

bool connected(int fd, Clock::time_point deadline) {
  if (!wait_for(fd, POLLOUT, deadline)) return false;
  int error = 0;
  socklen_t size = sizeof error;
  getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
  errno = error;
  return error == 0;
}

// Sends `request` and reads until the end of the stream. The error is the system's text.
Result<std::string> converse(int fd, std::string_view request, Clock::time_point deadline) {
  if (!connected(fd, deadline)) return Error{std::strerror(errno)};
  while (!request.empty()) {
    const ssize_t n = ::send(fd, request.data(), request.size(), MSG_NOSIGNAL);
    if (n > 0) request.remove_prefix(static_cast<std::size_t>(n));
    if (n < 0 && errno != EAGAIN && errno != EINTR) return Error{std::strerror(errno)};
    if (n < 0 && !wait_for(fd, POLLOUT, deadline)) return Error{std::strerror(errno)};
  }
  std::string answer;
  std::array<char, 16384> bytes;
  for (;;) {
    if (!wait_for(fd, POLLIN, deadline)) return Error{std::strerror(errno)};
    const ssize_t n = ::read(fd, bytes.data(), bytes.size());
    if (n == 0) return answer;
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    if (n < 0) return Error{std::strerror(errno)};
    answer.append(bytes.data(), static_cast<std::size_t>(n));
    if (answer.size() > kMaxBytes) return Error{"the answer is longer than 16 MiB"};
  }
}

Result<std::string> ask(FileDescriptor fd, const std::string& request, Clock::time_point deadline) {
  if (!fd.valid()) return Error{std::strerror(errno)};
  Result<std::string> answer = converse(fd.get(), request, deadline);
  if (!answer) return answer;
  return body_of_response(*answer);
}

}  // namespace

Result<std::string> fetch_status(const Address& address, const std::string& token, const std::string& path) {
  const auto* host = std::get_if<HostPort>(&address);
  const std::string place = to_text(address);
  std::string request =
      fmt::format("GET {} HTTP/1.1\r\nHost: {}\r\n", path, host ? place : std::string("localhost"));
  if (!token.empty()) request += fmt::format("Authorization: Bearer {}\r\n", token);
  request += "\r\n";
  const Clock::time_point deadline = Clock::now() + kAnswerTimeout;
  if (!host) {
    Result<std::string> body = ask(begin_connect(std::get<UnixPath>(address)), request, deadline);
    return body ? body : Error{place + ": " + body.error()};
  }
  const Result<std::vector<IpEndpoint>> endpoints = resolve(dialled_host(*host), host->port_min);
  if (!endpoints) return Error{endpoints.error()};
  Result<std::string> body = Error{"no address"};
  for (const IpEndpoint& endpoint : endpoints.value()) {
    body = ask(begin_connect(endpoint), request, deadline);
    if (body) return body;
  }
  return Error{place + ": " + body.error()};
}

}  // namespace kcptun
