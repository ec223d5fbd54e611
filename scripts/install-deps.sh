#!/bin/sh
# Installs the Debian packages that building, testing and measuring need; only those that are missing.
#
#   scripts/install-deps.sh [GROUP...]    groups: build demo test lint fuzz valgrind bench package machines cross watch
#                                         (default: all but demo, machines, cross and watch)
#   scripts/install-deps.sh --list        prints the table
set -eu

# group  package               what for
# No apostrophe in it: it stands in quotes.
table='
build    cmake                 configures
build    ninja-build           builds
build    g++                   compiles
build    pkg-config            finds the libraries
build    ccache                makes the next build quick
build    libuv1-dev            event loops
build    libc-ares-dev         names to addresses
build    libsodium-dev         Salsa20, key wiping
build    libgcrypt20-dev       block ciphers, PBKDF2
build    libjerasure-dev       Reed-Solomon
build    libgf-complete-dev    Galois fields for Jerasure
build    libisal-dev           CRC-32
build    libsnappy-dev         compression
build    libcli11-dev          command line
build    nlohmann-json3-dev    JSON
build    libhttp-parser-dev    HTTP of the status
build    libspdlog-dev         logging
build    libnftables-dev       firewall rules of tcp mode
build    libqrencode-dev       QR codes of pairing strings
demo     python3               moves the file and counts
test     catch2                unit tests
test     python3               end-to-end tests
test     systemd               checks the units
test     mandoc                checks the manual pages
test     zsh                   checks its completions
test     kcptun                the real kcptun of 2021, the peer of the interop tests
test     shadowsocks-libev     the real host program of the plugin test
test     zbar-tools            reads the QR code of a pairing string
test     nftables              lists the firewall rules of tcp mode in its test
test     iptables              the rules of the real kcptun in tcp mode
test     curl                  a SOCKS5 and HTTP CONNECT client
test     busybox               the shell of OpenWrt and Alpine, for their scripts
test     iproute2              network namespaces of the lab
test     iperf3                goodput through the tunnel and the lab
lint     clang-format-14       formats
lint     clang-tidy-14         looks for faults in what changed
lint     codespell             spelling
fuzz     clang-14              compiles the fuzz targets
fuzz     libclang-rt-14-dev    libFuzzer and the sanitizers of clang
fuzz     llvm-14               readable stacks of findings
valgrind valgrind              looks for leaks in a running tunnel
package  lintian               checks the Debian package
package  debootstrap           a fresh Debian to test the package in
machines debootstrap           a bare Debian to build and test in
cross    g++-aarch64-linux-gnu    builds for arm64
cross    g++-arm-linux-gnueabihf  builds for armhf
cross    g++-mipsel-linux-gnu     builds for mipsel
cross    g++-i686-linux-gnu       builds for i386
cross    g++-s390x-linux-gnu      builds for s390x
cross    qemu-user                runs what was built for them
cross    dpkg-dev                 unpacks source packages for the static programs
cross    make                     builds libstdc++ and libgcrypt for them
watch    prometheus            promtool, which checks the metrics
watch    chromium-headless-shell  shows the status page
bench    libbenchmark-dev      core_bench
bench    wrk                   HTTP through the tunnel
bench    nginx-light           its server
bench    libnginx-mod-stream   a load balancer before two servers, in a test
bench    haproxy               plain relays beside the tunnel
'

if [ "${1:-}" = --list ]; then
  printf '%s\n' "$table" | sed '/^$/d'
  exit 0
fi
groups=${*:-build test lint fuzz valgrind bench package}

installed() {
  [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

missing=
for group in $groups; do
  packages=$(printf '%s\n' "$table" | awk -v group="$group" '$1 == group { print $2 }')
  if [ -z "$packages" ]; then
    echo "install-deps.sh: unknown group '$group' (build, demo, test, lint, fuzz, valgrind, bench, package, machines, cross, watch)" >&2
    exit 2
  fi
  for package in $packages; do
    installed "$package" || missing="$missing $package"
  done
done
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null; then
  echo "install-deps.sh: no apt-get here; install by hand:$missing" >&2
  exit 1
fi
if [ "$(id -u)" = 0 ]; then
  as_root=
elif command -v sudo >/dev/null; then
  as_root=sudo
else
  echo "install-deps.sh: neither root nor sudo; run as root: apt-get install$missing" >&2
  exit 1
fi
echo "Installing:$missing"
# shellcheck disable=SC2086  # words are meant to split
$as_root apt-get update -qq
# shellcheck disable=SC2086
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing
