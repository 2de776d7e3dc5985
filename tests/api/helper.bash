# A real agent in a folder of its own, and what talks to it.
# shellcheck source=tests/lib/agent.bash
load "${BASH_SOURCE[0]%/*}/../lib/agent.bash"

sanitized() { nm -D "${AGENT%% *}" | grep -qE '__(asan|tsan|ubsan)_'; }

# Over the unix socket: CODE and BODY. sock PATH [curl options]
sock() {
	local path=$1 out
	shift
	out=$(curl -s -m 60 --unix-socket "$DIR/agent.sock" -w '\n%{http_code}' "$@" "http://localhost$path")
	answer "$out"
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
	answer "$out"
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

# Names of workspaces, which the engine shares with everybody: ws a -> api-1234-a
ws() { echo "api-${PORT}-$1"; }

engine_wait() {
	answers() { rpc info; [[ $BODY != *'"unavailable"'* ]]; }
	eventually 60 answers
}

# With everything that carries the agent's label, its spare networks too.
remove_workspaces() {
	local name id
	id=$(agent_id)
	rpc workspaces/list
	for name in $(jq -r '.json[].name' <<<"$BODY"); do rpc workspaces/delete "{\"name\":\"$name\"}"; done
	agent_end
	agent_networks_gone "$id"
}

# An agent that makes workspaces of the small image, beside other agents on the same engine.
engine_agent() {
	export ENGINE=yes
	DIR=$(agent_dir api)
	agent_config
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
