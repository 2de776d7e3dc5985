#!/usr/bin/env bats
# No space left, where the engine keeps things (a private one on a small file system) and in the agent's own folder (another one).
load helper

setup_file() {
	need_engine
	[ "$(id -u)" = 0 ] || skip "a file system of its own needs root"
	export ENGINE_DIR=$BATS_FILE_TMPDIR/engine
	mkdir -p "$ENGINE_DIR/data"
	mount -t tmpfs -o size=1g none "$ENGINE_DIR/data" || skip "no file system can be mounted here"
	local rc=0
	"$BATS_TEST_DIRNAME/private_dockerd" start "$ENGINE_DIR" 3>&- || rc=$?
	[ "$rc" != 77 ] || skip "no private engine here"
	docker save perry:small | docker -H "unix://$ENGINE_DIR/docker.sock" load >/dev/null
	export DOCKER_HOST=unix://$ENGINE_DIR/docker.sock
	DIR=$(agent_dir engine)
	mount -t tmpfs -o size=24m none "$DIR"
	chmod 700 "$DIR"
	agent_config '"allowHostAccess": false'
	ENGINE=1 agent_start
	engine_note
	export PERRY_CONFIG_DIR=$DIR
}
teardown_file() {
	[ -d "$ENGINE_DIR" ] || return 0
	rm -f "$ENGINE_DIR/data/filler"
	# shellcheck disable=SC1091
	. "$BATS_FILE_TMPDIR/agent" 2>/dev/null && rm -f "$DIR/filler"
	engine_teardown 2>/dev/null || :
	umount -l "$DIR" && rm -rf "$DIR"
	"$BATS_TEST_DIRNAME/private_dockerd" stop "$ENGINE_DIR"
}
setup() { engine_use; }

# fill FOLDER BYTES: leaves so many bytes of its file system.
fill() {
	local free
	free=$(($(stat -f -c '%a * %S' "$1")))
	head -c $((free - $2)) /dev/zero >"$1/filler" 2>/dev/null || :
}
alive() { curl -sf -m 30 -o /dev/null --unix-socket "$DIR/agent.sock" http://localhost/health; }

@test "no space for a workspace: the error says so, nothing is left, and with space it works" {
	p start there
	fill "$ENGINE_DIR/data" 0
	run p start more
	[ "$status" -ne 0 ]
	[[ $output == *"no space left"* ]]
	alive
	[ "$(p list --json=name | jq -r '.[].name')" = there ]
	nothing docker ps -aq --filter name=^workspace-more
	nothing docker volume ls -q --filter name=^workspace-more
	rm "$ENGINE_DIR/data/filler"
	[ "$(p exec there -- echo fine)" = fine ]
	p start more
	[ "$(p exec more -- echo fine)" = fine ]
	p delete -y more
}

@test "no space for a clone: nothing is left, the source goes on" {
	p exec there -- sh -c 'head -c 20000000 /dev/urandom > ~/big'
	fill "$ENGINE_DIR/data" 8000000
	run p clone there copy
	[ "$status" -ne 0 ]
	[[ $output == *"o space left"* ]]
	alive
	[ "$(p list --json=name | jq -r '.[].name')" = there ]
	nothing docker volume ls -q --filter name=^workspace-copy
	[ "$(docker inspect -f '{{.State.Paused}}' workspace-there)" = false ]
	rm "$ENGINE_DIR/data/filler"
	p clone there copy
	[ "$(p exec copy -- sh -c 'stat -c %s ~/big')" = 20000000 ]
	p delete -y copy
}

@test "no space in the agent's own folder: a setting is refused, nothing is cut, and with space all works" {
	local before
	p start there
	before=$(cat "$DIR/config.json")
	fill "$DIR" 0
	run p agent config set limits.pids 1234
	[ "$status" -ne 0 ]
	[[ $output == *"o space left"* ]]
	[ "$(cat "$DIR/config.json")" = "$before" ]
	alive
	p list
	# Each uses up more of what the log has room for, and at some point nothing can be recorded: every command ends all the same.
	local big i rc refused=0
	big=$(head -c 90000 /dev/zero | tr '\0' x)
	for i in 1 2 3 4 5 6; do
		rc=0
		timeout 60 "$BUILD/perry" start there -e "BIG=$i$big" 3>&- || rc=$?
		[ "$rc" != 124 ]
		[ "$rc" = 0 ] || refused=$((refused + 1))
	done
	[ "$refused" -gt 0 ]
	alive
	rm "$DIR/filler"
	p start there
	[ "$(p exec there -- echo fine)" = fine ]
	p agent config set limits.pids 1234
	agent_end KILL
	agent_again
	[ "$(p exec there -- echo fine)" = fine ]
	p delete -y there
	nothing docker ps -aq
	nothing docker volume ls -q --filter name=^workspace-
}
