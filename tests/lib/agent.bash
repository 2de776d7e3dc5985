# shellcheck shell=bash disable=SC2034,SC2119,SC2120
# What every test with a real agent needs: a folder and ports of its own, starting it, waiting for it, ending it. The helper.bash of tests/api, engine,
# cli, step and tailnet load it. An agent is DIR (its folder), PORT (none: it is asked over its socket), PID and TOKEN.
: "${BUILD:=${BASH_SOURCE[0]%/*}/../../build}"
# The command that runs it, without -p and -c.
: "${AGENT:=$BUILD/perry-agent agent run}"

# --- waiting ---

# eventually SECONDS COMMAND...: until it succeeds. The limit guards against hanging: it is never what a test is about.
eventually() {
	local end=$((SECONDS + $1))
	shift
	until "$@"; do
		[ $SECONDS -lt $end ] || { echo "not in time: $*" >&2; return 1; }
		sleep 0.05
	done
}
# "! command" does not fail a bats test unless it is its last; this does.
refute() {
	if "$@"; then
		echo "this should have failed: $*" >&2
		return 1
	fi
}
# nothing COMMAND...: it succeeds and prints nothing. [ -z "$(command)" ] would hold for one that fails, too.
nothing() {
	local out
	out=$("$@") || { echo "failed: $*" >&2; return 1; }
	[ -z "$out" ] || { echo "$* printed: $out" >&2; return 1; }
}
# milliseconds since the epoch
now_ms() { echo $(($(date +%s%N) / 1000000)); }

# --- a folder and ports ---

free_port() {
	local port
	for _ in $(seq 50); do
		port=$((20000 + RANDOM % 20000))
		(exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; return; }
	done
	return 1
}
agent_dir() { mktemp -d "/tmp/perry-$1-XXXXXX"; } # KIND OF TEST
# agent_config [JSON MEMBERS]: a config.json with the small image and networks and ports that other agents on the engine hardly have.
agent_config() {
	local base=$((24000 + RANDOM % 20000))
	[ -e "$DIR/config.json" ] || cat >"$DIR/config.json" <<-J
		{"image": "perry:small", "sshPortRange": "$base-$((base + 60))", "networkRange": "10.$((216 + RANDOM % 30)).$((RANDOM % 63 * 4)).0/22" ${*:+, $*}}
	J
	chmod 600 "$DIR/config.json"
}

# --- start, wait, end ---

# agent_launch COMMAND...: an agent by this command; what it says is added to stdout and stderr in DIR. Each test is a process of its own and finds it
# by a file.
agent_launch() {
	"$@" >>"$DIR/stdout" 2>>"$DIR/stderr" 3>&- &
	agent_is $!
}
agent_is() {
	PID=$1
	echo "$PID" >"$DIR/test.pid"
}
agent_answers() {
	if [ -n "${PORT:-}" ]; then
		curl -sf -m 5 -o /dev/null "http://localhost:$PORT/health"
	else
		curl -sf -m 5 -o /dev/null --unix-socket "$DIR/agent.sock" http://localhost/health
	fi
}
agent_ended() {
	local stat
	stat=$(cat "/proc/$PID/stat" 2>/dev/null) || return 0
	[[ ${stat##*) } == Z* ]] # nobody has taken note yet
}
# Until it answers. One that ends instead, or hangs, shows its last words.
agent_wait() {
	local end=$((SECONDS + 60))
	until agent_answers; do
		if agent_ended || [ $SECONDS -ge $end ]; then
			tail -n 20 "$DIR/stderr" >&2
			return 1
		fi
		sleep 0.02
	done
	TOKEN=$(jq -r '.auth.token // empty' "$DIR/config.json" 2>/dev/null) || TOKEN=
}
# agent_start [ARGUMENT...]: with ENGINE on this machine's engine, else with none.
agent_start() {
	local engine=unix://$BATS_TMPDIR/no-engine.sock
	[ -z "${ENGINE:-}" ] || engine=${DOCKER_HOST:-}
	DIR=${DIR:-$(agent_dir api)}
	PORT=${PORT:-$(free_port)}
	# shellcheck disable=SC2086
	agent_launch env DOCKER_HOST="$engine" PERRY_CONFIG_DIR="$DIR" $AGENT -p "$PORT" -c "$DIR" "$@"
	agent_wait
}
# agent_end [SIGNAL]: of this folder, and waits until it has ended. None there: nothing.
agent_end() {
	[ -n "${DIR:-}" ] && [ -f "$DIR/test.pid" ] || return 0
	PID=$(cat "$DIR/test.pid") # a test may have started another one
	rm "$DIR/test.pid"
	kill "-${1:-TERM}" "$PID" 2>/dev/null || return 0
	eventually 60 agent_ended || { kill -KILL "$PID"; return 1; }
	wait "$PID" 2>/dev/null || : # where it is our child
}
agent_clean() {
	agent_end
	[ -z "${DIR:-}" ] || rm -rf "$DIR"
	unset DIR PORT PID
}

# --- on an engine ---

# Is an engine there that runs workspaces?
need_engine() {
	docker version >/dev/null 2>&1 || skip "no container engine answers"
	docker image inspect perry:small >/dev/null 2>&1 || skip "the image perry:small is not there (scripts/image.sh small)"
}
# agent_id [COMMAND...]: as the labels of what it makes have it; COMMAND runs curl elsewhere.
agent_id() {
	"$@" curl -s -m 20 --unix-socket "$DIR/agent.sock" http://localhost/metrics | sed -n 's/^perry_info{.*agent="\([0-9a-f]*\)".*/\1/p'
}
# The networks of an agent that has ended: it keeps one ready for its next workspace.
agent_networks_gone() { # ID
	[ -z "$1" ] || docker network ls -q --filter "label=perry.agent=$1" | xargs -r docker network rm >/dev/null
}

# --- answers of curl -w '\n%{http_code}' ---

answer() { # OUTPUT: sets CODE and BODY
	CODE=${1##*$'\n'}
	BODY=${1%$'\n'*}
}
