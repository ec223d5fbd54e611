#!/bin/sh
# Builds the programs and core's unit tests for another architecture (scripts/cross.sh) and tests them here, under qemu-user;
# i386 runs on the kernel itself where it can:
#
#   * core's unit tests, with all vectors;
#   * transfers with the x86-64 build, as client and as server, in each cipher;
#   * the same with Debian's kcptun of that architecture, where Debian has it.
#
#   scripts/test-arch.sh [--units | --transfers] [--small] ARCH...    ARCH: arm64 armhf mipsel i386 s390x, or all
#
# --small: built with -Os. Needs the cross compilers and, but for i386, qemu-user. Traffic stays on loopback.
set -eu
cd "$(dirname "$0")/.."

usage() {
  echo "test-arch.sh: $1 (scripts/test-arch.sh [--units | --transfers] [--small] arm64|armhf|mipsel|i386|s390x|all ...)" >&2
  exit 2
}

units=yes transfers=yes small=
while [ $# -gt 0 ]; do
  case $1 in
    --units) transfers=; shift ;;
    --transfers) units=; shift ;;
    --small) small=--small; shift ;;
    -h | --help) sed -n '2,11s/^# \{0,1\}//p' "$0"; exit 0 ;;
    -*) usage "unknown argument '$1'" ;;
    *) break ;;
  esac
done
[ $# -gt 0 ] || usage "no architecture given"
[ "$1" != all ] || set -- arm64 armhf mipsel i386 s390x

tests="base_tests crypt_test noise_test fec_tests kcp_tests stream_tests smux_tests proxy_tests link_tests probe_tests"
failed=

say() { echo "test-arch.sh: $*"; }

# Writes $2: a script that runs $1 as this machine can.
write_runner() {
  loader=$sysroot/lib/ld-linux.so.2
  mkdir -p "$(dirname "$2")"
  if [ "$arch" = i386 ] && [ "$(uname -m)" = x86_64 ] && "$loader" --version >/dev/null 2>&1; then
    command="'$loader' --library-path '$sysroot/usr/lib/i386-linux-gnu'"
  else
    command="$emulator -L '$sysroot'"
    command -v "$emulator" >/dev/null || { say "no $emulator here; scripts/install-deps.sh cross" >&2; exit 1; }
  fi
  printf '#!/bin/sh\nexec %s %s "$@"\n' "$command" "'$1'" >"$2"
  chmod +x "$2"
}

run_units() {
  # shellcheck disable=SC2086  # words are meant to split
  scripts/cross.sh $small "$arch" $tests
  for test in $tests; do
    write_runner "$build/bin/$test" "$build/run/$test"
    began=$(date +%s)
    if "$build/run/$test" --durations no >"$build/run/$test.log" 2>&1; then
      say "$arch $test: $(sed -n 's/^All tests passed (\(.*\))/\1/p' "$build/run/$test.log"), $(($(date +%s) - began)) s"
    else
      tail -n 40 "$build/run/$test.log"
      say "$arch $test: FAILED"
      failed="$failed $arch/$test"
    fi
  done
}

# $1 names the pair, $2 is the client and $3 the server.
transfer() {
  began=$(date +%s)
  if python3 -u tests/e2e/architectures_test.py --client "$2" --server "$3" >"$build/run/transfer.log" 2>&1; then
    say "$1: $(grep -c ' with the start$' "$build/run/transfer.log") ciphers, $(($(date +%s) - began)) s"
  else
    cat "$build/run/transfer.log"
    say "$1: FAILED"
    failed="$failed $1"
  fi
}

run_transfers() {
  own=${KCPTUN_BUILD:-$PWD/build/release}
  [ -x "$own/kcptun-client" ] || cmake --preset release >/dev/null
  [ -x "$own/kcptun-client" ] || cmake --build "$own" --target kcptun-client kcptun-server
  # shellcheck disable=SC2086
  scripts/cross.sh $small "$arch"
  foreign=$build/run/ours
  for role in client server; do write_runner "$build/kcptun-$role" "$foreign/kcptun-$role"; done
  transfer "$arch to x86-64" "$foreign/kcptun-client" "$own/kcptun-server"
  transfer "x86-64 to $arch" "$own/kcptun-client" "$foreign/kcptun-server"
  if [ ! -x "$sysroot/usr/bin/kcptun-client" ]; then
    say "$arch: Debian has no kcptun for it"
    return
  fi
  for role in client server; do write_runner "$sysroot/usr/bin/kcptun-$role" "$build/run/debian/kcptun-$role"; done
  transfer "$arch to Debian's kcptun of $arch" "$foreign/kcptun-client" "$build/run/debian/kcptun-server"
  transfer "Debian's kcptun of $arch to $arch" "$build/run/debian/kcptun-client" "$foreign/kcptun-server"
}

for arch in "$@"; do
  case $arch in
    arm64) emulator=qemu-aarch64 ;;
    armhf) emulator=qemu-arm ;;
    i386) emulator=qemu-i386 ;;
    mipsel | s390x) emulator=qemu-$arch ;;
    *) usage "unknown architecture '$arch'" ;;
  esac
  # shellcheck disable=SC2086
  build=$(scripts/cross.sh $small --build-folder "$arch")
  sysroot=$(scripts/cross.sh --sysroot "$arch")
  [ -z "$units" ] || run_units
  [ -z "$transfers" ] || run_transfers
done
[ -z "$failed" ] || { say "FAILED:$failed" >&2; exit 1; }
