// options: --bounds-check
// CBMC: core/base/serial.h orders numbers of 32 bits as RFC 1982 says, for all values.
#include "core/base/serial.h"

using kcptun::serial_diff;
using kcptun::serial_less;

std::uint32_t nondet_number();

const std::uint32_t kHalf = 1u << 31;

int main() {
  const std::uint32_t a = nondet_number();
  const std::uint32_t b = nondet_number();
  const std::uint32_t step = nondet_number();
  const std::uint32_t other = nondet_number();
  __CPROVER_assert(!serial_less(a, a), "no number is before itself");
  __CPROVER_assert(!(serial_less(a, b) && serial_less(b, a)) || a - b == kHalf,
                   "of two numbers at most one is before the other, unless they are 2^31 apart");
  __CPROVER_assert(a == b || serial_less(a, b) || serial_less(b, a),
                   "of two different numbers one is before the other");
  __CPROVER_assert(step == 0 || step >= kHalf || serial_less(a, a + step),
                   "a step forward of less than 2^31 is after");
  __CPROVER_assert(serial_less(a, b) == serial_less(a + other, b + other),
                   "the origin does not matter, nor does the wrap");
  __CPROVER_assert(a + static_cast<std::uint32_t>(serial_diff(b, a)) == b,
                   "the difference leads from one to the other");
  if (step < kHalf && other < kHalf - step && step > 0 && other > 0)
    __CPROVER_assert(serial_less(a, a + step + other) && serial_less(a + step, a + step + other),
                     "order is transitive within 2^31");
  return 0;
}
