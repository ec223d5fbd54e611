#!/bin/sh
# Builds the release and makes a Debian package of it, in build/packages; checks it with lintian if that is there.
#
#   scripts/package.sh [--build DIR] [--release N]    --build packs that build tree as it is; N: Debian's revision, 1
set -eu
umask 022
cd "$(dirname "$0")/.."

build="" release=1
while [ $# -gt 0 ]; do
  case $1 in
    --build) [ $# -gt 1 ] || { echo "package.sh: --build wants a folder" >&2; exit 2; }; build=$2; shift 2 ;;
    --release) [ $# -gt 1 ] || { echo "package.sh: --release wants a number" >&2; exit 2; }; release=$2; shift 2 ;;
    -h | --help) sed -n '2,4s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) echo "package.sh: unknown argument '$1' (--build DIR, --release N, --help)" >&2; exit 2 ;;
  esac
done
out=$PWD/build/packages
mkdir -p "$out"
if [ -z "$build" ]; then
  build=$PWD/build/release
  cmake --preset release >/dev/null
  cmake --build --preset release --target kcptun-client kcptun-server man-pages
fi

rm -f "$out"/*.deb
cpack -G DEB --config "$build/CPackConfig.cmake" -B "$out" -D CPACK_DEBIAN_PACKAGE_RELEASE="$release" \
  >"$out/cpack.log" 2>&1 || { cat "$out/cpack.log" >&2; exit 1; }
rm -rf "$out/_CPack_Packages"
package=$(ls "$out"/*.deb)
if command -v lintian >/dev/null; then lintian --fail-on error --tag-display-limit 0 "$package"; fi
echo "$package"
