#!/bin/sh
# Runs the fuzz targets of tests/fuzz (clang, libFuzzer, address and undefined-behaviour sanitizers).
#
#   scripts/fuzz.sh MINUTES [TARGET...]    each target for MINUTES (fractions too), as many side by side as there are cores
#   scripts/fuzz.sh --list                 prints the targets
#
# Prints for each target the inputs tried, the edges covered, and the findings; exits with 1 if there is one. A finding
# is kept in build/fuzz/findings/TARGET: run build/fuzz/bin/fuzz_TARGET FILE to see it again, mend it, and put the file
# into tests/fuzz/corpus/TARGET. What a run learned stays in build/fuzz/corpus; of it, the inputs that reach
# code which the committed corpus does not reach are added to tests/fuzz/corpus, smallest first.
# JOBS sets how many run side by side.
set -eu
cd "$(dirname "$0")/.."
jobs=${JOBS:-$(nproc)}
longest=4096 # bytes of an input: no packet and no configuration that matters is longer

usage() {
  sed -n '2,6s/^# \{0,1\}//p' "$0"
}

all_targets() {
  sed -n '/^foreach/,/)/p' tests/fuzz/CMakeLists.txt | tr -s ' \n' '\n\n' | sed 's/[()]//g' |
    grep -vx 'foreachname\|foreach\|name\|' | while read -r name; do [ ! -e "tests/fuzz/$name.cc" ] || echo "$name"; done
}

# One target, in the background: its log in build/fuzz/log/TARGET, its findings in build/fuzz/findings/TARGET.
run_one() { # TARGET SECONDS
  mkdir -p "build/fuzz/corpus/$1" "build/fuzz/findings/$1" "tests/fuzz/corpus/$1"
  "build/fuzz/bin/fuzz_$1" -max_total_time="$2" -max_len="$longest" -timeout=60 -report_slow_units=60 -rss_limit_mb=2048 \
    -print_final_stats=1 -artifact_prefix="build/fuzz/findings/$1/" \
    "build/fuzz/corpus/$1" "tests/fuzz/corpus/$1" >"build/fuzz/log/$1" 2>&1 || true
  # Edges only: counters would keep an input for every number of rounds of a loop.
  "build/fuzz/bin/fuzz_$1" -merge=1 -use_counters=0 -max_len="$longest" -timeout=60 -rss_limit_mb=2048 \
    "tests/fuzz/corpus/$1" "build/fuzz/corpus/$1" >"build/fuzz/log/$1.merge" 2>&1 || true
}

summarise() { # TARGET
  executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "build/fuzz/log/$1")
  covered=$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "build/fuzz/log/$1" | tail -n 1)
  findings=$(find "build/fuzz/findings/$1" -type f | wc -l)
  printf '%-22s %12s %8s %8s %9s\n' "$1" "${executions:--}" "${covered:--}" \
    "$(find "tests/fuzz/corpus/$1" -type f | wc -l)" "$findings"
  [ "$findings" -eq 0 ] && [ -n "$executions" ]
}

case ${1:-} in
  --list) all_targets; exit 0 ;;
  '' | -*) usage >&2; exit 2 ;;
esac
seconds=$(awk -v minutes="$1" 'BEGIN { if (minutes + 0 <= 0) exit 1; printf "%d", minutes * 60 }') ||
  { usage >&2; exit 2; }
shift
targets=${*:-$(all_targets)}
for target in $targets; do
  [ -e "tests/fuzz/$target.cc" ] || { echo "fuzz.sh: no target '$target' (--list shows them)" >&2; exit 2; }
done

scripts/install-deps.sh build fuzz
launcher=
command -v ccache >/dev/null && launcher='-DCMAKE_CXX_COMPILER_LAUNCHER=ccache -DCMAKE_C_COMPILER_LAUNCHER=ccache'
# shellcheck disable=SC2086  # words are meant to split
cmake --preset fuzz $launcher >/dev/null
cmake --build --preset fuzz --parallel "$jobs"

mkdir -p build/fuzz/log
trap 'kill $(jobs -p) 2>/dev/null; exit 130' INT TERM
# A line per target through xargs would need functions in a child; a plain loop starts `jobs` at a time.
pids=
for target in $targets; do
  run_one "$target" "$seconds" &
  pids="$pids $!"
  # shellcheck disable=SC2086
  set -- $pids
  if [ $# -ge "$jobs" ]; then
    wait "$1"
    shift
    pids=$*
  fi
done
wait

failed=0
printf '%-22s %12s %8s %8s %9s\n' target inputs edges corpus findings
for target in $targets; do summarise "$target" || failed=1; done
exit $failed
