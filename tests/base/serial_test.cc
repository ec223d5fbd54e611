#include "core/base/serial.h"

#include <catch2/catch.hpp>

#include "core/base/time.h"

namespace kcptun::serial_test {

TEST_CASE("serial numbers compare across the wrap") {
  CHECK(serial_less(1, 2));
  CHECK_FALSE(serial_less(2, 2));
  CHECK_FALSE(serial_less(3, 2));
  CHECK(serial_less(0xffffffff, 0));
  CHECK(serial_less(0xfffffff0, 0x10));
  CHECK_FALSE(serial_less(0x10, 0xfffffff0));
  CHECK(serial_diff(5, 0xfffffffb) == 10);
  CHECK(serial_diff(0xfffffffb, 5) == -10);
  CHECK(serial_less(0, 0x7fffffff));
  CHECK_FALSE(serial_less(0, 0x80000001));
}

TEST_CASE("wire time counts whole milliseconds and wraps") {
  CHECK(wire_ms(TimePoint(microseconds(1999))) == 1);
  CHECK(wire_ms(TimePoint(milliseconds(0x100000005))) == 5);
  CHECK(wire_ms(TimePoint(microseconds(-1))) == 0xffffffff);
}

TEST_CASE("the earlier of two deadlines counts, and one alone counts for both") {
  const TimePoint early{milliseconds(1)}, late{milliseconds(2)};
  CHECK(earliest(early, late) == early);
  CHECK(earliest(late, early) == early);
  CHECK(earliest(std::nullopt, late) == late);
  CHECK(earliest(late, std::nullopt) == late);
  CHECK_FALSE(earliest(std::nullopt, std::nullopt));
}

}  // namespace kcptun::serial_test
