#!/usr/bin/env bats
# How every command that streams or prints ends: streams.py has the tables.
bats_require_minimum_version 1.5.0
load helper

setup_file() {
	engine_setup
	p start web
}
teardown_file() { engine_teardown; }
setup() {
	engine_use
	export PID PERRY=$BUILD/perry DIR
}
teardown() { [ -z "${BARE:-}" ] || kill "$BARE" 2>/dev/null || true; }
table() { python3 "$BATS_TEST_DIRNAME/streams.py" "$1" 3>&-; }

@test "what is printed gets out, or the exit code says that it did not" { table printing; }
@test "standard output that is full, closed, slow, or does not wait" { table outputs; }
@test "standard input that is closed, empty, endless; what cannot be passed on" { table inputs; }
@test "INT, TERM and HUP end what is ours and reach a command" { table signals; }
@test "INT, TERM and HUP with an agent that is silent" { table silent; }
@test "an agent that goes away is an error" {
	local rc=0
	table gone || rc=$?
	agent_again
	[ $rc = 0 ]
}

@test "an agent that is started without descriptors keeps its files apart" {
	local dir=$BATS_TEST_TMPDIR/bare
	mkdir "$dir"
	DOCKER_HOST=unix://$dir/none PERRY_CONFIG_DIR=$dir "$BUILD/perry-agent" agent run -p "$(free_port)" -c "$dir" <&- >&- 2>&- 3>&- &
	BARE=$!
	export PERRY_CONFIG_DIR=$dir
	eventually 30 p agent status
	[[ "$(cat "$dir/agent.pid")" =~ ^[0-9]+$'\n'[0-9]+$ ]]
	p agent kill
}
