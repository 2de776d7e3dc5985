#!/usr/bin/env bats
# The idle hook on the real engine, with a policy of seconds: what is used stays, what nobody uses is stopped, and why is told.
bats_require_minimum_version 1.5.0
load helper

USED=(exec term cpu client agent)
setup_file() {
	engine_setup
	mkdir -p "$DIR/hooks"
	local ws pids=()
	for ws in "${USED[@]}" quiet; do
		p start "id-$ws" >/dev/null 3>&- &
		pids+=($!)
	done
	wait "${pids[@]}"
}
teardown_file() {
	# shellcheck disable=SC1091
	. "$BATS_FILE_TMPDIR/agent"
	xargs -r kill <"$DIR/pids" 2>/dev/null || true
	engine_teardown
}
setup() { engine_use; }

hook() { cat >"$DIR/hooks/idle.lua"; }
of_seconds() {
	hook <<-'E'
		return function(ws, base, activity)
		  local below = base()
		  if below.action == "stop" or ws.labels.stay then return below end
		  if activity.idle_seconds < 5 then return { action = "keep", next = 1 } end
		  return { action = "stop", reason = ("nobody for %d s"):format(activity.idle_seconds) }
		end
	E
}
none() { rm -f "$DIR/hooks/idle.lua"; }
inside() { docker exec "workspace-id-$1" "${@:2}"; }
events() { p events --json | jq -c "select(.workspace == \"id-$1\") | $2"; }
told() { [ -n "$(events "$1" "$2")" ]; }
remember() { echo $! >>"$DIR/pids"; }

@test "without a hook nothing is stopped, and nobody looks" {
	sleep 8
	for ws in "${USED[@]}" quiet; do status_is "id-$ws" running; done
	[ "$(p events --json | jq -s '[length > 0, any(.kind == "idle")]' -c)" = '[true,false]' ]
}

@test "what is used stays, what nobody uses is stopped: a command, a terminal, a processor, a client, an agent" {
	"$BUILD/perry" exec id-exec -- sleep 1000 3>&- & remember
	python3 -c 'import os, pty, sys; pty.spawn(sys.argv[1:], lambda fd: os.read(fd, 1024), lambda fd: (__import__("time").sleep(1000), b"")[1])' \
		"$BUILD/perry" shell id-term >/dev/null 3>&- & remember
	docker exec -d workspace-id-cpu sh -c 'while :; do i=$((i+1)); [ $((i % 20000)) != 0 ] || sleep 0.05; done'
	docker exec -d workspace-id-client perl -MSocket -e 'socket(my $s, PF_INET, SOCK_STREAM, 0); bind($s, sockaddr_in(3000, INADDR_ANY)) or die; listen($s, 5);
		my @keep; while (accept(my $c, $s)) { push @keep, $c }'
	local address
	address=$(docker inspect -f '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' workspace-id-client)
	python3 -c 'import socket, sys, time
for i in range(100):
    try: s = socket.create_connection((sys.argv[1], 3000)); break
    except OSError: time.sleep(0.1)
time.sleep(1000)' "$address" 3>&- & remember
	inside agent cp /bin/sleep /usr/local/bin/claude
	docker exec -d workspace-id-agent claude 1000
	sleep 2
	of_seconds
	eventually 40 status_is id-quiet stopped
	sleep 15
	for ws in "${USED[@]}"; do
		status_is "id-$ws" running || { echo "id-$ws was stopped: $(p info "id-$ws")" >&2; return 1; }
	done
}

@test "why it was stopped stands in list, info, events, the operation and the decision log" {
	[[ "$(p list)" == *"stopped (nobody for "*" s)"* ]]
	[[ "$(p info id-quiet --json | jq -r .stopReason)" == "nobody for "* ]]
	told quiet 'select(.kind == "idle" and .state == "stopping" and (.reason | startswith("nobody for")))'
	[ "$(events quiet 'select(.kind == "operation" and .action == "stop" and .state == "done") | .caller.kind')" = '"policy"' ]
	[[ "$(p explain id-quiet --all)" == *'"action":"stop"'*'hooks/idle.lua:'* ]]
}

@test "it starts again, and the reason is forgotten" {
	hook <<<'return function(_, base) return base() end'
	p start id-quiet
	status_is id-quiet running
	[ "$(p info id-quiet --json | jq .stopReason)" = null ]
}

@test "once nothing goes on any more, they are stopped" {
	of_seconds
	xargs -r kill <"$DIR/pids"
	rm "$DIR/pids"
	docker exec workspace-id-cpu sh -c 'for i in /proc/[0-9]*; do grep -q "i=.((i+1))" $i/cmdline 2>/dev/null && kill -9 ${i#/proc/}; done; :' || true
	docker exec workspace-id-agent sh -c 'for i in /proc/[0-9]*; do grep -q claude $i/comm 2>/dev/null && kill ${i#/proc/}; done; :'
	for ws in "${USED[@]}"; do
		eventually 60 status_is "id-$ws" stopped || { p info "id-$ws" >&2; return 1; }
	done
}

@test "a workspace that nobody can look into stays" {
	hook <<<'return function(_, base) return base() end'
	p start id-quiet
	docker pause workspace-id-quiet >/dev/null
	of_seconds
	sleep 22
	status_is id-quiet running
	docker unpause workspace-id-quiet >/dev/null
	eventually 40 status_is id-quiet stopped
}

@test "a hook that fails stops nothing, and says so once" {
	hook <<<'return function(_, base) return base() end'
	p start id-quiet
	hook <<<'return function(_, _, activity) return activity.nosuch end'
	eventually 30 told quiet 'select(.kind == "hook" and .point == "idle" and (.error | contains("nosuch")))'
	for _ in 1 2 3 4; do p exec id-quiet -- true; done
	sleep 12
	[ "$(events quiet 'select(.kind == "hook" and .point == "idle" and (.error | contains("nosuch")))' | wc -l)" = 1 ]
	status_is id-quiet running
}

@test "start --ttl: told before it is over, then it stops; each start gives it again, --ttl 0 takes it away" {
	none
	p start id-quiet --ttl 6s
	[ "$(p info id-quiet --json | jq .ttl)" = 6 ]
	[ "$(p info id-quiet --json | jq -r .ttlEnds)" != null ]
	eventually 30 told quiet 'select(.kind == "idle" and .state == "warning" and (.message | contains("6 seconds")))'
	eventually 30 status_is id-quiet stopped
	[ "$(p info id-quiet --json | jq -r .stopReason)" = "its time is over (--ttl 6s)" ]
	p start id-quiet
	eventually 30 status_is id-quiet stopped
	p start id-quiet --ttl 0
	[ "$(p info id-quiet --json | jq '[.ttl, .ttlEnds]' -c)" = '[null,null]' ]
	sleep 9
	status_is id-quiet running
}

@test "start --ttl of one that runs begins to count anew; a wrong time is an error of the command line" {
	p start id-quiet --ttl 1d
	p start id-quiet --ttl 4s
	eventually 30 status_is id-quiet stopped
	local bad
	for bad in 2 h -1 2x 0.5h "" 9999999d; do
		run -2 p start id-quiet --ttl="$bad"
		[[ "$output" == *"--ttl needs a time like"* ]]
	done
}

@test "what remains of a ttl outlives the agent" {
	p start id-quiet --ttl 20s
	sleep 4
	kill -9 "$PID"
	agent_again
	eventually 30 status_is id-quiet running
	eventually 30 status_is id-quiet stopped
	[ "$(p info id-quiet --json | jq -r .stopReason)" = "its time is over (--ttl 20s)" ]
}
