#!/bin/sh
# Builds the programs for another architecture on Debian: with Debian's cross compiler, and with a sysroot of Debian's
# packages that this script downloads and unpacks. Installs nothing and needs no root. A second run downloads only what
# is new in the archive.
#
#   scripts/cross.sh [--small] ARCH [TARGET...]    ARCH: arm64 armhf mipsel i386 s390x; targets: both programs unless
#                                                  named; --small: -Os instead of -O3
#   scripts/cross.sh --sysroot ARCH                makes the sysroot only and prints its place
#   scripts/cross.sh [--small] --build-folder ARCH prints where the programs are
#
# Everything is below $KCPTUN_CROSS, default ~/.cache/kcptun-uv/cross. $JOBS: compilers at the same time, default all
# cores.
set -eu
cd "$(dirname "$0")/.."

usage() {
  echo "cross.sh: $1 (scripts/cross.sh [--small] [--sysroot | --build-folder] arm64|armhf|mipsel|i386|s390x [TARGET...])" >&2
  exit 2
}

type=Release folder=build
if [ "${1:-}" = --small ]; then
  type=MinSizeRel folder=build-small
  shift
fi
action=build
case ${1:-} in
  --sysroot) action=sysroot; shift ;;
  --build-folder) action=folder; shift ;;
  -h | --help) sed -n '2,12s/^# \{0,1\}//p' "$0"; exit 0 ;;
esac
[ $# -gt 0 ] || usage "no architecture given"
arch=$1
shift
case $arch in  # the compiler's prefix, Debian's folder, CMake's processor, qemu's name
  arm64) triplet=aarch64-linux-gnu multiarch=$triplet processor=aarch64 emulator=qemu-aarch64 ;;
  armhf) triplet=arm-linux-gnueabihf multiarch=$triplet processor=armv7l emulator=qemu-arm ;;
  mipsel) triplet=mipsel-linux-gnu multiarch=$triplet processor=mips emulator=qemu-mipsel ;;
  i386) triplet=i686-linux-gnu multiarch=i386-linux-gnu processor=i686 emulator=qemu-i386 ;;
  s390x) triplet=s390x-linux-gnu multiarch=$triplet processor=s390x emulator=qemu-s390x ;;
  *) usage "unknown architecture '$arch'" ;;
esac

cache=${KCPTUN_CROSS:-${XDG_CACHE_HOME:-$HOME/.cache}/kcptun-uv/cross}
sysroot=$cache/$arch/sysroot
build=$cache/$arch/$folder
apt=$cache/$arch/apt
if [ "$action" = folder ]; then echo "$build"; exit 0; fi

command -v "$triplet-g++" >/dev/null || {
  echo "cross.sh: no $triplet-g++ here; scripts/install-deps.sh cross" >&2
  exit 1
}

# The libraries of scripts/install-deps.sh's group build, and what the unit tests need.
packages() {
  scripts/install-deps.sh --list | awk '$1 == "build" && $2 ~ /^(lib|nlohmann)/ { print $2 }' |
    grep -v -x -e "$([ "$arch" = arm64 ] || echo libisal-dev)"
  # Go's kcptun is a peer of the tests; not every architecture has it.
  if own_apt apt-cache show kcptun >/dev/null 2>&1; then echo kcptun; fi
  echo catch2 libatomic1 libc6-dev libgcc-s1 libstdc++6
}

# apt with lists, cache and state of its own, as if nothing were installed. Its sources are this machine's.
own_apt() {
  command="$1"
  shift
  "$command" -q -o Dir::State="$apt" -o Dir::Cache="$apt/cache" -o Dir::State::status="$apt/status" \
    -o APT::Architecture="$arch" -o APT::Architectures="$arch" -o APT::Install-Recommends=false \
    -o APT::Sandbox::User="$(id -un)" -o Debug::NoLocking=true "$@"
}

# Links to /lib/x are right on the machine and wrong in the sysroot.
mend_links() {
  find "$sysroot" -type l -lname '/*' | while read -r link; do
    target=$(readlink "$link")
    ln -sfn "$sysroot$target" "$link"
  done
}

make_sysroot() {
  mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$sysroot"
  : >"$apt/status"
  stamp=$cache/$arch/unpacked
  [ "$(cat "$stamp" 2>/dev/null)" = "$(packages | cksum)" ] && return
  echo "cross.sh: downloading Debian's package lists of $arch" >&2
  # A mirror that is being synchronised serves some lists only. What the others have is signed all the same.
  own_apt apt-get update >"$apt/log" 2>&1 || { sed -n 's/^E: /cross.sh: going on without: /p' "$apt/log" >&2; }
  own_apt apt-get autoclean >/dev/null  # of two versions of a package only the newer is unpacked
  list=$(packages)
  # shellcheck disable=SC2086  # one line
  echo "cross.sh: downloading for $arch:" $list "and what they depend on" >&2
  # shellcheck disable=SC2086  # words are meant to split
  own_apt apt-get install --download-only -y $list >"$apt/log" 2>&1 || { cat "$apt/log" >&2; exit 1; }
  sed -n 's/^Need to get \(.*\) of archives.*/cross.sh: \1/p' "$apt/log" >&2
  rm -rf "$sysroot"
  # Debian 12 keeps /lib as a link to usr/lib; packages have files below both.
  mkdir -p "$sysroot/usr/lib" "$sysroot/usr/bin" "$sysroot/usr/sbin"
  for folder in lib bin sbin; do ln -s "usr/$folder" "$sysroot/$folder"; done
  for package in "$apt"/cache/archives/*.deb; do
    dpkg-deb --fsys-tarfile "$package" | tar -x --keep-directory-symlink -C "$sysroot"
  done
  mend_links
  packages | cksum >"$stamp"
}

make_sysroot
if [ "$action" = sysroot ]; then echo "$sysroot"; exit 0; fi

launcher=
if command -v ccache >/dev/null; then launcher="-DCMAKE_CXX_COMPILER_LAUNCHER=ccache -DCMAKE_C_COMPILER_LAUNCHER=ccache"; fi
command -v "$emulator" >/dev/null || emulator=
# shellcheck disable=SC2086
cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=$type -DKCPTUN_HARDENING=ON -DKCPTUN_BENCH=OFF $launcher \
  -DCMAKE_TOOLCHAIN_FILE="$PWD/scripts/toolchain.cmake" -DCMAKE_SYSROOT="$sysroot" -DKCPTUN_TRIPLET="$triplet" \
  -DKCPTUN_MULTIARCH="$multiarch" -DKCPTUN_PROCESSOR="$processor" -DKCPTUN_EMULATOR="$emulator" >"$cache/$arch/cmake.log" 2>&1 || {
  cat "$cache/$arch/cmake.log" >&2
  exit 1
}
[ $# -gt 0 ] || set -- kcptun-client kcptun-server
ninja -C "$build" ${JOBS:+-j "$JOBS"} "$@"
