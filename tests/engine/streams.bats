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
	export PID PERRY=$BUILD/perry DIR PORT TOKEN
}
teardown() {
	[ -z "${NS:-}" ] || net_gone
	[ -z "${BARE:-}" ] || kill "$BARE" 2>/dev/null || true
}
table() { python3 "$BATS_TEST_DIRNAME/streams.py" "$1" 3>&-; }

@test "what is printed gets out, or the exit code says that it did not" { table printing; }
@test "standard output that is full, closed, slow, or does not wait" { table outputs; }
@test "standard input that is closed, empty, endless; what cannot be passed on" { table inputs; }
@test "INT, TERM and HUP end what is ours and reach a command" { table signals; }
@test "INT, TERM and HUP with an agent that is silent" { table silent; }
@test "a tar by standard input or output" { table tars; }

# A network namespace for clients, with a network to this one.
net_there() {
	export NS=perry-cut-$$ HERE=198.18.$((RANDOM % 250)).1 THERE
	THERE=${HERE%.1}.2
	ip netns add "$NS"
	ip link add "cut$$" type veth peer name cut netns "$NS"
	ip addr add "$HERE/30" dev "cut$$"
	ip link set "cut$$" up
	ip -n "$NS" addr add "$THERE/30" dev cut
	ip -n "$NS" link set cut up
	ip -n "$NS" link set lo up
}
net_gone() {
	ip route del blackhole "$THERE/32" 2>/dev/null || true
	ip netns del "$NS"
	ip link del "cut$$" 2>/dev/null || true
}
@test "a network that is cut is an error, without TLS and with it" {
	[ "$(id -u)" = 0 ] && command -v ip openssl >/dev/null || skip "needs root, ip and openssl"
	net_there
	p agent config set allowedHosts "[\"$HERE\"]"
	printf '#!/bin/sh\nsleep 600\n' >"$BATS_TEST_TMPDIR/slow"
	chmod +x "$BATS_TEST_TMPDIR/slow"
	p agent config set scripts.post_start "[\"$BATS_TEST_TMPDIR/slow\"]"
	table cut
	p agent config unset scripts.post_start
	p delete -y cut-http cut-https
}
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
