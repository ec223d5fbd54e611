#!/bin/sh
# Goodput and CPU per GB of the release build against Debian's kcptun in one run.
#
#   scripts/compare-debian.sh            part A's yardstick: one bulk stream, aes-128, FEC 10/3; fails below twice the
#                                        goodput or above half the CPU per GB of Debian's pair
#   scripts/compare-debian.sh --all      every case of tests/bench/compare.py
#   scripts/compare-debian.sh ARGS...    what compare.py takes: --case NAME, --rounds N, --seconds S, --goals ...
#
# CLIENT and SERVER name other programs to measure as ours.
set -eu
cd "$(dirname "$0")/.."
case ${1:-} in
  -h | --help) sed -n '2,9s/^# \{0,1\}//p' "$0"; exit 0 ;;
  --all) shift ;;
  '') set -- --case aes-128-up --least-goodput 2 --most-cpu 0.5 ;;
esac
if [ -z "${CLIENT:-}" ] || [ -z "${SERVER:-}" ]; then
  scripts/install-deps.sh build test bench
  cmake --preset release >/dev/null
  cmake --build --preset release --target kcptun-client kcptun-server
fi
exec python3 -u tests/bench/compare.py --ours-client "${CLIENT:-build/release/kcptun-client}" \
  --ours-server "${SERVER:-build/release/kcptun-server}" "$@"
