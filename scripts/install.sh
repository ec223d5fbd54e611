#!/bin/sh
# Builds the release if needed and installs it: programs, manual pages, completions, systemd units, example profiles.
#
#   scripts/install.sh [--prefix DIR] [--build DIR]    DIR: /usr/local; --build installs that build tree as it is
#   scripts/install.sh --uninstall [--prefix DIR]      removes what it installed, and nothing else
#
# DESTDIR=... installs below that folder, as for a package. Profiles live in /etc/kcptun-uv; what stands there is never
# overwritten or removed, but for the two *.json.example files as long as they are as installed.
set -eu
umask 022
prefix=/usr/local build="" uninstall=""

fail() {
  echo "install.sh: $2" >&2
  exit "$1"
}

while [ $# -gt 0 ]; do
  case $1 in
    --prefix | --build)
      [ $# -gt 1 ] || fail 2 "$1 wants a folder"
      case $1 in --prefix) prefix=$2 ;; *) build=$2 ;; esac
      shift 2 ;;
    --prefix=*) prefix=${1#*=}; shift ;;
    --build=*) build=${1#*=}; shift ;;
    --uninstall) uninstall=yes; shift ;;
    -h | --help) sed -n '2,8s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) fail 2 "unknown argument '$1' (--prefix DIR, --build DIR, --uninstall, --help)" ;;
  esac
done
while [ "${prefix%/}" != "$prefix" ]; do prefix=${prefix%/}; done
case $prefix in
  */../* | */..) fail 2 "--prefix '$prefix': a path without .. is wanted" ;;
  /*) ;;
  *) fail 2 "--prefix '$prefix': an absolute path below / is wanted" ;;
esac
root=${DESTDIR:-}
case $root in '' | /*) ;; *) root=$PWD/$root ;; esac
[ -z "$build" ] || build=$(cd "$build" && pwd)
cd "$(dirname "$0")/.."

etc=/etc/kcptun-uv
examples=$prefix/share/doc/kcptun-uv/examples
# Each line "f PATH" or "d PATH": a file that was installed, a folder that was made; without DESTDIR.
manifest=$prefix/share/kcptun-uv/manifest

# Runs systemd's part on the running system only.
on_this_system() {
  if [ -z "$root" ] && [ "$(id -u)" = 0 ] && command -v "$1" >/dev/null; then "$@" || true; fi
}

# Is the example in /etc as it was installed?
untouched() { # client|server
  cmp -s "$root$etc/$1.json.example" "$root$examples/profile-$1.json"
}

remove_installed() {
  [ -f "$root$manifest" ] || fail 1 "$root$manifest: not there; nothing was installed with this prefix"
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  for role in client server; do
    if untouched $role; then rm -f "$root$etc/$role.json.example"; fi
  done
  cp "$root$manifest" "$work/manifest"
  sed -n 's/^f //p' "$work/manifest" | while IFS= read -r path; do rm -f "$root$path"; done
  rm -f "$root$manifest"
  # Deepest first; a folder in which something else lies stays.
  sed -n 's/^d //p' "$work/manifest" | sort -r | while IFS= read -r path; do
    rmdir "$root$path" 2>/dev/null || true
  done
  on_this_system systemctl daemon-reload 2>/dev/null
  echo "Removed from $root$prefix. Files in $root$etc that are not as installed are kept:"
  find "$root$etc" -type f 2>/dev/null || true
}

build_release() {
  build=$PWD/build/release
  if ! command -v cmake >/dev/null || ! cmake --preset release >/dev/null 2>&1; then
    scripts/install-deps.sh build
    cmake --preset release >/dev/null
  fi
  cmake --build --preset release --target kcptun-client kcptun-server man-pages
}

install_all() {
  [ -n "$build" ] || build_release
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  DESTDIR=$work/tree cmake --install "$build" --component Unspecified --prefix "$prefix" >"$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }
  if [ -f "$root$manifest" ]; then cp "$root$manifest" "$work/manifest"; else : >"$work/manifest"; fi

  mkdir -p "$work/tree$etc" "$work/tree${manifest%/*}"
  for role in client server; do
    # An example that a user has changed, and one that a user made, stays.
    if [ ! -e "$root$etc/$role.json.example" ] || untouched $role; then
      cp "$work/tree$examples/profile-$role.json" "$work/example-$role"
    fi
  done
  # Folders first, outermost first; only those made here are noted.
  (cd "$work/tree" && find . -mindepth 1 -type d) | sed 's/^\.//' | sort | while IFS= read -r path; do
    [ -d "$root$path" ] || { mkdir -p "$root$path" && echo "d $path" >>"$work/manifest"; }
  done
  (cd "$work/tree" && find . -type f) | sed 's/^\.//' | sort | while IFS= read -r path; do
    mode=644
    [ ! -x "$work/tree$path" ] || mode=755
    case $path in
      "$prefix"/bin/*) install -s -m "$mode" "$work/tree$path" "$root$path" ;; # without symbols, which are most of it
      *) install -m "$mode" "$work/tree$path" "$root$path" ;;
    esac
    echo "f $path" >>"$work/manifest"
  done
  for role in client server; do
    [ ! -f "$work/example-$role" ] || install -m 644 "$work/example-$role" "$root$etc/$role.json.example"
  done
  sort -u "$work/manifest" >"$work/sorted"
  install -m 644 "$work/sorted" "$root$manifest"
  on_this_system systemd-sysusers "$prefix/lib/sysusers.d/kcptun-uv.conf"
  on_this_system systemctl daemon-reload 2>/dev/null
  tell_what_is_next
}

tell_what_is_next() {
  echo "Installed below $root$prefix. To start a server on each boot, as root:"
  echo "  kcptun-server --init server -t ADDRESS -c $etc/NAME.json    prints what the client needs"
  echo "  chown root:kcptun-uv $etc/NAME.json && chmod 0640 $etc/NAME.json"
  case $prefix in
    /usr | /usr/local) ;;
    *) echo "  systemctl link $prefix/lib/systemd/system/kcptun-server@.service    (not where systemd looks)" ;;
  esac
  echo "  systemctl enable --now kcptun-server@NAME"
  echo "and sysctl --system, or a reboot, to allow larger socket buffers. A client: put the pairing string into"
  echo "$etc/NAME.json, with the same owner and mode, and enable kcptun-client@NAME."
}

if [ -n "$uninstall" ]; then remove_installed; else install_all; fi
