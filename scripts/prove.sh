#!/bin/sh
# Runs the proofs of docs/proof: the models of the suite noise (ProVerif) and the proofs of sources (CBMC).
#
#   scripts/prove.sh [models|code|NAME...]    NAME: a file of docs/proof or docs/proof/cbmc, without its suffix
#
# PROVERIF and CBMC name the programs, if they are not on the path. docs/proof/README.md says where they come from. Exits
# with 1 if a proof fails or gives another result than the file expects, with 2 if a program is missing.
set -eu
cd "$(dirname "$0")/.."
proverif=${PROVERIF:-proverif}
cbmc=${CBMC:-cbmc}
failed=0

usage() {
  sed -n '2,7s/^# \{0,1\}//p' "$0"
}

need() { # PROGRAM PACKAGE
  command -v "$1" >/dev/null || { echo "prove.sh: no $1; docs/proof/README.md says where to get $2" >&2; exit 2; }
}

report() { # NAME RESULT
  printf '%-20s %s\n' "$1" "$2"
  case $2 in proved*) ;; *) failed=1 ;; esac
}

# The results of a model in their order must be those of its line "expected:".
prove_model() {
  need "$proverif" ProVerif
  expected=$(sed -n "s/^ *expected: *\(.*[a-z]\) *\*)$/\1/p" "docs/proof/$1.pv")
  out=$("$proverif" "docs/proof/$1.pv" 2>&1) || { printf '%s\n' "$out" >&2; report "$1" "does not run"; return; }
  got=$(printf '%s\n' "$out" | sed -n 's/^RESULT .*\(true\|false\)\.$/\1/p; s/^RESULT .*cannot be proved\.$/unproved/p' |
    tr '\n' ' ' | sed 's/ $//')
  if [ -n "$expected" ] && [ "$got" = "$expected" ]; then
    report "$1" "proved ($(printf '%s\n' "$got" | wc -w) queries)"
  else
    printf '%s\n' "$out" | grep '^RESULT' >&2 || true
    report "$1" "expected '$expected', got '$got'"
  fi
}

prove_code() {
  need "$cbmc" CBMC
  options=$(sed -n 's/^\/\/ options: *//p' "docs/proof/cbmc/$1.cc")
  smaller=$(sed -n 's/^\/\/ smaller: *//p' "docs/proof/cbmc/$1.cc")
  sources=build/proof/$1
  rm -rf "$sources"
  mkdir -p "$sources"
  if [ -n "$smaller" ]; then # FILE SED-SCRIPT: the proof is of the file with smaller constants
    file=${smaller%% *}
    mkdir -p "$sources/$(dirname "$file")"
    for part in h cc; do sed "${smaller#* }" "$file.$part" >"$sources/$file.$part"; done
  fi
  # shellcheck disable=SC2086  # several options
  if out=$("$cbmc" --cpp11 --no-standard-checks -I docs/proof/cbmc/include -I "$sources" -I . $options "docs/proof/cbmc/$1.cc" 2>&1); then
    report "$1" "proved ($(printf '%s\n' "$out" | grep -c ': SUCCESS$') assertions)"
  else
    printf '%s\n' "$out" | grep -v nwinding | tail -n 20 >&2
    report "$1" "not proved"
  fi
}

prove() {
  case $1 in
    models) for model in docs/proof/*.pv; do prove "$(basename "$model" .pv)"; done ;;
    code) for source in docs/proof/cbmc/*.cc; do prove "$(basename "$source" .cc)"; done ;;
    -h | --help) usage ;;
    *)
      if [ -e "docs/proof/$1.pv" ]; then prove_model "$1"
      elif [ -e "docs/proof/cbmc/$1.cc" ]; then prove_code "$1"
      else usage >&2; echo "prove.sh: no proof '$1'" >&2; exit 2; fi ;;
  esac
}

[ $# -gt 0 ] || set -- models code
for name; do prove "$name"; done
exit $failed
