#!/bin/sh
# Makes sure that a Docker Engine answers: the running one, else Debian's docker.io, started by systemd or, where there is none, by hand.
# As root. What it did is noted in $PERRY_STATE (default /var/lib/perry/up.state), so that "make down" can undo it.
#   scripts/docker.sh [USER]   USER gets the right to use it (group docker)
set -eu
cd "$(dirname "$0")/.."
user=${1:-}
state=${PERRY_STATE:-/var/lib/perry/up.state}
pidfile=/run/perry-dockerd.pid
log=/var/log/perry-dockerd.log

answers() {
	case ${DOCKER_HOST:-} in
	'' | unix://*)
		sock=${DOCKER_HOST:-unix:///var/run/docker.sock}
		[ "$(curl -s -m 5 -o /dev/null -w '%{http_code}' --unix-socket "${sock#unix://}" http://docker/_ping 2>/dev/null)" = 200 ]
		;;
	*) command -v docker >/dev/null && timeout 10 docker version >/dev/null 2>&1 ;;
	esac
}
note() {
	mkdir -p "$(dirname "$state")"
	grep -qxF "$1" "$state" 2>/dev/null || echo "$1" >>"$state"
}
wait_answer() {
	i=0
	while [ $i -lt 120 ]; do
		answers && return 0
		[ -z "${1:-}" ] || kill -0 "$1" 2>/dev/null || return 1
		sleep 0.5
		i=$((i + 1))
	done
	return 1
}
start_by_hand() {
	# A host without systemd may lack the cgroup mounts too.
	if ! grep -q ' cgroup2\? ' /proc/mounts; then
		mount -t tmpfs cgroup /sys/fs/cgroup 2>/dev/null || :
		awk '!/^#/ && $4 == 1 { print $1 }' /proc/cgroups | while read -r c; do
			mkdir -p "/sys/fs/cgroup/$c"
			mount -t cgroup -o "$c" cgroup "/sys/fs/cgroup/$c" 2>/dev/null || rmdir "/sys/fs/cgroup/$c"
		done
	fi
	[ -e "$pidfile" ] && ! kill -0 "$(cat "$pidfile")" 2>/dev/null && rm -f "$pidfile"
	# Its own log and session: it outlives this shell and its terminal.
	setsid dockerd -H unix:///var/run/docker.sock --pidfile "$pidfile" >>"$log" 2>&1 </dev/null &
	wait_answer $! && return 0
	tail -5 "$log" >&2
	echo "the Docker Engine did not start; its log is $log" >&2
	return 1
}

if ! answers; then
	if [ -n "${DOCKER_HOST:-}" ]; then
		echo "no Docker Engine answers at DOCKER_HOST=$DOCKER_HOST: start it, or unset DOCKER_HOST to use one of this machine" >&2
		exit 1
	fi
	[ "$(id -u)" = 0 ] || { echo "no Docker Engine answers: run this as root to install and start one" >&2; exit 1; }
	if ! command -v dockerd >/dev/null; then
		scripts/packages.sh engine
		note "package docker.io"
	fi
	if [ -d /run/systemd/system ]; then
		echo "starting the Docker Engine (systemd)"
		systemctl enable -q --now docker || { journalctl -n 5 --no-pager -u docker >&2; exit 1; }
		wait_answer || { echo "the Docker Engine does not answer; see: journalctl -u docker" >&2; exit 1; }
	elif ! answers; then # an installation may have started it
		echo "starting the Docker Engine (no systemd here: by hand, log $log)"
		start_by_hand
		note "engine $pidfile"
	fi
fi
command -v docker >/dev/null || scripts/packages.sh engine

# The new group counts for the user's next login only; what "make up" starts for the user gets it at once (runuser reads the groups anew).
if [ -n "$user" ] && [ "$user" != root ] && [ "$(id -u)" = 0 ] && [ -z "${DOCKER_HOST:-}" ]; then
	group=$(stat -c %G /var/run/docker.sock)
	if ! runuser -u "$user" -- test -w /var/run/docker.sock; then
		if [ "$group" = root ] || [ "$group" = UNKNOWN ]; then
			echo "$user may not use the Docker Engine: its socket belongs to the group $group; give it to a group of yours" >&2
			exit 1
		fi
		usermod -aG "$group" "$user"
		note "group $group $user"
		echo "$user is now in the group $group (which is root on this machine, as Docker says); shells opened from now on know it"
	fi
fi
