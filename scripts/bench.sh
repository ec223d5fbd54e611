#!/bin/sh
# Measures the release build against Debian's kcptun, and core alone, and writes docs/evidence/benchmarks.md and .svg.
#
#   scripts/bench.sh [--quick] [--output DIR] [ARGS...]
#   scripts/bench.sh --compare REV [ARGS...]
#
# --compare REV builds the commit REV too, measures both builds in turn, and prints ratios with their spread; it writes
# no page. ARGS: what tests/bench/against.py takes (--case NAME, --rounds N, --seconds S, --core FILTER).
# --quick: one short round, which only shows that all works. DIR: other than docs/evidence. ARGS: what
# tests/bench/compare.py takes (--case NAME, --rounds N, --seconds S, --goals). CLIENT and SERVER name other programs to measure as ours.
# The machine must have nothing else to do. Raw results: build/release/bench/*.json.
set -eu
cd "$(dirname "$0")/.."
started=$(date +%s)
output=docs/evidence
core_flags='--benchmark_repetitions=5 --benchmark_report_aggregates_only=true --benchmark_min_time=0.2'
quick=
before=
while [ $# -gt 0 ]; do
  case $1 in
    -h | --help) sed -n '2,12s/^# \{0,1\}//p' "$0"; exit 0 ;;
    --quick) quick=--quick core_flags='--benchmark_min_time=0.02'; shift ;;
    --compare) [ $# -gt 1 ] || { echo "bench.sh: --compare wants a commit" >&2; exit 2; }; before=$2; shift 2 ;;
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
build() { # FOLDER
  (cd "$1" && CCACHE_BASEDIR=$PWD CCACHE_NOHASHDIR=1 && export CCACHE_BASEDIR CCACHE_NOHASHDIR &&
    cmake --preset release $launcher >/dev/null &&
    cmake --build --preset release --target kcptun-client kcptun-server core_bench pingpong)
}
build .
bench=build/release/bench
if [ -n "$before" ]; then
  headline "build $before"
  place=$(mktemp -d "${TMPDIR:-/tmp}/kcptun-bench.XXXXXX")
  trap 'git worktree remove --force "$place/tree"; rm -rf "$place"' EXIT
  git worktree add --quiet --detach "$place/tree" "$before"
  build "$place/tree"
  headline "$before against this tree"
  code=0
  python3 -u tests/bench/against.py --before "$place/tree/build/release" --now build/release --json "$bench/against.json" \
    "$@" || code=$?
  echo "$(($(date +%s) - started)) s in all"
  exit "$code"
fi
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
