#!/usr/bin/env bats
# Many who follow the events at once. An address, or a user at the unix socket, has 64 connections.
load helper

setup_file() { engine_setup; }
teardown_file() { engine_teardown; }
setup() { engine_use; }
teardown() {
	[ -z "${MANY:-}" ] || { exec 7>&-; wait "$MANY" || true; }
}

# many ADDRESS [TOKEN]: 500 that follow the events; what became of them is in OPEN, REFUSED and STRANGE.
many() {
	rm -f "$BATS_TEST_TMPDIR/end"
	mkfifo "$BATS_TEST_TMPDIR/end"
	python3 "$BATS_TEST_DIRNAME/../lib/subscribers.py" "$1" 500 ${2:+"$2"} <"$BATS_TEST_TMPDIR/end" >"$BATS_TEST_TMPDIR/many" 3>&- &
	MANY=$!
	exec 7>"$BATS_TEST_TMPDIR/end"
	eventually 120 grep -q . "$BATS_TEST_TMPDIR/many"
	read -r OPEN REFUSED STRANGE <"$BATS_TEST_TMPDIR/many"
	echo "open $OPEN refused $REFUSED strange $STRANGE"
}
many_end() { # TOLD: how many got an event
	echo >&7
	exec 7>&-
	wait "$MANY"
	MANY=
	TOLD=$(tail -n 1 "$BATS_TEST_TMPDIR/many")
}
few_open() { [ "$(ls "/proc/$PID/fd" | wc -l)" -le "$1" ]; }

@test "500 that follow the events: those above the limit are told so, the owner is served, all others get each event" {
	local before
	before=$(ls "/proc/$PID/fd" | wc -l)
	many "$PORT" "$TOKEN"
	[ "$OPEN $REFUSED $STRANGE" = "64 436 0" ]
	p start served
	many_end
	[ "$TOLD" = 64 ]
	eventually 60 few_open $((before + 8))
	# The owner's own: then he waits for his turn, and each command says why.
	many "$DIR/agent.sock"
	[ "$OPEN $REFUSED $STRANGE" = "64 436 0" ]
	run p list
	[ "$status" != 0 ]
	[[ $output == *"too many connections"* ]]
	run p start served
	[ "$status" != 0 ]
	[[ $output == *"too many connections"* ]]
	run p events
	[[ $output == *"too many connections"* ]]
	tcp /rpc/workspaces/list -X POST -H "Authorization: Bearer $TOKEN" # another door
	expect_match 200 served
	many_end
	eventually 60 few_open $((before + 8))
	p delete -y served
}
