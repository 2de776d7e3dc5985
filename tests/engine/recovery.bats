#!/usr/bin/env bats
# Killed at any time; engine gone; what was under way is finished or undone.
load helper

setup_file() { engine_setup; }
teardown_file() { engine_teardown; }
setup() { engine_use; }

@test "killed in the middle of a create: the next start finishes it" {
	local delay
	for delay in 0.02 0.08 0.15 0.25 0.4 0.6; do
		p start --no-wait "mid"
		sleep "$delay"
		agent_end KILL
		agent_again
		. "$BATS_FILE_TMPDIR/agent"
		p start mid
		status_is mid running
		[ "$(p exec mid -- whoami)" = workspace ]
		p delete -y mid
		refute docker container inspect workspace-mid
		refute docker volume inspect workspace-mid
	done
}

@test "killed while a workspace runs: it goes on, and is known again" {
	p start stay
	local at
	at=$(docker inspect -f '{{.State.StartedAt}}' workspace-stay)
	agent_end KILL
	agent_again
	eventually 30 status_is stay running # the engine is asked as the agent comes up
	[ "$(docker inspect -f '{{.State.StartedAt}}' workspace-stay)" = "$at" ]
}

@test "what should run is started again after a reboot" {
	agent_end KILL
	docker kill workspace-stay >/dev/null
	agent_again
	eventually 30 status_is stay running
}

@test "a second agent on the same folder is refused by pid" {
	run timeout 10 "$BUILD/perry-agent" agent run -p "$(free_port)" -c "$DIR"
	[ "$status" != 0 ]
	[[ "$output" == *"$PID"* ]]
}

@test "SIGTERM ends the agent cleanly and soon, workspaces go on" {
	kill "$PID"
	eventually 30 agent_ended
	[ "$(docker inspect -f '{{.State.Running}}' workspace-stay)" = true ]
	agent_again
	p delete -y stay
}

@test "delete cancels a start that is under way" {
	p start --no-wait quick
	sleep 0.1
	p delete -y quick
	refute docker container inspect workspace-quick
	refute docker volume inspect workspace-quick
	run p info quick
	[ "$status" = 5 ]
}

@test "nothing can be recorded while a start runs: the command ends, and with the store back all works" {
	local pid
	p start kept
	p stop kept
	printf '#!/bin/sh\ntouch ~/begun\nwhile [ ! -e ~/go ]; do sleep 0.1; done\nrm ~/begun ~/go\n' >"$BATS_TEST_TMPDIR/slow"
	chmod +x "$BATS_TEST_TMPDIR/slow"
	p agent config set scripts.post_start "[\"$BATS_TEST_TMPDIR/slow\"]"
	timeout 60 "$BUILD/perry" start kept 3>&- >"$BATS_TEST_TMPDIR/said" 2>&1 &
	pid=$!
	eventually 30 docker exec -u workspace workspace-kept sh -c '[ -e ~/begun ]'
	mv "$DIR/state.db" "$DIR/away"
	docker exec -u workspace workspace-kept sh -c 'touch ~/go'
	# Whatever it says: it ends by itself.
	local rc=0
	wait "$pid" || rc=$?
	[ "$rc" != 124 ] || { cat "$BATS_TEST_TMPDIR/said"; return 1; }
	p agent config unset scripts.post_start
	run p stop kept
	[ "$status" != 0 ]
	[[ $output == *"state.db was removed or replaced"* ]]
	mv "$DIR/away" "$DIR/state.db"
	p stop kept
	status_is kept stopped
	# What had ended does not run again.
	agent_end KILL
	agent_again
	eventually 30 status_is kept stopped
	[ "$(docker inspect -f '{{.State.Running}}' workspace-kept)" = false ]
	p delete -y kept
}
