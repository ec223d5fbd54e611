#!/bin/sh
# Lays out the root of the image from a folder with the static programs. Dockerfile.static and the tests call it.
#
#   docs/docker/rootfs.sh PROGRAMS ROOT    PROGRAMS: has kcptun-client and kcptun-server; ROOT: a new folder
#
# /bin/client and /bin/server are the names in kcptun's own image, /usr/bin/kcptun-* those of every other installation.
set -eu
[ $# -eq 2 ] || { sed -n '2,6s/^# \{0,1\}//p' "$0" >&2; exit 2; }
programs=$1 root=$2

mkdir -p "$root/bin" "$root/usr/bin" "$root/etc/kcptun-uv" "$root/run" "$root/tmp"
chmod 1777 "$root/run" "$root/tmp"
for role in client server; do
  # A link stays one: the static program is one file with two names.
  cp -P "$programs/kcptun-$role" "$root/usr/bin/kcptun-$role"
  ln -s "../usr/bin/kcptun-$role" "$root/bin/$role"
  ln -s "../usr/bin/kcptun-$role" "$root/bin/kcptun-$role"
done
echo 'kcptun-uv:x:65532:65532::/:/sbin/nologin' >"$root/etc/passwd"
echo 'kcptun-uv:x:65532:' >"$root/etc/group"
