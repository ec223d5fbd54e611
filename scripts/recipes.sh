#!/bin/sh
# Writes the recipes of docs/packaging for a release: with its version, its address and the checksums of its tarballs.
#
#   scripts/recipes.sh URL TARBALLS OUT    URL: the folder that users download from; TARBALLS: the same files here,
#                                          kcptun-uv-VERSION-ARCH-static.tar.gz; OUT: a new folder for the recipes
set -eu
source=$(cd "$(dirname "$0")/.." && pwd)

[ $# -eq 3 ] || { sed -n '2,5s/^# \{0,1\}//p' "$0" >&2; exit 2; }
url=$1 tarballs=$2 out=$3
[ ! -e "$out" ] || { echo "recipes.sh: $out exists already" >&2; exit 2; }

version=$(sed -n 's/^project(kcptun-uv VERSION \([0-9.]*\).*/\1/p' "$source/CMakeLists.txt")
rules=$(mktemp)
trap 'rm -f "$rules"' EXIT

# rule NAME VALUE   Replaces @NAME@ in the recipes.
rule() {
  printf 's|@%s@|%s|g\n' "$1" "$(printf '%s' "$2" | sed 's/[&|\\]/\\&/g')" >>"$rules"
}

# sum ALGORITHM FILE
sum() {
  "$1sum" "$2" | cut -d" " -f1
}

rule VERSION "$version"
rule URL "${url%/}"
rule RPM_DATE "$(LC_ALL=C date -u "+%a %b %d %Y")"
# What the recipes call an architecture, and its name in the tarballs.
for pair in X86_64=x86_64 ARM64=arm64 ARMHF=armhf MIPSEL=mipsel; do
  name=${pair%%=*} arch=${pair#*=}
  tarball=$tarballs/kcptun-uv-$version-$arch-static.tar.gz
  [ -f "$tarball" ] || { echo "recipes.sh: $tarball is missing" >&2; exit 1; }
  rule "ARCH_$name" "$arch"
  rule "SHA256_$name" "$(sum sha256 "$tarball")"
  rule "SHA512_$name" "$(sum sha512 "$tarball")"
done
rule SHA512_INITD "$(sum sha512 "$source/docs/packaging/alpine/kcptun-uv.initd")"
rule SHA512_PREINSTALL "$(sum sha512 "$source/docs/packaging/alpine/kcptun-uv.pre-install")"

cp -R "$source/docs/packaging" "$out"
rm -f "$out/README.md"
for recipe in openwrt/Makefile alpine/APKBUILD arch/PKGBUILD homebrew/kcptun-uv.rb rpm/kcptun-uv.spec; do
  sed -f "$rules" "$source/docs/packaging/$recipe" >"$out/$recipe"
  if grep -n "@[A-Z0-9_]*@" "$out/$recipe" >&2; then
    echo "recipes.sh: $recipe has a name without a value" >&2
    exit 1
  fi
done
