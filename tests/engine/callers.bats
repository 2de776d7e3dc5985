#!/usr/bin/env bats
# A workspace is no caller, whichever address of the machine it finds the agent at and whatever it knows.
load helper

setup_file() {
	need_engine
	local address
	address=$(ip -4 -o addr show | awk '$2 ~ /^docker0/ { sub("/.*", "", $4); print $4; exit }')
	echo "$address" >"$BATS_FILE_TMPDIR/address"
	[ -n "$address" ] || return 0
	CONFIG_MORE=', "bind": ["'$address'"], "allowedHosts": ["'$address'"]'
	engine_setup
}
teardown_file() { engine_teardown; }
setup() {
	ADDRESS=$(cat "$BATS_FILE_TMPDIR/address")
	[ -n "$ADDRESS" ] || skip "the engine's bridge is not here"
	engine_use
}

# The status line that a request from inside the workspace gets. from_inside NAME METHOD PATH [header]
from_inside() {
	p exec "$1" -- bash -c 'exec 3<>"/dev/tcp/$1/$2" && printf "%s %s HTTP/1.1\r\nHost: $1\r\n%s\r\nConnection: close\r\nContent-Length: 0\r\n\r\n" "$3" "$4" "$5" >&3 && cat <&3' \
		x "$ADDRESS" "$PORT" "$2" "$3" "${4:-X-Nothing: yes}" | tr -d '\r'
}

@test "neither with the token nor with authentication off, and not the page either" {
	p start caller
	local token="Authorization: Bearer $TOKEN" path
	run curl -s -m 60 -o /dev/null -w '%{http_code}' -X POST -H "$token" "http://$ADDRESS:$PORT/rpc/workspaces/list"
	[ "$output" = 200 ] # from the machine itself, with the token
	for path in /rpc/workspaces/list /rpc/auth/link /login; do
		run from_inside caller POST "$path" "$token"
		[ "$status" = 0 ]
		[[ $output == 'HTTP/1.1 403'*'workspaces may not use agents'* ]]
	done
	for path in / /health /events /rpc/terminal/caller; do
		run from_inside caller GET "$path" "$token"
		[[ $output == 'HTTP/1.1 403'*'workspaces may not use agents'* ]]
	done
	sed -i "s/\"token\": \"$TOKEN\"/\"token\": \"\"/" "$DIR/config.json"
	off() { curl -sf -m 60 -X POST "http://localhost:$PORT/rpc/workspaces/list"; }
	eventually 30 off
	run from_inside caller POST /rpc/workspaces/list
	[[ $output == 'HTTP/1.1 403'* ]]
	run curl -s -m 60 -o /dev/null -w '%{http_code}' -X POST "http://$ADDRESS:$PORT/rpc/workspaces/list"
	[ "$output" = 401 ]
}
