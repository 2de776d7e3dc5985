#!/usr/bin/env bash
# The tailnet lab by hand, as root: lab.sh up DIR; lab.sh status|down DIR; lab.sh FUNCTION DIR [ARGUMENTS...] runs lab_FUNCTION of lab.bash, as in
#   lab.sh node /tmp/lab phone "$(lab.sh key /tmp/lab --user guest)"
#   lab.sh in /tmp/lab phone curl http://agent.ws.test/
set -uo pipefail
# shellcheck source=tests/tailnet/lab.bash
. "$(dirname "$0")/lab.bash"
if [ $# -lt 2 ] || ! declare -F "lab_$1" >/dev/null; then
	sed -n '2,4s/^# *//p' "$0" >&2
	exit 2
fi
command=$1 dir=$2
shift 2
case $command in
up | down | use) "lab_$command" "$dir" "$@" ;;
*) lab_use "$dir" && "lab_$command" "$@" ;;
esac
