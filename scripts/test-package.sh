#!/bin/sh
# Tests the Debian package in a fresh Debian 12: install in place of Debian's kcptun, use, upgrade, remove, purge.
#
#   scripts/test-package.sh [--build DIR] [--mirror URL]    needs root and debootstrap; takes a few minutes
set -eu
cd "$(dirname "$0")/.."

build=$PWD/build/release mirror=""
while [ $# -gt 0 ]; do
  case $1 in
    --build | --mirror)
      [ $# -gt 1 ] || { echo "test-package.sh: $1 wants a value" >&2; exit 2; }
      case $1 in --build) build=$2 ;; *) mirror=$2 ;; esac
      shift 2 ;;
    -h | --help) sed -n '2,4s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) echo "test-package.sh: unknown argument '$1' (--build DIR, --mirror URL, --help)" >&2; exit 2 ;;
  esac
done

fail() { echo "FAILED: $*" >&2; exit 1; }
step() { echo "--- $*"; }

if [ -z "$mirror" ]; then
  mirror=$(sed -n 's/^\(deb \(\[.*\] \)\{0,1\}\|URIs: *\)\(http[^ ]*\).*/\3/p' /etc/apt/sources.list /etc/apt/sources.list.d/* \
    2>/dev/null | head -n 1)
fi
root=$(mktemp -d /tmp/kcptun-package.XXXXXX)
cleanup() {
  umount "$root/proc" 2>/dev/null || true
  rm -rf --one-file-system "$root"
}
trap cleanup EXIT
trap 'exit 1' INT TERM

inside() { chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive LC_ALL=C "$@"; }
installed() { inside dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null || true; }
apt() { inside apt-get -qq -y --no-install-recommends "$@" >"$root/tmp/apt.log" 2>&1 || { cat "$root/tmp/apt.log" >&2; fail "apt-get $*"; }; }

step "two packages, one the upgrade of the other"
first=$(scripts/package.sh --build "$build" --release 1 | tail -n 1)
mkdir -p "$root/packages"
cp "$first" "$root/packages/first.deb"
second=$(scripts/package.sh --build "$build" --release 2 | tail -n 1)
cp "$second" "$root/packages/second.deb"

step "a fresh Debian 12"
debootstrap --variant=minbase bookworm "$root/system" "$mirror" >"$root/debootstrap.log" 2>&1 ||
  { tail -n 5 "$root/debootstrap.log" >&2; fail debootstrap; }
mv "$root/packages" "$root/system/packages"
outer=$root root=$root/system
cleanup() {
  umount "$root/proc" 2>/dev/null || true
  rm -rf --one-file-system "$outer"
}
mount -t proc proc "$root/proc"
cp -L /etc/resolv.conf "$root/etc/resolv.conf"
cp -a /etc/apt/. "$root/etc/apt/" # packages come from where this machine's do
apt update
printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d" # nothing is started in here
chmod 755 "$root/usr/sbin/policy-rc.d"
apt install kcptun systemd

step "install, in place of Debian's kcptun"
apt install /packages/first.deb
[ "$(installed kcptun-uv)" = installed ] || fail "not installed"
[ "$(installed kcptun)" != installed ] || fail "Debian's kcptun is there still"
inside kcptun-server --genkey >"$root/etc/kcptun-uv/key"
chmod 600 "$root/etc/kcptun-uv/key"
for role in client server; do
  inside kcptun-$role --version | grep -q kcptun-uv || fail "kcptun-$role is not ours"
  inside kcptun-$role -c /etc/kcptun-uv/$role.json.example --check >/dev/null || fail "the example of $role"
  [ -f "$root/usr/share/man/man1/kcptun-$role.1.gz" ] || fail "no manual page of $role"
  [ -f "$root/usr/share/bash-completion/completions/kcptun-$role" ] || fail "no completion of $role"
  # Verifying also tells of other units; those are not ours.
  inside systemd-analyze verify --man=no "/usr/lib/systemd/system/kcptun-$role@.service" 2>&1 | grep kcptun && fail "the unit of $role"
done
inside getent passwd kcptun-uv >/dev/null || fail "no user kcptun-uv"
[ "$(stat -c %a "$root/etc/kcptun-uv")" = 750 ] || fail "the mode of /etc/kcptun-uv"
inside kcptun-server --init server --public-address 192.0.2.1 -c /etc/kcptun-uv/home.json >/dev/null || fail "--init"

step "upgrade: what was changed stays"
echo >>"$root/etc/kcptun-uv/server.json.example"
changed=$(sha256sum "$root/etc/kcptun-uv/server.json.example")
apt install /packages/second.deb
inside dpkg-query -W -f '${Version}\n' kcptun-uv | grep -q -- '-2$' || fail "not upgraded"
[ "$(sha256sum "$root/etc/kcptun-uv/server.json.example")" = "$changed" ] || fail "a changed file was replaced"

step "remove: the profiles stay; purge: nothing stays"
apt remove kcptun-uv
[ -f "$root/etc/kcptun-uv/home.json" ] || fail "removing took a profile"
[ ! -e "$root/usr/bin/kcptun-server" ] || fail "removing left a program"
mkdir -p "$root/var/log/kcptun-uv"
apt purge kcptun-uv
left=$(find "$root" -xdev -name '*kcptun*' -not -path "$root/packages*" -not -path "$root/var/lib/apt/*" \
  -not -path "$root/var/cache/*" -not -path "$root/proc/*")
[ -z "$left" ] || fail "left behind: $left"
! inside getent passwd kcptun-uv || fail "the user is there still"
! inside getent group kcptun-uv || fail "the group is there still"
echo "The package installs, upgrades, and leaves nothing behind."
