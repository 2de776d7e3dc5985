# shellcheck source=tests/lib/agent.bash
load "${BASH_SOURCE[0]%/*}/../lib/agent.bash"
# A real container made from a bare image, with perry-step bind-mounted as the agent's tools volume would have it.
IMAGE=${STEP_IMAGE:-${PERRY_TEST_IMAGE:-debian:bookworm}}
STEP_BIN=${PERRY_STEP:-${BUILD:-$BATS_TEST_DIRNAME/../../build}/perry-step}
# shellcheck disable=SC2034 # used by the suites that load this
PIM=pim-step-$$-$RANDOM

new_container() { # NAME [docker options...]
	local name=$1
	shift
	docker run -d --name "$name" -v "$(realpath "$STEP_BIN")":/opt/perry/bin/perry-step:ro --tmpfs /run/perry \
		--entrypoint /opt/perry/bin/perry-step "$@" "$IMAGE" init >/dev/null
}
step() { docker exec -i "$C" /opt/perry/bin/perry-step "$@"; }
inside() { docker exec -i "$C" "$@"; }
running_sleeps() { docker exec "$C" sh -c 'n=0; for p in /proc/[0-9]*; do tr "\0" " " <$p/cmdline 2>/dev/null | grep -q "^sleep $1" && n=$((n+1)); done; echo $n' sh "$1"; }
sleeps_are() { [ "$(running_sleeps "$1")" = "$2" ]; }

# --- bundles, as the agent makes them ---

entry() { # KIND MODE OWNER PATH TEXT
	printf '%s %s %s %d %d\n%s%s' "$1" "$2" "$3" "${#5}" "${#4}" "$4" "$5"
}
bundle() { # the entries come on standard input; $1: ready
	local body
	body=$(cat; printf 'end %d\n.' "${1:-0}")
	body=${body%.}
	printf 'perry-bundle %d\n%s' "${#body}" "$body"
}
# The workspace's environment, as a start delivers it: its lines come on standard input.
deliver_env() {
	local text
	text=$(cat; printf .)
	entry file 640 group /run/perry/env "${text%.}" | bundle | step apply >/dev/null
}
