#!/bin/sh
# A tunnel under churning streams, loss, log rotation and reload, for hours (tests/e2e/soak.py), on the release build.
#
#   scripts/soak.sh HOURS [FOLDER]    fractions too; FOLDER (default build/soak) gets soak.csv and soak.svg
#
# Exits with 1 if a transfer failed, a program ended, or its memory grew.
set -eu
cd "$(dirname "$0")/.."
[ $# -ge 1 ] || { sed -n '2,6s/^# \{0,1\}//p' "$0" >&2; exit 2; }

scripts/install-deps.sh build test
cmake --preset release >/dev/null
cmake --build --preset release --target kcptun-client kcptun-server
exec python3 -u tests/e2e/soak.py --client build/release/kcptun-client --server build/release/kcptun-server \
  "$1" "${2:-build/soak}"
