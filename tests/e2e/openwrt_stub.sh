# OpenWrt's shell functions, as far as the init script of docs/packaging/openwrt calls them.
#
#   sh openwrt_stub.sh INIT-SCRIPT ACTION    ACTION: start_service, check, service_triggers or stop_service
#
# $UCI_FILE is the configuration. What the script gives to procd and to the system log is appended to $CALLS: a call on a
# line, its arguments separated by tabs.
# shellcheck shell=dash

record() {
	printf '%s' "$1" >>"$CALLS"
	shift
	[ $# -eq 0 ] || printf '\t%s' "$@" >>"$CALLS"
	echo >>"$CALLS"
}

for call in procd_open_instance procd_set_param procd_close_instance procd_add_reload_trigger extra_command logger; do
	eval "$call() { record $call \"\$@\"; }"
done

# A file of UCI is a list of commands whose words are quoted like those of a shell.
config() {
	count=$((count + 1))
	section=${2:-cfg$count}
	sections="$sections $1:$section"
}
option() { eval "value_${section}_$1=\$2"; }
list() {
	number=0
	eval "number=\$((\${count_${section}_$1:-0} + 1))"
	eval "count_${section}_$1=\$number; item_${section}_$1_$number=\$2"
	eval "value_${section}_$1=\"\${value_${section}_$1:+\$value_${section}_$1 }\$2\""
}

config_load() {
	count=0 sections=
	# shellcheck disable=SC1090
	. "$UCI_FILE"
}
config_get() { eval "$1=\${value_$2_$3:-\$4}"; }
config_get_bool() {
	config_get "$@"
	eval "
	case \$$1 in
	1 | on | true | yes | enabled) $1=1 ;;
	0 | off | false | no | disabled) $1=0 ;;
	*) $1=\$4 ;;
	esac"
}
config_foreach() {
	function=$1 type=$2
	shift 2
	for entry in $sections; do
		[ "${entry%%:*}" != "$type" ] || "$function" "${entry#*:}" "$@"
	done
}
config_list_foreach() {
	last=0
	eval "last=\${count_$1_$2:-0}"
	item=0
	while [ "$item" -lt "$last" ]; do
		item=$((item + 1))
		eval "$3 \"\$item_$1_$2_$item\""
	done
}

# shellcheck disable=SC1090
. "$1"
"$2"
