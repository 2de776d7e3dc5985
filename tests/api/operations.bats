#!/usr/bin/env bats
# Long calls: waiting, not waiting, leaving, following. With a real engine.
load helper

setup_file() { engine_agent_of_file; }
teardown_file() { engine_agent_gone; }
setup() { need_engine; }

operation_of() { sed -E 's/.*"operation":"([^"]+)".*/\1/' <<<"$BODY"; }

@test "Prefer: respond-async answers 202 with an operation, which can be waited for" {
	sock /rpc/workspaces/create -X POST -i -H 'Prefer: respond-async' -H 'Content-Type: application/json' --data-binary "{\"json\":{\"name\":\"$(ws a)\"}}"
	[ "$CODE" = 202 ]
	grep -qi '^preference-applied: respond-async' <<<"$BODY"
	local id
	id=$(operation_of | tail -1 | tr -d '\r')
	rpc operations/get "{\"id\":\"$id\"}"
	expect_match 200 "\"id\":\"$id\",\"kind\":\"create\""
	rpc operations/wait "{\"id\":\"$id\"}"
	expect_match 200 '"state":"done".*"result":\{"name":"'"$(ws a)"'","status":"running"'
	rpc operations/list "{\"workspace\":\"$(ws a)\"}"
	expect_match 200 "\"id\":\"$id\""
	rpc operations/get '{"id":"nope"}'
	expect_match 404 NOT_FOUND
}

@test "a client that leaves in the middle does not end the operation" {
	curl -s -m 0.1 --unix-socket "$DIR/agent.sock" -X POST -H 'Content-Type: application/json' \
		--data-binary "{\"json\":{\"name\":\"$(ws b)\"}}" http://localhost/rpc/workspaces/create || true
	status_is() { rpc workspaces/get "{\"name\":\"$(ws b)\"}"; [[ $BODY == *'"status":"running"'* ]]; }
	eventually 30 status_is
}

@test "six creates of one name at once: one is made, the others are told" {
	local i made=0 told=0
	for i in 1 2 3 4 5 6; do
		(rpc workspaces/create "{\"name\":\"$(ws c)\"}"; echo "$CODE $BODY" >"$BATS_TEST_TMPDIR/answer.$i") &
	done
	wait
	for i in 1 2 3 4 5 6; do
		case $(cat "$BATS_TEST_TMPDIR/answer.$i") in
		200*) made=$((made + 1)) ;;
		409*CONFLICT*) told=$((told + 1)) ;;
		*) cat "$BATS_TEST_TMPDIR/answer.$i" >&2 ;;
		esac
	done
	[ "$made" = 1 ]
	[ "$told" = 5 ]
}

@test "delete during create: the create is told, nothing is left" {
	(rpc workspaces/create "{\"name\":\"$(ws d)\"}"; echo "$CODE $BODY" >"$BATS_TEST_TMPDIR/create") &
	local create=$!
	listed() { rpc workspaces/list; [[ $BODY == *"$(ws d)"* ]]; }
	eventually 30 listed
	rpc workspaces/delete "{\"name\":\"$(ws d)\"}"
	expect 200 '{"json":{"success":true}}'
	wait "$create"
	rpc workspaces/get "{\"name\":\"$(ws d)\"}"
	expect 404
	nothing docker ps -aq --filter name="^workspace-$(ws d)\$"
	nothing docker volume ls -q --filter name="^workspace-$(ws d)\$"
	grep -q '^499 .*"message":"cancelled by delete of the same workspace"' "$BATS_TEST_TMPDIR/create" || { cat "$BATS_TEST_TMPDIR/create" >&2; return 1; }
}

@test "events: steps as they happen, of one workspace, and again by Last-Event-ID" {
	follow_events "$BATS_TEST_TMPDIR/live" "/events?workspace=$(ws e)"
	rpc workspaces/create "{\"name\":\"$(ws e)\"}"
	expect 200
	kill "$READER"
	wait "$READER" || true
	grep -q '^event: step' "$BATS_TEST_TMPDIR/live"
	grep '^data: ' "$BATS_TEST_TMPDIR/live" | grep -q '"kind":"operation".*"state":"done"\|"state":"done".*"kind":"operation"'
	refute grep -q "$(ws a)" "$BATS_TEST_TMPDIR/live"
	# The same ones from the store, from the middle on.
	local middle
	middle=$(sed -n 's/^id: //p' "$BATS_TEST_TMPDIR/live" | sed -n 3p)
	sock "/events?workspace=$(ws e)&follow=0" -H "Last-Event-ID: $middle"
	[ "$(sed -n 's/^id: //p' <<<"$BODY" | head -1)" -gt "$middle" ]
	diff <(sed -n 's/^id: //p' "$BATS_TEST_TMPDIR/live" | sed -n '4,$p') <(sed -n 's/^id: //p' <<<"$BODY" | head -n "$(sed -n 's/^id: //p' "$BATS_TEST_TMPDIR/live" | sed -n '4,$p' | wc -l)")
}

@test "SIGTERM with a call pending: 503, and the work is taken up by the next agent" {
	curl -s -m 30 -o "$BATS_TEST_TMPDIR/answer" -w '%{http_code}' --unix-socket "$DIR/agent.sock" -X POST -H 'Content-Type: application/json' \
		--data-binary "{\"json\":{\"name\":\"$(ws a)\",\"command\":\"sleep 20\"}}" http://localhost/rpc/workspaces/exec >"$BATS_TEST_TMPDIR/code" 3>&- &
	local caller=$!
	runs() { docker top "workspace-$(ws a)" | grep -q 'sleep 20'; }
	eventually 30 runs
	kill "$PID"
	wait "$caller" || true
	[ "$(cat "$BATS_TEST_TMPDIR/code")" = 503 ]
	grep -q SERVICE_UNAVAILABLE "$BATS_TEST_TMPDIR/answer"
	flock -w 15 "$DIR/agent.pid" true # until it is gone
	agent_start
	engine_wait
	rpc workspaces/get "{\"name\":\"$(ws a)\"}"
	expect_match 200 '"status":"running"'
}
