#!/bin/sh
# One end-to-end test with both programs under valgrind, on the release build. An error or a leak is a failure.
#
#   scripts/valgrind.sh [CLASS.test]    of tests/e2e/own_test.py (default Transfer.test_single_bytes_and_empty_streams)
set -eu
cd "$(dirname "$0")/.."
case ${1:-} in -*) sed -n '2,5s/^# \{0,1\}//p' "$0" >&2; exit 2 ;; esac

scripts/install-deps.sh build test valgrind
cmake --preset release >/dev/null
cmake --build --preset release --target kcptun-client kcptun-server

directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
for name in kcptun-client kcptun-server; do
  cat >"$directory/$name" <<EOF
#!/bin/sh
exec valgrind --leak-check=full --show-leak-kinds=definite,indirect,possible \\
  --errors-for-leak-kinds=definite,indirect,possible --log-file="$directory/$name.%p" "$PWD/build/release/$name" "\$@"
EOF
  chmod +x "$directory/$name"
done
failed=0
KCPTUN_SANITIZED=1 python3 -u tests/e2e/own_test.py --client "$directory/kcptun-client" \
  --server "$directory/kcptun-server" "${1:-Transfer.test_single_bytes_and_empty_streams}" || failed=1
for log in "$directory"/kcptun-*.*; do
  # A program that was killed before it could end itself has no summary.
  grep -q 'ERROR SUMMARY: 0 errors' "$log" || { cat "$log"; failed=1; }
  grep 'ERROR SUMMARY\|in use at exit' "$log" || true
done
exit $failed
