#!/bin/sh
# Lines of core/ that the unit tests and the fuzz corpora reach (gcc, gcov).
#
#   scripts/coverage.sh [PERCENT]    fails below PERCENT (default 90)
#
# Prints a row for each file, those with most lines left out first. The build is build/coverage. JOBS as in test.sh.
set -eu
cd "$(dirname "$0")/.."
goal=${1:-90}
jobs=${JOBS:-$(nproc)}
case $goal in *[!0-9]* | '') sed -n '2,6s/^# \{0,1\}//p' "$0" >&2; exit 2 ;; esac

scripts/install-deps.sh build test
launcher=
command -v ccache >/dev/null && launcher='-DCMAKE_CXX_COMPILER_LAUNCHER=ccache -DCMAKE_C_COMPILER_LAUNCHER=ccache'
# shellcheck disable=SC2086  # words are meant to split
cmake --preset coverage $launcher >/dev/null
programs=$(ctest --test-dir build/coverage -N -L '^(unit|fuzz)$' | sed -n 's/.*Test *#[0-9]*: \(fuzz\.\)\{0,1\}/\1/p' |
  sed 's/^fuzz\./fuzz_/' | grep -v '^daemon\|^config\|^lab' || true)
[ -n "$programs" ] || { echo "coverage.sh: no tests found" >&2; exit 1; }
# shellcheck disable=SC2086
cmake --build --preset coverage --parallel "$jobs" --target $programs
find build/coverage -name '*.gcda' -delete
# Tests that fail are the business of test.sh; here it counts what they reach, but a failure is said.
# shellcheck disable=SC2086
names=$(printf '%s\n' $programs | sed 's/^fuzz_/fuzz./' | tr '\n' '|')
ctest --test-dir build/coverage --parallel "$jobs" --no-tests=error -R "^(${names%|})\$" --output-on-failure |
  tail -n 4
find build/coverage/core build/coverage/tests -name '*.gcno' >build/coverage/counted # what nothing ran, and headers in tests, too
python3 tests/fuzz/coverage.py "$goal" build/coverage/counted
