#!/usr/bin/env bats
# Starting and ending.
load helper

setup() { unset DIR PORT PID TOKEN; }
teardown() { agent_clean; }

# shellcheck disable=SC2086
again() { run env DOCKER_HOST=unix:///nonexistent/docker.sock PERRY_CONFIG_DIR="$1" $AGENT -p "$2" -c "$1"; }

# How long it takes is measured by make bench.
@test "says where it is, on the port and on its socket" {
	agent_start
	grep -qx "\[agent\] Agent running at http://localhost:$PORT" "$DIR/stdout"
	sock /health
	expect 200
	tcp /health
	expect 200
}

@test "a second agent on the same folder is refused by name and process" {
	agent_start
	again "$DIR" "$(free_port)"
	[ "$status" -eq 6 ]
	[[ $output == *"already"*"pid $PID"* ]]
}

@test "a port that is taken is said, with who has it" {
	agent_start
	local other
	other=$(agent_dir api)
	again "$other" "$PORT"
	rm -rf "$other"
	[ "$status" -eq 6 ]
	[[ $output == *"$PORT is taken by "*"pid $PID"* ]]
}

@test "after kill -9 the next one starts: no stale lock, no stale socket" {
	agent_start
	kill -9 "$PID"
	wait "$PID" || true
	agent_start
	rpc workspaces/list
	expect 200 '{"json":[]}'
	rpc config/scripts/update '{"post_start":[]}'
	expect 200
}

@test "a broken config.json: file, line and column, and it is left alone" {
	DIR=$(agent_dir api)
	printf '{\n  "port": 7391,\n  "bind": [}\n}\n' >"$DIR/config.json"
	cp "$DIR/config.json" "$DIR/kept"
	again "$DIR" "$(free_port)"
	[ "$status" -ne 0 ]
	[[ $output == *"config.json:3:"* ]]
	cmp "$DIR/config.json" "$DIR/kept"
	for text in '[]' '"str"' '{"port":"x"}'; do
		echo "$text" >"$DIR/config.json"
		again "$DIR" "$(free_port)"
		[ "$status" -ne 0 ]
		[[ $output == *config.json* ]]
	done
}

@test "config.json is read anew when it changes, and by SIGHUP; a broken one is not taken" {
	agent_start
	rpc host/info
	expect_match 200 '"enabled":true'
	sed -i 's/^{/{\n  "allowHostAccess": false,/' "$DIR/config.json"
	rpc host/info
	expect_match 200 '"enabled":false'
	echo '{"broken' >"$DIR/config.json"
	kill -HUP "$PID"
	rpc host/info
	expect_match 200 '"enabled":false'
	grep -q 'config.json:' "$DIR/agent.log"
	# Nor overwritten by a change through the API.
	rpc config/scripts/update '{"post_start":[]}'
	[ "$CODE" -ge 400 ]
	[ "$(cat "$DIR/config.json")" = '{"broken' ]
}

@test "SIGTERM ends it with status 0 and leaves nothing behind" {
	agent_start
	kill "$PID"
	wait "$PID"
	[ ! -e "$DIR/agent.sock" ]
	unset PID
}

@test "SIGTERM while event streams are open" {
	agent_start
	follow_events "$DIR/events" /events
	kill "$PID"
	local began=$SECONDS
	wait "$PID"
	wait "$READER"
	[ $((SECONDS - began)) -le 60 ] # the reader alone would stay for 300 s
	unset PID
}

@test "without an engine it lives, says so, and refuses what needs one" {
	agent_start
	tcp /health
	expect_match 200 '^\{"status":"ok","version":"[0-9.]+","docker":"unreachable: .*no-engine'
	rpc info
	expect_match 200 '"dockerVersion":"unavailable"'
	rpc workspaces/create '{"name":"a"}'
	expect_match 503 'SERVICE_UNAVAILABLE.*unreachable'
	rpc workspaces/list
	expect 200 '{"json":[]}'
}
