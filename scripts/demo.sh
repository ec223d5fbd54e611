#!/bin/sh
# Builds the release and shows it at work: a file goes through a tunnel on loopback both ways.
#
#   scripts/demo.sh [--size MB] [-- flags for both programs]
#
# The flags replace the demo's own: --crypt aes-128-gcm --nocomp --mode fast3.
# CLIENT and SERVER name other programs to show instead of the ones built here.
set -eu
cd "$(dirname "$0")/.."
case ${1:-} in
  -h | --help) sed -n '2,7s/^# \{0,1\}//p' "$0"; exit 0 ;;
esac

if [ -z "${CLIENT:-}" ] || [ -z "${SERVER:-}" ]; then
  scripts/install-deps.sh build demo
  launcher=
  export CCACHE_BASEDIR="$PWD" CCACHE_NOHASHDIR=1 # as test.sh
  command -v ccache >/dev/null && launcher='-DCMAKE_CXX_COMPILER_LAUNCHER=ccache -DCMAKE_C_COMPILER_LAUNCHER=ccache'
  log=$(mktemp)
  trap 'rm -f "$log"' EXIT
  echo "  Building the release"
  # shellcheck disable=SC2086  # words are meant to split
  cmake --preset release $launcher >"$log" 2>&1 || { cat "$log"; exit 1; }
  cmake --build --preset release --target kcptun-client kcptun-server || exit 1
  rm -f "$log"
fi
exec python3 -u tests/e2e/demo_transfer.py \
  --client "${CLIENT:-build/release/kcptun-client}" --server "${SERVER:-build/release/kcptun-server}" "$@"
