# A real agent in a folder of its own, and what talks to it. AGENT: the command that runs it, without -p and -c.
: "${BUILD:=$BATS_TEST_DIRNAME/../../build}"
: "${AGENT:=$BUILD/perry-agent agent run}"

sanitized() { nm -D "${AGENT%% *}" | grep -qE '__(asan|tsan|ubsan)_'; }

free_port() {
	local port
	for _ in $(seq 50); do
		port=$((20000 + RANDOM % 20000))
		(exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; return; }
	done
	return 1
}

# Starts it and waits for the first good /health. DIR, PORT, PID and TOKEN are set. It finds no engine, unless engine_agent started it.
agent_start() {
	local engine=unix://$BATS_TMPDIR/no-engine.sock
	[ -n "${ENGINE:-}" ] && engine=${DOCKER_HOST:-}
	DIR=${DIR:-$(mktemp -d /tmp/perry-api-XXXXXX)}
	PORT=${PORT:-$(free_port)}
	# shellcheck disable=SC2086
	DOCKER_HOST=$engine PERRY_CONFIG_DIR=$DIR $AGENT -p "$PORT" -c "$DIR" "$@" >>"$DIR/stdout" 2>>"$DIR/stderr" 3>&- &
	PID=$!
	echo "$PID" >"$DIR/test.pid"
	local end=$((SECONDS + 60))
	until curl -sf "localhost:$PORT/health" >/dev/null 2>&1; do
		kill -0 "$PID" 2>/dev/null && [ $SECONDS -lt $end ] || { cat "$DIR/stderr" >&2; return 1; }
		sleep 0.02
	done
	TOKEN=$(sed -n 's/.*"token": "\([^"]*\)".*/\1/p' "$DIR/config.json")
}

agent_stop() {
	[ -n "${DIR:-}" ] && [ -f "$DIR/test.pid" ] || return 0
	PID=$(cat "$DIR/test.pid") # a test may have started another one
	rm "$DIR/test.pid"
	kill "$PID" 2>/dev/null || return 0
	wait "$PID" 2>/dev/null || flock -w 60 "$DIR/agent.pid" true
}

agent_clean() {
	agent_stop
	[ -n "${DIR:-}" ] && rm -rf "$DIR"
	unset DIR PORT PID
}

# Over the unix socket: CODE and BODY. sock PATH [curl options]
sock() {
	local path=$1 out
	shift
	out=$(curl -s -m 60 --unix-socket "$DIR/agent.sock" -w '\n%{http_code}' "$@" "http://localhost$path")
	CODE=${out##*$'\n'}
	BODY=${out%$'\n'*}
}

# rpc PROCEDURE [INPUT]: INPUT goes into the envelope.
rpc() {
	if [ $# -gt 1 ]; then
		sock "/rpc/$1" -X POST -H 'Content-Type: application/json' --data-binary "{\"json\":$2}"
	else
		sock "/rpc/$1" -X POST
	fi
}

# Over TCP: tcp PATH [curl options]
tcp() {
	local path=$1 out
	shift
	out=$(curl -s -m 60 -w '\n%{http_code}' "$@" "http://localhost:$PORT$path")
	CODE=${out##*$'\n'}
	BODY=${out%$'\n'*}
}

# The events of PATH into FILE, once the stream is open; READER follows them.
follow_events() { # FILE PATH
	curl -sN -m 300 -D "$1.head" --unix-socket "$DIR/agent.sock" "http://localhost$2" >"$1" 3>&- &
	READER=$!
	eventually 30 test -s "$1.head"
}

# Ids and times differ from run to run.
plain() {
	sed -E 's/"containerId":"[0-9a-f]+"/"containerId":"ID"/g; s/"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z"/"TIME"/g'
}

expect() { # CODE BODY
	if [ "$CODE" != "$1" ] || { [ $# -gt 1 ] && [ "$(plain <<<"$BODY")" != "$2" ]; }; then
		printf 'wanted %s %s\ngot    %s %s\n' "$1" "${2:-}" "$CODE" "$(plain <<<"$BODY")" >&2
		return 1
	fi
}

expect_match() { # CODE REGEX
	if [ "$CODE" != "$1" ] || ! [[ $BODY =~ $2 ]]; then
		printf 'wanted %s ~ %s\ngot    %s %s\n' "$1" "$2" "$CODE" "$BODY" >&2
		return 1
	fi
}

# Is an engine there that runs workspaces?
need_engine() {
	docker version >/dev/null 2>&1 || skip "no container engine answers"
	docker image inspect perry:small >/dev/null 2>&1 || skip "the image perry:small is not there (make image)"
}

# "! command" does not fail a bats test; this does.
refute() {
	if "$@"; then
		echo "this should have failed: $*" >&2
		return 1
	fi
}

eventually() { # SECONDS COMMAND...
	local end=$((SECONDS + $1))
	shift
	until "$@"; do
		[ $SECONDS -lt $end ] || { echo "not in time: $*" >&2; return 1; }
		sleep 0.05
	done
}

# Names of workspaces, which the engine shares with everybody: ws a -> api-1234-a
ws() { echo "api-${PORT}-$1"; }

engine_wait() {
	answers() { rpc info; [[ $BODY != *'"unavailable"'* ]]; }
	eventually 60 answers
}

# With everything that carries the agent's label, its spare networks too.
remove_workspaces() {
	local name id
	sock /metrics
	id=$(sed -n 's/^perry_info{.*agent="\([0-9a-f]*\)".*/\1/p' <<<"$BODY")
	rpc workspaces/list
	for name in $(jq -r '.json[].name' <<<"$BODY"); do rpc workspaces/delete "{\"name\":\"$name\"}"; done
	agent_stop
	[ -z "$id" ] || docker network ls -q --filter "label=perry.agent=$id" | xargs -r docker network rm >/dev/null
}

# An agent that makes workspaces of the small image, beside other agents on the same engine.
engine_agent() {
	export ENGINE=yes
	DIR=$(mktemp -d /tmp/perry-api-XXXXXX)
	local n=$((RANDOM % 200))
	printf '{"image":"perry:small","networkRange":"10.97.%d.0/24","sshPortRange":"%d-%d"}\n' $n $((42000 + n * 20)) $((42019 + n * 20)) >"$DIR/config.json"
	agent_start
	engine_wait
}
# For setup_file and teardown_file: one agent with the engine for all tests of a file, and nothing left of it.
engine_agent_of_file() {
	need_engine
	export DIR PORT PID TOKEN
	engine_agent
}
engine_agent_gone() {
	[ -n "${PID:-}" ] || return 0
	remove_workspaces
	agent_clean
}
