#!/bin/sh
# The long runs of the fault tests (tests/e2e/faults_test.py) on the release build.
#
#   scripts/torture.sh [MINUTES]    kill -9 of either end in a loop for MINUTES (default 10), and SIGSTOP of either for 65 s
#
# The last lines are the counts and unittest's OK; exits with 1 if a byte was wrong or something was left over.
set -eu
cd "$(dirname "$0")/.."
minutes=${1:-10}
case $minutes in *[!0-9]* | '') sed -n '2,6s/^# \{0,1\}//p' "$0" >&2; exit 2 ;; esac

scripts/install-deps.sh build test
cmake --preset release >/dev/null
cmake --build --preset release --target kcptun-client kcptun-server
KCPTUN_KILL_SECONDS=$((minutes * 60)) KCPTUN_STOP_SECONDS=65 python3 -u tests/e2e/faults_test.py \
  --client build/release/kcptun-client --server build/release/kcptun-server Killed Stopped
