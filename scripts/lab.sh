#!/bin/sh
# The release build, Debian's kcptun, both mixed and plain TCP over emulated paths (tests/lab): goodput, small messages,
# a shared link, a black hole.
#
#   scripts/lab.sh              everything; writes docs/evidence/lab.md and docs/evidence/lab.svg (15 minutes)
#   scripts/lab.sh ARGS...      what tests/lab/lab.py takes: --row NAME, --pair NAME, --seconds S, --rounds N, --json F,
#                               --markdown F --svg F; --list shows rows and pairs
#
# Needs root and /dev/net/tun. CLIENT and SERVER name other programs to measure as ours.
set -eu
cd "$(dirname "$0")/.."
case ${1:-} in
  -h | --help) sed -n '2,8s/^# \{0,1\}//p' "$0"; exit 0 ;;
esac
scripts/install-deps.sh build test bench
cmake --preset release >/dev/null
cmake --build --preset release --target link_emulator kcptun-client kcptun-server
[ $# -gt 0 ] || set -- --markdown docs/evidence/lab.md --svg docs/evidence/lab.svg
exec python3 -u tests/lab/lab.py --ours-client "${CLIENT:-build/release/kcptun-client}" \
  --ours-server "${SERVER:-build/release/kcptun-server}" "$@"
