#!/usr/bin/env bats
# perry open --qr: the link for a phone's camera. Needs no engine. What the link does is in tests/engine/doctor.bats.
bats_require_minimum_version 1.5.0
# shellcheck source=tests/api/helper.bash
load "${BATS_TEST_DIRNAME:-.}/../api/helper.bash"

setup() {
	command -v qrencode >/dev/null || skip "qrencode is not installed"
	DIR=$(mktemp -d /tmp/perry-cli-open-XXXXXX)
	export HOME=$DIR PERRY_CONFIG_DIR=$DIR
	unset PERRY_AGENT PERRY_TOKEN XDG_CONFIG_HOME XDG_RUNTIME_DIR NO_COLOR
	echo '{"bind": ["127.0.0.2"], "allowedHosts": ["127.0.0.2"], "tailscale": {"serve": false}}' >"$DIR/config.json"
	agent_start
}
teardown() { agent_clean; }
# What is drawn, a row of modules a line: 1 is dark. The light margin is taken off.
modules() {
	python3 -c '
import sys
rows = []
for line in sys.stdin.read().splitlines():
    rows += [[c in " \u2584" for c in line], [c in " \u2580" for c in line]]
rows = rows[: len(rows[0])]
assert not any(any(r) for r in rows[:2] + rows[-2:]) and not any(any(r[:2] + r[-2:]) for r in rows)
print("\n".join("".join("01"[d] for d in r[2:-2]) for r in rows[2:-2]))'
}
wanted() { qrencode -8 -l L -m 0 -t ASCIIi "$1" | sed 's/##/0/g; s/  /1/g'; }

@test "the code says the link, under an address that other devices reach, and fits into 80x24" {
	local url
	PERRY_TOKEN=$TOKEN "$BUILD/perry" --agent "http://127.0.0.2:$PORT" open --qr >"$DIR/out"
	url=$(head -1 "$DIR/out")
	[[ $url =~ ^http://127.0.0.2:$PORT/login\?link=[0-9a-f]{64}$ ]]
	tail -n +2 "$DIR/out" >"$DIR/code"
	[ "$(wc -l <"$DIR/code")" -le 23 ]
	modules <"$DIR/code" >"$DIR/drawn"
	[ "$(wc -l <"$DIR/drawn")" -ge 33 ]
	diff "$DIR/drawn" <(wanted "$url")
	[ "$(curl -s -o /dev/null -w '%{http_code}' "$url")" = 303 ]
}

@test "where no other device reaches the agent it says so, and makes no link" {
	run --separate-stderr "$BUILD/perry" open --qr
	[ "$status" = 6 ]
	[ -z "$output" ]
	[[ ${stderr:?} == *"no other device reaches this agent"* ]]
}

@test "on a terminal it brings its own colours; on one that is too narrow there is the link alone" {
	export PERRY_TOKEN=$TOKEN
	run python3 "${BATS_TEST_DIRNAME:-.}/../lib/typist.py" "$BUILD/perry" --agent "http://127.0.0.2:$PORT" open --qr </dev/null
	[ "$status" = 0 ]
	[[ $output == *$'\033[40;97m'* ]]
	run python3 "${BATS_TEST_DIRNAME:-.}/../lib/typist.py" sh -c "stty cols 30; exec '$BUILD/perry' --agent 'http://127.0.0.2:$PORT' open --qr" </dev/null
	[ "$status" = 0 ]
	[[ $output == *"too narrow for the QR code"* ]]
	[[ $output == *"/login?link="* ]]
	[[ $output != *$'\033[40;97m'* ]]
}
