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

@test "who listens on [::1] or on every address would answer at localhost: no start, and its name" {
	[ -e /proc/net/if_inet6 ] && grep -q ' lo$' /proc/net/if_inet6 || skip "no IPv6 here"
	local other port squatter address
	for address in ::1 ::; do
		other=$(agent_dir api)
		port=$(free_port)
		python3 -c 'import os, socket, sys, time
if os.getuid() == 0: os.setgid(65534); os.setuid(65534)
s = socket.socket(socket.AF_INET6); s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
s.bind((sys.argv[1], int(sys.argv[2]))); s.listen(); print("up", flush=True); time.sleep(300)' $address "$port" >"$BATS_TEST_TMPDIR/squat" 3>&- &
		squatter=$!
		eventually 30 grep -q up "$BATS_TEST_TMPDIR/squat"
		again "$other" "$port"
		kill $squatter
		rm -rf "$other" "$BATS_TEST_TMPDIR/squat"
		[ "$status" != 0 ]
		[[ $output == *"[::1]:$port is taken by "*"pid $squatter"* || $output == *"[::1]:$port is taken by a program of the user"* ]]
		[[ $output != *perry-agent\ \(pid* ]]
	done
}

@test "bind names addresses, not all of them" {
	local other address
	for address in 0.0.0.0 ::; do
		other=$(agent_dir api)
		printf '{"bind":["%s"]}' "$address" >"$other/config.json"
		again "$other" "$(free_port)"
		rm -rf "$other"
		[ "$status" != 0 ]
		[[ $output == *"bind: $address is every address"* ]]
	done
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

refuses_strangers() {
	tcp /rpc/workspaces/list -X POST
	expect 401
	tcp /rpc/workspaces/list -X POST -H "Authorization: Bearer $TOKEN"
	expect 200
}

@test "a config.json that vanishes, is emptied or loses its token turns authentication not off" {
	agent_start
	sed -i 's/^{/{\n  "sshPortRange": "2300-2310",/' "$DIR/config.json"
	refuses_strangers
	cp "$DIR/config.json" "$DIR/kept"
	mv "$DIR/config.json" "$DIR/away" # as editors do
	refuses_strangers
	: >"$DIR/config.json"
	refuses_strangers
	kill -HUP "$PID"
	refuses_strangers
	[ ! -s "$DIR/config.json" ]
	refute env PERRY_CONFIG_DIR="$DIR" "$BUILD/perry" agent config set maxOperations 7
	[ ! -s "$DIR/config.json" ]
	rpc config/scripts/update '{"post_start":[]}'
	[ "$CODE" -ge 400 ]
	echo '{"maxOperations": 9}' >"$DIR/config.json"
	refuses_strangers
	[ "$(jq -r .auth.token "$DIR/config.json")" = "$TOKEN" ] # written again, beside what is new
	jq -e '.maxOperations == 9' "$DIR/config.json"
}

@test "what changes a config.json that vanished begins with what it held" {
	local way
	agent_start
	sed -i 's/^{/{\n  "sshPortRange": "2300-2310",/' "$DIR/config.json"
	refuses_strangers
	for way in cli api hup; do
		rm "$DIR/config.json"
		refuses_strangers
		case $way in
		cli) PERRY_CONFIG_DIR=$DIR "$BUILD/perry" agent config set maxOperations 7 ;;
		api) rpc config/scripts/update '{"post_start":[]}'; expect 200 ;;
		hup) kill -HUP "$PID"; eventually 30 test -s "$DIR/config.json" ;;
		esac
		jq -e --arg t "$TOKEN" '.auth.token == $t and .sshPortRange == "2300-2310"' "$DIR/config.json"
		refuses_strangers
	done
}

@test "a state.db that is emptied or removed between two starts is no new beginning; the copy is named" {
	local how
	agent_start
	kill "$PID"
	wait "$PID"
	for how in "truncate -s 0" rm; do
		$how "$DIR/state.db"
		again "$DIR" "$(free_port)"
		[ "$status" = 6 ]
		[[ $output == *"cp $DIR/state.db.copy-1 $DIR/state.db"* ]]
		[[ $output != *"volume rm"* ]]
		cp "$DIR/state.db.copy-1" "$DIR/state.db"
	done
	agent_start
}

@test "a state.db that is removed while the agent runs: it says so and takes nothing on" {
	agent_start
	rm "$DIR/state.db"
	rpc config/scripts/update '{"post_start":[]}' # what is in no database goes on
	expect 200
	rpc workspaces/touch '{"name":"a"}'
	[ "$CODE" -ge 400 ]
	grep -q "state.db was removed or replaced while the agent runs" "$DIR/agent.log"
}

@test "configuration without effect is said: when it is saved, shown, and in the log" {
	agent_start
	local cli=(env PERRY_CONFIG_DIR="$DIR" "$BUILD/perry" agent)
	run "${cli[@]}" show-config
	[[ $output != *"without effect"* ]]
	run "${cli[@]}" config set skills '[{"name":"x"}]'
	[ "$status" = 0 ]
	[[ $output == *"warning: skills: kept, and without effect"* ]]
	rpc config/agents/update '{"opencode":{"server":{"hostname":"0.0.0.0"}}}'
	run "${cli[@]}" show-config
	[[ $output == *"skills, agents.opencode: kept, and without effect"* ]]
	rpc config/agents/get
	eventually 30 grep -q "skills, agents.opencode: kept, and without effect" "$DIR/agent.log"
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

@test "the log level: by the variable, by the option that stands above it, and only those that exist" {
	PERRY_LOG=warn agent_start --log-level debug
	sock /rpc/workspaces/list -X POST
	expect 200
	tcp /rpc/workspaces/list -X POST -H "Authorization: Bearer $TOKEN"
	expect 200
	eventually 30 grep -qE '^\[http\] debug: POST /rpc/workspaces/list from 127.0.0.1: 200, [0-9]+ ms$' "$DIR/stderr"
	grep -qE '^\[http\] debug: POST /rpc/workspaces/list from the socket: 200, ' "$DIR/stderr"
	grep -qE '^\[fleet\] debug: tries the Docker Engine again in [0-9]+ ms: .*no-engine.sock' "$DIR/stderr"
	grep -q 'http\] debug: POST /rpc/workspaces/list' "$DIR/agent.log"
	# However much is said, the token is not.
	refute grep -rqF "$TOKEN" "$DIR/stderr" "$DIR/stdout" "$DIR/agent.log"
	agent_end
	: >"$DIR/stderr"
	PERRY_LOG=debug agent_start
	eventually 30 grep -q '\[http\] debug: GET /health' "$DIR/stderr"
	agent_end
	: >"$DIR/stderr"
	PERRY_LOG=error agent_start
	sock /health
	agent_end
	[ ! -s "$DIR/stderr" ]
	PERRY_LOG=loud again "$DIR" "$PORT"
	[ "$status" = 2 ]
	[[ $output == *'PERRY_LOG: the log level is error, warn, info or debug, not "loud"'* ]]
	run $AGENT -p "$PORT" -c "$DIR" --log-level 7
	[ "$status" = 2 ]
	[[ $output == *'--log-level: the log level is error, warn, info or debug, not "7"'* ]]
}
