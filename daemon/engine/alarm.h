// A deadline that calls a function.
#pragma once

#include <functional>
#include <optional>
#include <utility>

#include "core/base/time.h"
#include "daemon/engine/engine.h"

namespace kcptun {

/// Calls the function once, at the earliest of the times scheduled since the last call. Makes no call after
/// destruction.
class Alarm final : public Deadline {
 public:
  /// `engine` outlives it. `callback` may schedule the next call.
  Alarm(Engine& engine, std::function<void(TimePoint now)> callback)
      : engine_(engine), callback_(std::move(callback)) {}
  ~Alarm() override { engine_.deadlines().set(*this, std::nullopt); }
  Alarm(const Alarm&) = delete;
  Alarm& operator=(const Alarm&) = delete;

  void schedule_at(TimePoint at) {
    if (at_ <= at) return;
    at_ = at;
    engine_.deadlines().set(*this, at);
  }

 private:
  static constexpr TimePoint kNever = TimePoint::max();

  void handle_deadline(TimePoint now) override {
    at_ = kNever;
    callback_(now);
  }

  Engine& engine_;
  std::function<void(TimePoint)> callback_;
  TimePoint at_ = kNever;
};

}  // namespace kcptun
