#!/bin/sh
# Measures the release build against Debian's kcptun, and core alone, and writes docs/evidence/benchmarks.md and .svg.
#
#   scripts/bench.sh [--quick] [--output DIR] [ARGS...]
#
# --quick: one short round, which only shows that all works. DIR: other than docs/evidence. ARGS: what
# tests/bench/compare.py takes (--case NAME, --rounds N, --seconds S, --goals). CLIENT and SERVER name other programs to measure as ours.
# The machine must have nothing else to do. Raw results: build/release/bench/*.json.
set -eu
cd "$(dirname "$0")/.."
started=$(date +%s)
output=docs/evidence
core_flags='--benchmark_repetitions=5 --benchmark_report_aggregates_only=true --benchmark_min_time=0.2'
quick=
while [ $# -gt 0 ]; do
  case $1 in
    -h | --help) sed -n '2,8s/^# \{0,1\}//p' "$0"; exit 0 ;;
    --quick) quick=--quick core_flags='--benchmark_min_time=0.02'; shift ;;
    --output) [ $# -gt 1 ] || { echo "bench.sh: --output wants a folder" >&2; exit 2; }; output=$2; shift 2 ;;
    *) break ;;
  esac
done

headline() {
  printf '\n== %s  [%s s]\n' "$*" $(($(date +%s) - started))
}

headline build
scripts/install-deps.sh build test bench
launcher=
command -v ccache >/dev/null && launcher='-DCMAKE_CXX_COMPILER_LAUNCHER=ccache -DCMAKE_C_COMPILER_LAUNCHER=ccache'
# shellcheck disable=SC2086  # words are meant to split
cmake --preset release $launcher >/dev/null
cmake --build --preset release --target kcptun-client kcptun-server core_bench pingpong
bench=build/release/bench
mkdir -p "$output"

headline core
# shellcheck disable=SC2086
"$bench/core_bench" $core_flags --benchmark_out="$bench/core.json" --benchmark_out_format=json

headline tunnels
code=0
# shellcheck disable=SC2086
python3 -u tests/bench/compare.py --ours-client "${CLIENT:-build/release/kcptun-client}" \
  --ours-server "${SERVER:-build/release/kcptun-server}" --pingpong "$bench/pingpong" \
  --json "$bench/tunnels.json" $quick "$@" || code=$?
[ "$code" -le 1 ] || exit "$code"

headline report
python3 tests/bench/report.py --results "$bench/tunnels.json" --core "$bench/core.json" \
  --markdown "$output/benchmarks.md" --svg "$output/benchmarks.svg"
echo "Written: $output/benchmarks.md, $output/benchmarks.svg"
echo "$(($(date +%s) - started)) s in all"
exit "$code"
