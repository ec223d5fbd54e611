#!/bin/sh
# Checks the format and the spelling of all files, and runs clang-tidy on what changed.
#
#   scripts/lint.sh [--fix] [BASE]    BASE: the commit to compare with for clang-tidy (default: HEAD~1, where there is one)
#
# --fix formats the C++ sources in place. The rules are in .clang-format, .clang-tidy and .codespellrc. clang-tidy takes
# 10 to 30 s a file: of more than TIDY_FILES (default: 24) changed files it checks the first, and the output names the rest.
set -eu
cd "$(dirname "$0")/.."

fix=
while [ $# -gt 0 ]; do
  case $1 in
    --fix) fix=1 ;;
    -h | --help) sed -n '2,8s/^# \{0,1\}//p' "$0"; exit 0 ;;
    -*) sed -n '2,8s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
    *) break ;;
  esac
  shift
done
base=${1:-HEAD~1}

scripts/install-deps.sh build lint
failed=0

if [ -n "$fix" ]; then
  git ls-files -z '*.h' '*.cc' | xargs -0 clang-format-14 -i
fi
echo "clang-format"
git ls-files -z '*.h' '*.cc' | xargs -0 clang-format-14 --dry-run --Werror || failed=1

echo "codespell"
git ls-files -z '*.md' '*.h' '*.cc' '*.cmake' '*.py' '*.sh' '*.in' '*.html' '*.json' '*CMakeLists.txt' 'systemd/*' |
  xargs -0 codespell || failed=1

if git rev-parse --quiet --verify "$base^{commit}" >/dev/null; then
  changed=$(git diff --name-only --diff-filter=d "$base" -- 'core/*.cc' 'config/*.cc' 'daemon/*.cc')
  checked=$(printf '%s\n' "$changed" | head -n "${TIDY_FILES:-24}")
  skipped=$(printf '%s\n' "$changed" | tail -n +"$((${TIDY_FILES:-24} + 1))")
  if [ -n "$checked" ]; then
    printf 'clang-tidy\n%s\n' "$checked"
    [ -z "$skipped" ] || printf 'clang-tidy: not checked\n%s\n' "$skipped"
    cmake --preset release -B build/lint -DKCPTUN_UNITS=OFF >/dev/null # a command for each file
    printf '%s\n' "$checked" | xargs -P "$(nproc)" -n 1 clang-tidy-14 -p build/lint --quiet --warnings-as-errors='*' 2>/dev/null ||
      failed=1
  fi
else
  echo "clang-tidy: there is no $base to compare with"
fi
exit "$failed"
