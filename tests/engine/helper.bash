# An agent of its own on the real engine, used through the real command line.
# shellcheck source=tests/api/helper.bash
load "${BASH_SOURCE[0]%/*}/../api/helper.bash"

# One agent for a file of tests: its own folder, ports and networks, so that several files may run beside others.
engine_setup() {
	need_engine
	DIR=$(agent_dir engine)
	agent_config "\"allowHostAccess\": false ${CONFIG_MORE:-}"
	ENGINE=1 agent_start
	export PERRY_CONFIG_DIR=$DIR
	unset PERRY_AGENT PERRY_TOKEN
	engine_note
}
# Each test is a process of its own: what it must know of the agent goes through a file.
engine_note() { printf 'DIR=%q\nPORT=%q\nPID=%q\nTOKEN=%q\n' "$DIR" "$PORT" "$PID" "$TOKEN" >"$BATS_FILE_TMPDIR/agent"; }
# In setup(): the variables of the agent that setup_file started.
engine_use() {
	# shellcheck disable=SC1091
	. "$BATS_FILE_TMPDIR/agent"
	export PERRY_CONFIG_DIR=$DIR
}
# The agent's id, as the labels of what it makes have it.
agent_id() { curl -s --unix-socket "$DIR/agent.sock" http://localhost/metrics | sed -n 's/^perry_info{.*agent="\([^"]*\)".*/\1/p'; }

p() { "$BUILD/perry" "$@"; }

# Everything that an agent made, gone.
engine_teardown() {
	# shellcheck disable=SC1091
	. "$BATS_FILE_TMPDIR/agent" 2>/dev/null || return 0
	export PERRY_CONFIG_DIR=$DIR
	if ! agent_ended; then
		local ws id
		id=$(agent_id)
		for ws in $(p list -q); do p delete -y "$ws" >/dev/null 2>&1 || true; done
		p prune >/dev/null 2>&1 || true
		agent_end || true
		agent_networks_gone "$id" 2>/dev/null || true
	fi
	rm -rf "$DIR"
}
# Starts the agent of this file again (after a kill).
agent_again() {
	flock -w 30 "$DIR/agent.pid" true || : # what was killed is not gone at once
	ENGINE=1 agent_start
	engine_note
}
status_of() { p list --json=name,status | jq -r --arg n "$1" '.[] | select(.name == $n) | .status'; }
status_is() { [ "$(status_of "$1")" = "$2" ]; }
