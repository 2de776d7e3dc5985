#!/usr/bin/env bats
# An engine that hangs or errs, a kill in the middle: what was there is there afterwards, and nothing is left over.
load helper

setup_file() {
	need_engine
	export REAL=${DOCKER_HOST:-unix:///var/run/docker.sock}
	export FAULT=$BATS_FILE_TMPDIR/fault
	"$BATS_TEST_DIRNAME/faulty_engine" "$BATS_FILE_TMPDIR/engine.sock" "$REAL" "$FAULT" 3>&- &
	echo $! >"$BATS_FILE_TMPDIR/faulty.pid"
	eventually 30 test -S "$BATS_FILE_TMPDIR/engine.sock"
	DOCKER_HOST=unix://$BATS_FILE_TMPDIR/engine.sock engine_setup
}
teardown_file() {
	rm -f "$FAULT"
	engine_teardown
	kill "$(cat "$BATS_FILE_TMPDIR/faulty.pid")"
}
setup() { engine_use; }
teardown() { rm -f "$FAULT"; }

again() {
	kill -9 "$PID"
	DOCKER_HOST=unix://$BATS_FILE_TMPDIR/engine.sock agent_again
	. "$BATS_FILE_TMPDIR/agent"
}
record() { curl -s --unix-socket "$DIR/agent.sock" -X POST -H 'Content-Type: application/json' -d "{\"json\":{\"name\":\"$1\"}}" http://localhost/rpc/workspaces/inspect | jq -c .json; }
gone() {
	refute docker container inspect "workspace-$1" 2>/dev/null
	refute docker volume inspect "workspace-$1" 2>/dev/null
	[ -z "$(status_of "$1")" ]
}

@test "delete while the engine errs at the look-up: nothing is forgotten, nothing is half gone" {
	p start del
	p exec del -- sh -c 'echo mine > ~/file'
	echo 'fail GET./v[0-9.]+/containers/[^/]+/json' >"$FAULT"
	run p delete -y del
	[ "$status" -ne 0 ]
	run p delete -y --keep-home del
	[ "$status" -ne 0 ]
	rm "$FAULT"
	[ "$(record del | jq -r .state)" = ready ]
	[ "$(p exec del -- sh -c 'cat ~/file')" = mine ]
	p delete -y del
	gone del
}

@test "a delete that breaks off says what is next, and is done when the agent is back" {
	p start del
	echo 'fail DELETE./v[0-9.]+/volumes/' >"$FAULT"
	run p delete -y del
	[ "$status" -ne 0 ]
	[[ $(record del | jq -r '.error.message') == *"perry delete del"* ]]
	rm "$FAULT"
	again
	eventually 30 gone del
}

@test "... and one that keeps the home keeps it then, too" {
	p start keep
	p exec keep -- sh -c 'echo mine > ~/file'
	echo 'fail DELETE./v[0-9.]+/containers/' >"$FAULT"
	run p delete -y --keep-home keep
	[ "$status" -ne 0 ]
	rm "$FAULT"
	again
	is_deleted() { [ -z "$(status_of keep)" ]; }
	eventually 30 is_deleted
	p start keep
	[ "$(p exec keep -- sh -c 'cat ~/file')" = mine ]
	p delete -y keep
	gone keep
}

@test "the volume is in use for a moment: delete waits for it" {
	p start del
	local holder
	holder=$(docker run -d -v workspace-del:/mnt --entrypoint sleep perry:small 600)
	(sleep 2; docker rm -f "$holder" >/dev/null) 3>&- &
	p delete -y del
	gone del
}

@test "restart with the image gone: it goes on as it was, and a start of it works" {
	docker tag perry:small "perry-gone-$PORT:1"
	p start gone --image "perry-gone-$PORT:1"
	p exec gone -- sudo sh -c 'echo it > /usr/local/installed'
	docker rmi "perry-gone-$PORT:1" >/dev/null
	run p restart gone
	[ "$status" = 0 ]
	[[ $output == *"is not on this machine"* ]]
	status_is gone running
	[ "$(p exec gone -- cat /usr/local/installed)" = it ]
	p stop gone
	p start gone
	[ "$(p exec gone -- cat /usr/local/installed)" = it ]
	# A new container needs it, and the old one is not stopped for one that cannot be made.
	local id
	id=$(docker inspect -f '{{.Id}} {{.State.StartedAt}}' workspace-gone)
	run p restart gone --recreate
	[ "$status" -ne 0 ]
	[ "$(docker inspect -f '{{.Id}} {{.State.StartedAt}}' workspace-gone)" = "$id" ]
	status_is gone running
	p delete -y gone
}

@test "a home that was not copied whole is not started; the way out is named" {
	p start src
	p exec src -- sh -c 'head -c 3000000 /dev/zero > ~/big'
	echo 'fail (DELETE|POST./v[0-9.]+/containers/[^/]+/start)' >"$FAULT"
	run p clone src part
	[ "$status" -ne 0 ]
	rm "$FAULT"
	[ "$(docker inspect -f '{{.State.Paused}}' workspace-src)" = false ]
	[ "$(status_of part)" = error ]
	run p start part
	[ "$status" = 6 ]
	[[ $output == *"not copied whole"*"perry delete part"*"perry clone src part"* ]]
	run p restart part
	[ "$status" = 6 ]
	p stop part
	[ "$(status_of part)" = error ]
	run p start part
	[ "$status" = 6 ]
	p delete -y part
	p clone src part
	[ "$(p exec part -- sh -c 'stat -c %s ~/big')" = 3000000 ]
	p delete -y part
	p delete -y src
}

@test "before the engine has answered list says what should be, not error" {
	p start known
	echo hang >"$FAULT"
	again
	run p list --json=name,status
	[ "$(jq -r '.[].status' <<<"$output")" = running ]
	curl -s --unix-socket "$DIR/agent.sock" -X POST http://localhost/rpc/workspaces/list | grep -q "has not answered yet"
	rm "$FAULT"
	eventually 90 status_is known running
	p delete -y known
}

@test "an exec and a shell do not outlive an agent that was killed; those of the next one do not mind" {
	p start orphan
	p exec orphan -- sleep 4242 3>&- &
	p shell orphan <<<'trap "" HUP; sleep 4343' 3>&- &
	sleeps() { [ "$(docker top workspace-orphan -eo pid,args | grep -cE '^ *[0-9]+ +sleep 4[23]4[23]$')" = "$1" ]; }
	eventually 30 sleeps 2
	again
	eventually 30 sleeps 0
	p exec orphan -- sleep 4242 3>&- &
	eventually 30 sleeps 1
	kill -HUP "$PID"
	p start orphan
	sleeps 1
	p delete -y orphan
}

@test "an engine that hangs: every command says so and ends" {
	p start hung
	echo hang >"$FAULT"
	local words
	for words in "exec hung -- true" "stop hung" "start new" "restart hung" "sync hung" "cp hung:/etc/passwd -" "clone hung other" "logs hung"; do
		# shellcheck disable=SC2086
		run timeout 50 "$BUILD/perry" $words </dev/null
		echo "$words: $status $output"
		[ "$status" -ne 0 ]
		[ "$status" -ne 124 ]
		[[ $output == *"does not answer"* ]]
	done
	run timeout 30 "$BUILD/perry" doctor
	[ "$status" -ne 124 ]
	[[ $output == *"does not answer"*"restart docker"* ]]
	curl -sf -m 30 -o /dev/null --unix-socket "$DIR/agent.sock" -X POST http://localhost/rpc/info
	rm "$FAULT"
	eventually 30 status_is hung running
	[ "$(p exec hung -- echo fine)" = fine ]
}

@test "a container that the engine hangs over does not hold up the news of others" {
	p start hung
	p start fine
	local id
	id=$(docker inspect -f '{{.Id}}' workspace-hung)
	echo "hang GET./v[0-9.]+/containers/$id/json" >"$FAULT"
	docker kill workspace-hung >/dev/null
	docker kill workspace-fine >/dev/null
	eventually 30 status_is fine stopped
	docker start workspace-fine >/dev/null
	eventually 30 status_is fine running
	rm "$FAULT"
	eventually 90 status_is hung stopped # what is under way is given up after 60 s at most
	p delete -y hung fine
}

@test "the agent ends soon although the engine hangs, and what was under way goes on when it is back" {
	echo hang >"$FAULT"
	p start --no-wait late
	kill "$PID"
	eventually 15 agent_ended
	rm "$FAULT"
	DOCKER_HOST=unix://$BATS_FILE_TMPDIR/engine.sock agent_again
	eventually 60 status_is late running
	p delete -y late
}
