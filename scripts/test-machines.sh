#!/bin/sh
# The demo and the tests on machines of strangers, played on this one; not part of the normal run.
#
#   scripts/test-machines.sh MACHINE [test.sh's ARGUMENTS]    needs root; a clone of the last commit, built from nothing
#
#   private     root, in a clone that nobody else may enter
#   container   root with a container's capabilities: no namespaces, no raw sockets, no look into processes
#   user        a user without root; the packages are there
#   chroot      a bare Debian 12, made by debootstrap
#   busy        private, with a busy loop for each processor beside it
#
# Prints each command's output, and at last its seconds and last line. The user and all files are removed at the end.
set -eu
cd "$(dirname "$0")/.."
case ${1:-} in
  private | container | user | chroot | busy) machine=$1 ;;
  -h | --help) sed -n '2,12s/^# \{0,1\}//p' "$0"; exit 0 ;;
  *) sed -n '2,12s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
shift
[ "$(id -u)" = 0 ] || { echo "test-machines.sh: needs root, to play others" >&2; exit 2; }

# What container engines leave to root, less CAP_NET_RAW.
kept=+chown,+dac_override,+fowner,+fsetid,+kill,+setgid,+setuid,+setpcap,+net_bind_service,+sys_chroot,+mknod,+audit_write,+setfcap
place=$(mktemp -d /tmp/kcptun-machine.XXXXXX)
account=kcptun-test-$$
loops=
cleanup() {
  for loop in $loops; do kill "$loop"; done
  for mounted in dev/pts proc; do umount "$place/system/$mounted" 2>/dev/null || true; done
  if getent passwd "$account" >/dev/null; then userdel "$account"; fi
  rm -rf --one-file-system "$place"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

clean="env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin TERM=${TERM:-dumb} LC_ALL=C.UTF-8"
tree=$place/kcptun-uv home=/root
cache=CCACHE_DISABLE=1 # from nothing; WITH_CCACHE=1 for a look at the tests alone
[ -z "${WITH_CCACHE:-}" ] || cache=
as=
case $machine in
  private) ;;
  container) as="setpriv --bounding-set -all,$kept --inh-caps -all" ;;
  user)
    scripts/install-deps.sh build test
    home=$place
    useradd --home-dir "$home" --no-create-home "$account"
    as="setpriv --reuid=$account --regid=$account --clear-groups --bounding-set -all --inh-caps -all"
    ;;
  chroot)
    scripts/install-deps.sh machines
    mirror=$(sed -n 's/^\(deb \(\[.*\] \)\{0,1\}\|URIs: *\)\(http[^ ]*\).*/\3/p' /etc/apt/sources.list \
      /etc/apt/sources.list.d/* 2>/dev/null | head -n 1)
    debootstrap --variant=minbase bookworm "$place/system" "$mirror" >"$place/debootstrap.log" 2>&1 ||
      { tail -n 5 "$place/debootstrap.log" >&2; exit 1; }
    mount -t proc proc "$place/system/proc"
    mount -t devpts -o newinstance,ptmxmode=0666 devpts "$place/system/dev/pts"
    cp -L /etc/resolv.conf "$place/system/etc/resolv.conf"
    cp -a /etc/apt/. "$place/system/etc/apt/" # packages come from where this machine's do
    tree=$place/system/root/kcptun-uv
    as="chroot $place/system"
    ;;
  busy)
    for _ in $(seq "$(nproc)"); do
      sh -c 'while :; do :; done' &
      loops="$loops $!"
    done
    ;;
esac

git clone --quiet --no-hardlinks . "$tree"
chmod 0700 "$tree"
inside=$tree
[ "$machine" != chroot ] || inside=/root/kcptun-uv
if [ "$machine" = user ]; then
  # Root's home is closed to the user, so a cache is a copy.
  [ -z "${WITH_CCACHE:-}" ] || cp -a "$(ccache --get-config cache_dir)" "$place/.ccache"
  chown -R "$account:" "$place"
fi

run() { # COMMAND [ARGUMENT...]   on the machine, in the clone; its seconds and last line go to the summary
  started=$(date +%s)
  # shellcheck disable=SC2086,SC2016  # words are meant to split; the shell on the machine expands
  $as $clean HOME="$home" $cache sh -c 'cd "$1" && shift && "$@" 2>&1; echo "exit code $?"' sh "$inside" "$@" |
    tee "$place/output"
  summary="$summary$machine: $*: $(($(date +%s) - started)) s, $(tail -n 1 "$place/output"): $(tail -n 2 "$place/output" | head -n 1)
"
  grep -qx 'exit code 0' "$place/output" || failed=1
}

summary="" failed=0
[ $# -gt 0 ] || run scripts/demo.sh
run scripts/test.sh "$@"
printf '\n%s' "$summary"
exit "$failed"
