#include "daemon/engine/dialer.h"

#include <errno.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "daemon/io/listener.h"

namespace kcptun {

Dialer::Dialer(Engine& engine, Done done)
    : engine_(engine),
      done_(std::move(done)),
      dial_deadline_(engine.now() + kDialTimeout),
      error_number_(ETIMEDOUT),
      error_(std::strerror(ETIMEDOUT)) {
  set_deadline();
}

Dialer::~Dialer() { engine_.deadlines().set(*this, std::nullopt); }

void Dialer::start(std::vector<IpEndpoint> addresses, Reached reached) {
  addresses_ = std::move(addresses);
  reached_ = std::move(reached);
  start_next_attempt();
}

void Dialer::start(const UnixPath& path) {
  failed_ = !add_attempt(begin_connect(path), std::nullopt);
  set_deadline();
}

void Dialer::fail(std::string error) {
  error_ = std::move(error);
  error_number_ = 0;
  failed_ = true;
  set_deadline();
}

// Starts an attempt at the next address that accepts one. An immediate failure is reported from the loop,
// because the caller may still be constructing the dialer's owner.
void Dialer::start_next_attempt() {
  bool begun = false;
  while (!begun && next_ < addresses_.size()) {
    const IpEndpoint& address = addresses_[next_++];
    begun = add_attempt(begin_connect(address), address);
  }
  next_attempt_at_.reset();
  if (next_ < addresses_.size()) next_attempt_at_ = engine_.now() + kAttemptDelay;
  failed_ = attempts_.empty();
  set_deadline();
}

bool Dialer::add_attempt(FileDescriptor fd, std::optional<IpEndpoint> address) {
  if (!fd.valid()) {
    note_error(errno);
    return false;
  }
  const int number = fd.get();
  auto poll =
      std::make_unique<PollHandle>(engine_.uv(), number, [this, number](int) { handle_poll(number); });
  if (!poll->watch(UV_WRITABLE)) {
    note_error(errno);
    error_ = std::string("cannot watch the connection: ") + error_;
    return false;
  }
  attempts_.push_back({std::move(fd), std::move(poll), std::move(address)});
  return true;
}

void Dialer::set_deadline() {
  TimePoint at = std::min(dial_deadline_, next_attempt_at_.value_or(dial_deadline_));
  if (failed_) at = engine_.now();
  engine_.deadlines().set(*this, at);
}

void Dialer::handle_deadline(TimePoint now) {
  if (!failed_ && now < dial_deadline_) return start_next_attempt();
  attempts_.clear();
  deliver({FileDescriptor(), nullptr, error_, error_number_});
}

// A machine without IPv6 has no route to the target's IPv6 addresses, and that is not why the target cannot
// be reached.
void Dialer::note_error(int number) {
  const bool no_route = number == ENETUNREACH || number == EAFNOSUPPORT || number == EADDRNOTAVAIL;
  if (no_route && has_error_) return;
  has_error_ = true;
  error_number_ = number;
  error_ = std::strerror(number);
}

// The owner may destroy the dialer within the call.
void Dialer::deliver(Outcome outcome) {
  const Done done = std::move(done_);
  done(std::move(outcome));
}

void Dialer::handle_poll(int fd) {
  const auto attempt =
      std::ranges::find_if(attempts_, [fd](const Attempt& one) { return one.fd.get() == fd; });
  int error = 0;
  socklen_t size = sizeof error;
  getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
  if (error == 0) return take(attempt);
  note_error(error);
  attempt->poll.reset();
  attempts_.erase(attempt);
  if (next_ < addresses_.size()) return start_next_attempt();
  failed_ = attempts_.empty();
  set_deadline();
}

void Dialer::take(std::vector<Attempt>::iterator made) {
  Attempt chosen = std::move(*made);
  attempts_.clear();
  engine_.deadlines().set(*this, std::nullopt);
  if (chosen.address && reached_) reached_(*chosen.address);
  deliver({std::move(chosen.fd), std::move(chosen.poll), {}, 0});
}

}  // namespace kcptun
