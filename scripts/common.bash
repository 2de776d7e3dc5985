# shellcheck shell=bash
# What up and down share: who owns the agent, how to run as that user, lines with elapsed seconds.
PREFIX=${PREFIX:-/usr/local}
PERRY_STATE=${PERRY_STATE:-/var/lib/perry/up.state}
export PERRY_STATE
# shellcheck disable=SC2034 # for those who load this
PERRY=$PREFIX/bin/perry

say() { printf '[%3d s] %s\n' "$SECONDS" "$*"; }
fail() {
	printf '[%3d s] failed: %s\n' "$SECONDS" "$*" >&2
	exit 1
}
need_root() {
	if [ "$(id -u)" != 0 ]; then
		command -v sudo >/dev/null || fail "run this as root: there is no sudo"
		exec sudo --preserve-env=PREFIX,PERRY_STATE,PERRY_CONFIG_DIR,DOCKER_HOST,PERRY_NO_REGISTRY,TAILSCALE "$0" "$@"
	fi
}
# Under sudo the agent, its files and its configuration belong to the user who called it.
find_owner() {
	owner=${SUDO_USER:-root}
	local entry
	entry=$(getent passwd "$owner") || fail "there is no user $owner"
	owner_uid=$(cut -d: -f3 <<<"$entry")
	owner_gid=$(cut -d: -f4 <<<"$entry")
	owner_home=$(cut -d: -f6 <<<"$entry")
	owner_env=(HOME="$owner_home" USER="$owner" LOGNAME="$owner" PATH="$PREFIX/bin:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin" LANG="${LANG:-C.UTF-8}")
	# The same folder for the socket as in the user's own sessions.
	if [ -d "/run/user/$owner_uid" ]; then
		owner_env+=(XDG_RUNTIME_DIR="/run/user/$owner_uid")
	elif [ "$owner_uid" = "$(id -u)" ] && [ -n "${XDG_RUNTIME_DIR:-}" ]; then
		owner_env+=(XDG_RUNTIME_DIR="$XDG_RUNTIME_DIR")
	fi
	local v
	for v in PERRY_CONFIG_DIR XDG_CONFIG_HOME DOCKER_HOST DOCKER_TLS_VERIFY DOCKER_CERT_PATH NO_COLOR TERM; do
		[ -z "${!v:-}" ] || owner_env+=("$v=${!v}")
	done
	owner_cmd=(env -i "${owner_env[@]}")
	# setpriv reads the user's groups anew: one that was given a moment ago counts already.
	[ "$owner_uid" = 0 ] || owner_cmd+=(setpriv --reuid "$owner_uid" --regid "$owner_gid" --init-groups --)
	config_dir=${PERRY_CONFIG_DIR:-${XDG_CONFIG_HOME:-$owner_home/.config}/perry}
}
as_owner() { "${owner_cmd[@]}" "$@"; }
note() {
	mkdir -p "$(dirname "$PERRY_STATE")"
	grep -qxF "$1" "$PERRY_STATE" 2>/dev/null || echo "$1" >>"$PERRY_STATE"
}
agent_pid() {
	local pid
	{ read -r pid _ <"$config_dir/agent.pid"; } 2>/dev/null || return 1
	[[ $pid =~ ^[0-9]+$ ]] && grep -q perry "/proc/$pid/comm" 2>/dev/null && echo "$pid"
}
# Runs a quiet, possibly long command; says every ten seconds that it goes on, and shows the end of its output when it fails.
quietly() { # WHAT COMMAND...
	local what=$1 log pid rc=0 at=$SECONDS
	shift
	log=$(mktemp)
	"$@" >"$log" 2>&1 </dev/null &
	pid=$!
	while kill -0 $pid 2>/dev/null; do
		sleep 0.1
		if [ $((SECONDS - at)) -ge 10 ]; then
			at=$SECONDS
			say "  ... $what"
		fi
	done
	wait $pid || rc=$?
	[ $rc = 0 ] || tail -40 "$log" >&2
	rm -f "$log"
	return $rc
}
# A script's own lines, with the time in front; long silence is broken as above.
shown() { # WHAT COMMAND...
	local what=$1 line rc part=
	shift
	"$@" 2>&1 </dev/null | while :; do
		rc=0
		IFS= read -r -t 10 line || rc=$?
		if [ $rc = 0 ]; then
			say "  $part$line"
			part=
		elif [ $rc -gt 128 ]; then # nothing for ten seconds, or half a line
			part+=$line
			say "  ... $what"
		else
			break
		fi
	done
}
