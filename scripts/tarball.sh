#!/bin/sh
# Makes build/packages/kcptun-uv-VERSION-ARCH.tar.gz: programs that need nothing of the system but its C library.
# Unpack it anywhere. What Debian has no archives of lies beside the programs, as shared libraries.
#
#   scripts/tarball.sh [--test]    --test runs them in an empty root with the C library alone; needs root
set -eu
umask 022
cd "$(dirname "$0")/.."

test=""
case ${1:-} in
  "") ;;
  --test) test=yes ;;
  -h | --help) sed -n '2,5s/^# \{0,1\}//p' "$0"; exit 0 ;;
  *) echo "tarball.sh: unknown argument '$1' (--test, --help)" >&2; exit 2 ;;
esac

build=$PWD/build/tarball
launcher=
command -v ccache >/dev/null && launcher='-DCMAKE_CXX_COMPILER_LAUNCHER=ccache -DCMAKE_C_COMPILER_LAUNCHER=ccache'
# shellcheck disable=SC2086  # words are meant to split
cmake --preset release -B "$build" -DKCPTUN_ARCHIVES=ON -DKCPTUN_TESTS=OFF $launcher >/dev/null
cmake --build "$build" --target kcptun-client kcptun-server man-pages

version=$("$build/kcptun-client" --version | cut -d" " -f3)
name=kcptun-uv-$version-$(uname -m)
stage=$(mktemp -d)
empty=$stage/empty
cleanup() {
  umount "$empty/proc" 2>/dev/null || true
  rm -rf --one-file-system "$stage"
}
trap cleanup EXIT
trap 'exit 1' INT TERM
root=$stage/$name
cmake --install "$build" --component Unspecified --strip --prefix "$root" >/dev/null

# The C library's own files stay the system's.
libc='/(libc|libm|libpthread|libdl|librt|ld-linux[^/]*|ld-musl[^/]*)\.so'
mkdir -p "$root/lib/kcptun-uv" "$root/share/doc/kcptun-uv/licences"
for library in $(ldd "$build/kcptun-client" "$build/kcptun-server" | sed -n 's/.*=> \(\/[^ ]*\).*/\1/p' | sort -u |
  grep -Ev "$libc"); do
  cp -L "$library" "$root/lib/kcptun-uv/"
done
for package in libuv1 libc-ares2 libsodium23 libgcrypt20 libgpg-error0 libsnappy1v5 libhttp-parser2.9 libjerasure2 libgf-complete1 \
  libisal2 libqrencode4 libspdlog1.10 libfmt9 gcc-12-base libcli11-dev nlohmann-json3-dev; do
  [ ! -f "/usr/share/doc/$package/copyright" ] ||
    cp "/usr/share/doc/$package/copyright" "$root/share/doc/kcptun-uv/licences/$package"
done

mkdir -p build/packages
tarball=$PWD/build/packages/$name.tar.gz
tar -C "$stage" --owner=0 --group=0 --sort=name -czf "$tarball" "$name"

if [ -n "$test" ]; then
  mkdir -p "$empty"
  tar -C "$empty" -xzf "$tarball"
  for library in $(ldd "$build/kcptun-client" | grep -Eo '/[^ ]+' | grep -E "$libc"); do
    mkdir -p "$empty$(dirname "$library")"
    cp -L "$library" "$empty$library"
  done
  mkdir "$empty/proc"
  mount -t proc proc "$empty/proc"  # the loader asks it where the program lies
  mkdir -p "$empty/etc/kcptun-uv"
  chroot "$empty" "/$name/bin/kcptun-server" --genkey >"$empty/etc/kcptun-uv/key"
  chmod 600 "$empty/etc/kcptun-uv/key"
  for program in kcptun-client kcptun-server; do
    chroot "$empty" "/$name/bin/$program" --version | grep -q "^kcptun version $version kcptun-uv" || { echo "FAILED: $program" >&2; exit 1; }
    chroot "$empty" "/$name/bin/$program" -c "/$name/share/doc/kcptun-uv/examples/profile-${program#kcptun-}.json" --check \
      >/dev/null || { echo "FAILED: the example of $program" >&2; exit 1; }
  done
  echo "The programs run in an empty root with the C library alone."
fi
echo "$tarball"
