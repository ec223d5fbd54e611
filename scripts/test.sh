#!/bin/sh
# Builds and runs the tests of a normal change. The last line is "N passed, N failed"; what this machine does not allow
# is left out, each with a line that says why, and the last line goes on with ", N skipped".
#
#   scripts/test.sh                        unit tests with sanitizers (dev), then simulations that give figures, end-to-end
#                                          and interop tests (release)
#   scripts/test.sh --preset PRESET        everything under one preset
#   scripts/test.sh [--preset P] LABEL...  only these ctest labels; figures, e2e, interop, lab under release, others under
#                                          dev
#
# A label or preset that finds no test fails. JOBS sets the parallel jobs (default: all cores).
set -eu
cd "$(dirname "$0")/.."
jobs=${JOBS:-$(nproc)}
programs='figures|e2e|interop|lab|bench|browser' # labels that run what is built for speed: under release
built_programs='kcptun-client kcptun-server man-pages link_emulator figure_programs' # and all that these need
# ccache knows what it compiled in another clone of the same text.
export CCACHE_BASEDIR="$PWD" CCACHE_NOHASHDIR=1

usage() {
  sed -n '2,11s/^# \{0,1\}//p' "$0"
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

failed=0 # what went wrong outside of ctest
reports= # ctest's JUnit files
summary() { # the last lines: what was left out, and the count
  # shellcheck disable=SC2086  # words are meant to split
  scripts/count_tests.py --lacks "$directory/lacks" --failed "$failed" $reports
}

begun=$(date +%s)
headline() { # with the seconds since the start
  printf '\n== %s s  %s\n' "$(($(date +%s) - begun))" "$*"
}

# Every way out ends with the count; a step that could not be done is one failure.
give_up() {
  echo "test.sh: $*" >&2
  failed=$((failed + 1))
  summary || true
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

run_tests() { # PRESET SLOTS CTEST-SELECTION...
  run_preset=$1
  slots=$2
  shift 2
  headline "test $run_preset $*"
  number=$((${number:-0} + 1))
  report=$directory/$number.xml
  started=$(date +%s)
  code=0
  ctest --test-dir "build/$run_preset" --no-tests=error --output-on-failure --parallel "$slots" \
    --output-junit "$report" --test-output-size-passed 10000000 --test-output-size-failed 10000000 "$@" || code=$?
  if [ ! -s "$report" ]; then
    echo "test.sh: no test under $run_preset for: $*" >&2
    failed=$((failed + 1))
    return
  fi
  counted=$(scripts/count_tests.py --lacks "$directory/lacks" "$report" | sed -n '$p')
  case $code:$counted in
    0:* | *", "[1-9]*" failed"*) ;;
    *) failed=$((failed + 1)) ;; # ctest failed, and no test of it did
  esac
  reports="$reports $report"
  echo "$run_preset: $counted in $(($(date +%s) - started)) s"
}

directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
trap 'exit 130' INT TERM
log=$directory/log
: >"$directory/lacks"

scripts/install-deps.sh build test || give_up "installing packages failed"
headline machine
[ -e /proc/self/status ] || give_up "there is no /proc, which the tests look at: mount -t proc proc /proc"
python3 tests/e2e/machine.py >"$directory/lacks" || give_up "the machine could not be looked at"
if [ -s "$directory/lacks" ]; then
  echo "This machine lacks, and the tests that need it are left out:"
  cat "$directory/lacks"
else
  echo "This machine allows every test."
fi

if [ -n "$labels" ]; then
  for label in $labels; do
    targets=
    if [ "$label" = browser ]; then # what it needs is large, and only it does
      scripts/install-deps.sh watch || give_up "installing packages failed"
    fi
    where=${preset:-dev}
    slots=$jobs
    [ -n "$preset" ] || targets=test_programs
    if printf '%s\n' "$label" | grep -Eqx "$programs"; then
      where=${preset:-release}
      targets=$built_programs
      slots=$((4 * jobs))
    fi
    # shellcheck disable=SC2086
    build "$where" $targets
    run_tests "$where" "$slots" --label-regex "^$label\$"
  done
elif [ -n "$preset" ]; then
  # shellcheck disable=SC2086  # a release's tests are in no default target
  build "$preset" all test_programs $built_programs
  run_tests "$preset" "$jobs" --label-exclude '^(bench|browser)$'
else
  # shellcheck disable=SC2086
  build release $built_programs
  build dev test_programs
  run_tests dev "$jobs" --label-exclude "^($programs)\$"
  run_tests release "$jobs" --label-regex '^figures$'
  run_tests release $((4 * jobs)) --label-regex '^(e2e|interop|lab)$' # see tests/e2e/CMakeLists.txt
fi

headline result
summary
