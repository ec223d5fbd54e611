#!/bin/sh
# Builds and runs the tests of a normal change. The last line is "N passed, N failed".
#
#   scripts/test.sh                        unit tests with sanitizers (dev), then end-to-end and interop tests (release)
#   scripts/test.sh --preset PRESET        everything under one preset
#   scripts/test.sh [--preset P] LABEL...  only these ctest labels; e2e and interop under release, others under dev
#
# A label or preset that finds no test fails. JOBS sets the parallel jobs (default: all cores).
set -eu
cd "$(dirname "$0")/.."
jobs=${JOBS:-$(nproc)}
programs='e2e|interop|bench|browser' # labels that run the built programs: under release
built_programs='kcptun-client kcptun-server man-pages link_emulator' # and all that these need

usage() {
  sed -n '2,8s/^# \{0,1\}//p' "$0"
}

preset="" labels=""
while [ $# -gt 0 ]; do
  case $1 in
    --preset) [ $# -gt 1 ] || { usage >&2; exit 2; }; preset=$2; shift ;;
    --preset=*) preset=${1#--preset=} ;;
    -h | --help) usage; exit 0 ;;
    -*) usage >&2; exit 2 ;;
    *) labels="$labels $1" ;;
  esac
  shift
done

passed=0 failed=0
summary() {
  printf '%s passed, %s failed\n' "$passed" "$failed"
}

headline() {
  printf '\n== %s\n' "$*"
}

# Every way out ends with the count; a step that could not be done is one failure.
give_up() {
  echo "test.sh: $*" >&2
  failed=$((failed + 1))
  summary
  exit 1
}

build() { # PRESET [TARGET...]
  launcher=
  command -v ccache >/dev/null && launcher='-DCMAKE_CXX_COMPILER_LAUNCHER=ccache -DCMAKE_C_COMPILER_LAUNCHER=ccache'
  headline "build $*"
  # shellcheck disable=SC2086  # words are meant to split
  cmake --preset "$1" $launcher >"$log" 2>&1 || { cat "$log"; give_up "configuring $1 failed"; }
  build_preset=$1
  shift
  cmake --build --preset "$build_preset" --parallel "$jobs" ${1:+--target "$@"} ||
    give_up "building $build_preset failed"
}

run_tests() { # PRESET CTEST-SELECTION...
  run_preset=$1
  shift
  headline "test $run_preset $*"
  # The lab's path needs root and /dev/net/tun; without them it is left out, and said so, for no skipped test passes.
  if [ "$(id -u)" != 0 ] || [ ! -r /dev/net/tun ]; then
    echo "left out: lab.path (needs root and /dev/net/tun)"
    set -- "$@" --exclude-regex '^lab\.path$'
  fi
  started=$(date +%s)
  ctest --test-dir "build/$run_preset" --no-tests=error --output-on-failure --parallel "$jobs" "$@" >"$log.pipe" 2>&1 &
  ctest_pid=$!
  tee "$log" <"$log.pipe"
  code=0
  wait "$ctest_pid" || code=$?
  # "98% tests passed, 2 tests failed out of 100"
  counts=$(sed -n 's/^[0-9]*% tests passed, \([0-9]*\) tests\{0,1\} failed out of \([0-9]*\)$/\1 \2/p' "$log")
  bad=${counts%% *} all=${counts##* }
  if [ -z "$counts" ] || [ "$all" -eq 0 ]; then
    echo "test.sh: no test under $run_preset for: $*" >&2
    failed=$((failed + 1))
    return
  fi
  # ctest counts a skipped test as passed; here every test must run.
  skipped=$(grep -c '\*\*\*Skipped\|\*\*\*Not Run' "$log" || true)
  [ "$bad" -ge "$skipped" ] || bad=$skipped
  [ "$code" -eq 0 ] || [ "$bad" -gt 0 ] || bad=1
  passed=$((passed + all - bad))
  failed=$((failed + bad))
  echo "$run_preset: $((all - bad)) passed, $bad failed in $(($(date +%s) - started)) s"
}

directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
trap 'exit 130' INT TERM
log=$directory/log
mkfifo "$log.pipe"

scripts/install-deps.sh build test || give_up "installing packages failed"

if [ -n "$labels" ]; then
  for label in $labels; do
    targets=
    if [ "$label" = browser ]; then # what it needs is large, and only it does
      scripts/install-deps.sh watch || give_up "installing packages failed"
    fi
    where=${preset:-dev}
    if printf '%s\n' "$label" | grep -Eqx "$programs"; then
      where=${preset:-release}
      targets=$built_programs
    fi
    # shellcheck disable=SC2086
    build "$where" $targets
    run_tests "$where" --label-regex "^$label\$"
  done
elif [ -n "$preset" ]; then
  build "$preset"
  run_tests "$preset" --label-exclude '^(bench|browser)$'
else
  # shellcheck disable=SC2086
  build release $built_programs
  build dev
  run_tests dev --label-exclude "^($programs)\$"
  run_tests release --label-regex '^e2e$'
  run_tests release --label-regex '^interop$'
fi

headline result
summary
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
