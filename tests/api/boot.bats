#!/usr/bin/env bats
# Starting and ending.
load helper

setup() { unset DIR PORT PID TOKEN; }
teardown() { agent_clean; }

# shellcheck disable=SC2086
again() { run env DOCKER_HOST=unix:///nonexistent/docker.sock PERRY_CONFIG_DIR="$1" $AGENT -p "$2" -c "$1"; }

@test "says where it is, and takes 100 ms at most" {
	DIR=$(mktemp -d /tmp/perry-api-XXXXXX)
	PORT=$(free_port)
	local began ended best=100000 i
	for i in 1 2 3 4 5 6 7 8 9; do # other work on the machine must not decide
		[ $i -gt 3 ] && [ $best -le 100 ] && break
		began=$(date +%s%N)
		# shellcheck disable=SC2086
		DOCKER_HOST=unix:///nonexistent/docker.sock PERRY_CONFIG_DIR=$DIR $AGENT -p "$PORT" -c "$DIR" >"$DIR/stdout" 2>"$DIR/stderr" 3>&- &
		echo $! >"$DIR/test.pid"
		until curl -sf --unix-socket "$DIR/agent.sock" http://localhost/health >/dev/null 2>&1; do :; done
		ended=$(date +%s%N)
		[ $(((ended - began) / 1000000)) -lt $best ] && best=$(((ended - began) / 1000000))
		grep -qx "\[agent\] Agent running at http://localhost:$PORT" "$DIR/stdout"
		agent_stop
	done
	echo "# first good answer after $best ms, curl's own start included" >&3
	sanitized && skip "a sanitizer starts slowly"
	[ $best -le 100 ] || [ "$(cut -d. -f1 /proc/loadavg)" -lt 4 ] || skip "$best ms, but the machine is busy: load $(cut -d' ' -f1 /proc/loadavg)"
	[ $best -le 100 ]
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
	other=$(mktemp -d /tmp/perry-api-XXXXXX)
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
	DIR=$(mktemp -d /tmp/perry-api-XXXXXX)
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
	curl -sN -m 20 --unix-socket "$DIR/agent.sock" http://localhost/events >"$DIR/events" 3>&- &
	local reader=$!
	sleep 0.2
	kill "$PID"
	local began=$SECONDS
	wait "$PID"
	wait "$reader"
	[ $((SECONDS - began)) -le 3 ]
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
