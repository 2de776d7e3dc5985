#!/usr/bin/env bats
# A workspace whose end of the channel lies (tests/lib/hostile_channel.pl): the agent lives, stays small, and other workspaces and their sessions see
# nothing of it. HOSTILE_ROUNDS random ones from HOSTILE_SEED on.
bats_require_minimum_version 1.5.0
load helper

setup_file() {
	make -s -C "${BATS_TEST_DIRNAME}/../.." "$BUILD/test/hostile-step" >&2
	export PERRY_STEP=$BUILD/test/hostile-step
	engine_setup
	p start hgood
	p start hevil
	rpc terminals/start '{"name":"hgood","title":"kept","command":["sh","-c","echo good-session; exec cat"]}'
}
teardown_file() { engine_teardown; }
setup() { engine_use; }

pss() { awk '/^Pss:/ { print $2 }' "/proc/$PID/smaps_rollup"; }
mute_evil() { docker exec workspace-hevil sh -c 'for i in /proc/[0-9]*; do grep -qE "hostile[/]channel|perry-step.channe[l]" $i/cmdline 2>/dev/null && kill -9 ${i#/proc/}; done; :'; }
# lie WORD [SEED]: hevil is a new workspace that says this on its channel.
lie() {
	p delete -y hevil >/dev/null
	p start hevil >/dev/null
	docker exec workspace-hevil mkdir -p /home/workspace/hostile
	docker exec -i workspace-hevil sh -c 'cat >/home/workspace/hostile/channel; chmod 755 /home/workspace/hostile/channel' <"$BATS_TEST_DIRNAME/../lib/hostile_channel.pl"
	docker exec workspace-hevil sh -c "echo '$*' >/home/workspace/hostile/lie"
	mute_evil
}
# All that anybody does with it. What comes of it is its own affair, but it comes to an end.
use() {
	local pids=() pid
	timeout -k 2 5 "$BUILD/perry" exec -n hevil -- true >/dev/null 2>&1 3>&- & pids+=($!)
	head -c 3000000 /dev/zero | timeout -s KILL 3 "$BUILD/perry" exec hevil -- cat >/dev/null 2>&1 3>&- & pids+=($!)
	timeout -k 2 5 "$BUILD/perry" shell hevil -l >"$BATS_TEST_TMPDIR/list" 2>&1 3>&- & pids+=($!)
	timeout -k 2 5 "$BUILD/perry" screen hevil hevil >"$BATS_TEST_TMPDIR/screen" 2>&1 3>&- & pids+=($!)
	timeout -s KILL 4 script -qec "$BUILD/perry shell hevil" /dev/null </dev/null >/dev/null 2>&1 3>&- & pids+=($!)
	curl -s -m 5 --unix-socket "$DIR/agent.sock" http://localhost/rpc/terminals/start -X POST -H 'Content-Type: application/json' --data-binary '{"json":{"name":"hevil"}}' >/dev/null 3>&- & pids+=($!)
	good_is_well
	for pid in "${pids[@]}"; do wait "$pid" || :; done
	refute grep -qP '\x1b|\x07' "$BATS_TEST_TMPDIR/list" "$BATS_TEST_TMPDIR/screen"
}
good_is_well() {
	[ "$(p exec hgood -- echo fine)" = fine ]
	[ "$(p shell hgood -l --json | jq -r '.[].name')" = kept ]
	[ "$(p screen hgood kept | head -1)" = good-session ]
}
# What it says is of no consequence for the agent and the other workspace.
survives() {
	local before
	lie "$@"
	before=$(pss)
	use
	good_is_well
	agent_answers
	echo "# $*: $before KiB before, $(pss) KiB after"
	sanitized || [ $(($(pss) - before)) -lt 32768 ]
}

@test "what is no greeting" {
	for it in garbage endless_error huge none early version deep ends; do survives $it; done
}

@test "no greeting at all: commands go the other way in the end" {
	survives mute
}

@test "a greeting, and then what is no frame of an honest one" {
	for it in twice large unknown stranger half leaves; do survives $it; done
}

@test "more than the windows, and windows without end" {
	for it in window credit; do survives $it; done
}

@test "no answer, and endless ones" {
	for it in silent deaf opened; do survives $it; done
}

@test "ends that are none, and errors that are markup" {
	for it in code exits error; do survives $it; done
}

@test "lists of sessions: hostile names, far too many, a line without an end" {
	for it in sessions line; do survives $it; done
}

@test "a session that asks without end and reads no answer" {
	survives attach
}

@test "a session that prints faster than it is read is attached to again, and viewers stay" {
	lie slow
	run timeout -s KILL 30 script -qec "$BUILD/perry shell hevil" /dev/null </dev/null
	[ "$status" = 5 ]
	# A viewer is shown how far it has come, not all that it missed.
	for it in attached-4 "the end"; do [[ $output == *"$it"* ]]; done
}

@test "whatever it says" {
	local seed=${HOSTILE_SEED:-1} round
	for ((round = 0; round < ${HOSTILE_ROUNDS:-5}; round++, seed++)); do survives random "$seed"; done
}
