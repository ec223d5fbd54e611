# Completion of kcptun-client and kcptun-server for bash. Flags and values are what the completed program itself prints
# with --help-markdown, so they are always those of its version.

# _kcptun_flags PROGRAM: one line per flag of the program, "--flag<tab>values<tab>meaning"; aliases have their own.
_kcptun_flags() {
  local side=client
  [[ ${1##*/} == *server* ]] && side=server
  "$1" --help-markdown 2>/dev/null | awk -F ' *[|] *' -v side="$side" '
    $2 ~ /^`-/ && ($4 == side || $4 == "both") {
      gsub(/`/, "", $2)
      count = split($2, names, ", ")
      for (i = 1; i <= count; ++i) print names[i] "\t" $5 "\t" $7
    }'
}

# _kcptun_commands PROGRAM: what may stand in place of the first flag.
_kcptun_commands() {
  "$1" --help 2>/dev/null | awk '/^$/ { exit } $1 ~ /kcptun/ && $2 ~ /^[a-z]+$/ { print $2 }'
}

_kcptun() {
  local program=$1 word=${COMP_WORDS[COMP_CWORD]} flag=${COMP_WORDS[COMP_CWORD - 1]} values
  COMPREPLY=()
  # Bash takes "=" as a word of its own: --crypt=aes is --crypt, =, aes.
  [[ $word == '=' ]] && word=
  [[ $flag == '=' && $COMP_CWORD -gt 1 ]] && flag=${COMP_WORDS[COMP_CWORD - 2]}
  if [[ $flag == -* ]]; then
    # kcptun takes one dash or two.
    values=$(_kcptun_flags "$program" | awk -F '\t' -v name="${flag##*-}" '
      { flag = $1; sub(/^-+/, "", flag) } flag == name { print $2; exit }')
    case $flag:$values in
      *:switch | *:) ;;
      -c:* | --c:* | *log:text)
        mapfile -t COMPREPLY < <(compgen -f -- "$word")
        compopt -o filenames 2>/dev/null
        return ;;
      *:*', '*) mapfile -t COMPREPLY < <(compgen -W "${values//, / }" -- "$word"); return ;;
      *) return ;; # a number, an address or a secret: nothing to offer
    esac
  fi
  mapfile -t COMPREPLY < <(
    compgen -W "$( ((COMP_CWORD == 1)) && _kcptun_commands "$program"
      _kcptun_flags "$program" | cut -f 1)" -- "$word")
}

complete -F _kcptun kcptun-client kcptun-server
