#!/usr/bin/env bats
# What fails around the agent: the engine killed and away, a full disk, another agent, TLS, leaks. On an engine of its own, that may be killed.
bats_require_minimum_version 1.5.0
load helper

# bats 1.8 takes a skip in setup_file for a failure: each test skips instead.
not_here() { export NOT_HERE=$1; }

setup_file() {
	need_engine
	[ "$(id -u)" = 0 ] || { not_here "a private engine needs root"; return; }
	PDK=$(mktemp -d /tmp/perry-pdk-XXXXXX)
	local rc=0
	"$BATS_TEST_DIRNAME/private_dockerd" start "$PDK" 3>&- || rc=$?
	echo "PDK=$PDK" >"$BATS_FILE_TMPDIR/pdk"
	[ $rc != 77 ] || { not_here "no private engine here"; return; }
	[ $rc = 0 ]
	docker save perry:small | docker -H "unix://$PDK/docker.sock" load >/dev/null
	export DOCKER_HOST=unix://$PDK/docker.sock
	engine_setup
}
teardown_file() {
	[ -e "$BATS_FILE_TMPDIR/pdk" ] && [ -z "${NOT_HERE:-}" ] || return 0
	# shellcheck disable=SC1091
	. "$BATS_FILE_TMPDIR/pdk"
	export DOCKER_HOST=unix://$PDK/docker.sock
	engine_teardown
	remove_networks
	"$BATS_TEST_DIRNAME/private_dockerd" stop "$PDK"
}
setup() {
	[ -z "${NOT_HERE:-}" ] || skip "$NOT_HERE"
	# shellcheck disable=SC1091
	. "$BATS_FILE_TMPDIR/pdk"
	export DOCKER_HOST=unix://$PDK/docker.sock
	engine_use
}
teardown() { second_stop; }

# Bridges outlive the engine that made them.
remove_networks() {
	local ids
	ids=$(docker network ls -q --filter label=perry.agent 2>/dev/null)
	# shellcheck disable=SC2086
	[ -z "$ids" ] || docker network rm $ids >/dev/null 2>&1 || true
}
engine() { "$BATS_TEST_DIRNAME/private_dockerd" "$1" "$PDK" 3>&-; }
health() { curl -s -m 5 "localhost:$PORT/health"; }
away() { [[ $(health) == *unreachable* ]]; }
back() { [[ $(health) != *unreachable* ]]; }

# A second agent: DIR2, PORT2, PID2. Arguments: environment. p2 talks to it.
second_start() {
	DIR2=${DIR2:-$(agent_dir engine)}
	PORT2=$(free_port)
	DIR=$DIR2 agent_config '"allowHostAccess": false'
	env PERRY_CONFIG_DIR="$DIR2" "$@" "$BUILD/perry-agent" agent run -p "$PORT2" -c "$DIR2" >>"$BATS_TEST_TMPDIR/second" 2>&1 3>&- &
	PID2=$!
	eventually 30 curl -sf -o /dev/null "localhost:$PORT2/health"
}
second_stop() {
	[ -n "${PID2:-}" ] || return 0
	local ws
	for ws in $(p2 list -q); do p2 delete -y "$ws" >/dev/null 2>&1 || true; done
	p2 prune >/dev/null 2>&1 || true
	kill "$PID2" 2>/dev/null || true
	wait "$PID2" 2>/dev/null || true
	if mountpoint -q "$DIR2"; then umount "$DIR2"; fi
	rm -rf "$DIR2"
	unset PID2 DIR2
}
p2() { PERRY_CONFIG_DIR=$DIR2 timeout 60 "$BUILD/perry" "$@"; }

@test "engine killed while start, logs and exec are under way: each ends soon, with an error that names the socket" {
	local -A pids
	p start web
	timeout 30 "$BUILD/perry" logs -f web >"$BATS_TEST_TMPDIR/logs" 2>&1 3>&- &
	pids[logs]=$!
	timeout 30 "$BUILD/perry" exec web -- sh -c 'while :; do echo x; sleep 0.1; done' >"$BATS_TEST_TMPDIR/exec" 2>&1 3>&- &
	pids[exec]=$!
	timeout 30 "$BUILD/perry" exec web -- sh -c 'sleep 60' >"$BATS_TEST_TMPDIR/quiet" 2>&1 3>&- &
	pids[quiet]=$!
	eventually 30 grep -q x "$BATS_TEST_TMPDIR/exec"
	timeout 30 "$BUILD/perry" start half >"$BATS_TEST_TMPDIR/start" 2>&1 3>&- &
	pids[start]=$!
	sleep 0.15
	engine kill
	local at=$SECONDS name rc
	for name in logs exec quiet start; do
		rc=0
		wait "${pids[$name]}" || rc=$?
		[ $rc = 1 ] || { echo "$name: exit $rc"; tail -2 "$BATS_TEST_TMPDIR/$name"; return 1; }
		tail -1 "$BATS_TEST_TMPDIR/$name" | grep -q "$PDK/docker.sock" || { tail -2 "$BATS_TEST_TMPDIR/$name"; return 1; }
	done
	[ $((SECONDS - at)) -le 10 ]
}

@test "engine away: the last states are listed and it is said, starts fail with what to do, health tells" {
	eventually 30 away
	run --separate-stderr p list
	[ "$status" = 0 ]
	[[ "$output" == *web*running* ]]
	# shellcheck disable=SC2154 # set by run
	[[ "$stderr" == *"engine is away"*"$PDK/docker.sock"* ]]
	run --separate-stderr p list --json
	jq -e '.[] | select(.name == "web")' <<<"$output" >/dev/null
	local command
	for command in "start web" "start new" "stop web" "exec web -- true" "logs web" "delete -y web" "shell web -- true"; do
		# shellcheck disable=SC2086
		run timeout 20 "$BUILD/perry" $command </dev/null
		[ "$status" = 1 ] || { echo "$command: $status $output"; return 1; }
		[[ "$output" == *"$PDK/docker.sock"*"start it"*DOCKER_HOST* ]] || { echo "$command: $output"; return 1; }
	done
	kill -0 "$PID"
}

@test "an agent started while the engine is away lives, and picks it up" {
	second_start
	[[ $(curl -s "localhost:$PORT2/health") == *unreachable* ]]
	run p2 start early
	[ "$status" = 1 ]
	[[ "$output" == *"$PDK/docker.sock"* ]]
	engine restart
	eventually 30 p2 start early
	[ "$(p2 exec early -- whoami)" = workspace ]
}

@test "engine back: the agent knows at once, and what ran runs again; what was half made is finished by start" {
	eventually 30 back
	eventually 30 status_is web running
	p exec web -- true
	refute status_is half ""
	refute status_is half creating
	p start half
	[ "$(p exec half -- whoami)" = workspace ]
	p delete -y half
	refute docker volume inspect workspace-half
}

@test "killed and restarted at once, with workspaces running: states are true within a second, and they come back" {
	p start one
	p stop one
	engine kill
	engine restart
	eventually 30 back
	local end=$((SECONDS + 20))
	until [ "$(status_of web)" = running ] && p exec web -- true 2>/dev/null; do
		[ $SECONDS -lt $end ]
		sleep 0.1
	done
	[ "$(docker inspect -f '{{.State.Running}}' workspace-web)" = true ]
	# What was stopped on purpose stays so.
	status_is one stopped
	p delete -y one
}

@test "two agents on one engine: each sees its own, and a name that the other has is refused with the way out" {
	second_start
	eventually 30 curl -sf -o /dev/null "localhost:$PORT2/health"
	p2 start mine
	[ "$(p2 list -q)" = mine ]
	refute grep -qx mine <(p list -q)
	run p2 start web
	[ "$status" = 6 ]
	[[ "$output" == *"container workspace-web belongs to another agent"*"another name"*"perry adopt --from $(agent_id) web"* ]]
	[ "$(p2 list -q)" = mine ]
	status_is web running
	p exec web -- true
	# The other agent's home outlives its workspace: not taken, not removed.
	p start kept
	p exec kept -- sh -c 'echo precious > ~/file'
	p delete -y --keep-home kept
	run p2 start kept
	[ "$status" = 6 ]
	[[ "$output" == *"volume workspace-kept belongs to another agent"*"perry adopt --from $(agent_id) kept"* ]]
	[ "$(p2 list -q)" = mine ]
	p2 prune
	p start kept
	[ "$(p exec kept -- cat file)" = precious ]
	p delete -y kept
}

@test "a volume of that name that nobody of ours made is refused, and stays" {
	docker volume create workspace-theirs >/dev/null
	run p start theirs
	[ "$status" = 6 ]
	[[ "$output" == *"volume workspace-theirs exists already"*"perry adopt theirs"* ]]
	[[ "$output" != *"volume rm"* ]]
	docker volume inspect workspace-theirs >/dev/null
	docker volume rm workspace-theirs >/dev/null
}

@test "disk full: operations fail and say so, the agent lives, and works when there is room" {
	DIR2=$(agent_dir engine)
	mount -t tmpfs -o size=3m,mode=700 tmpfs "$DIR2" || skip "nothing can be mounted here"
	second_start
	eventually 30 p2 start before
	dd if=/dev/zero of="$DIR2/fill" bs=4k 2>/dev/null || true
	# What the log has room for is used up, too, while commands go on failing.
	local i
	for i in 1 2 3; do
		run p2 start full
		[ "$status" = 1 ] || { echo "$status $output"; return 1; }
		[[ "${output,,}" == *disk*full*"$DIR2"* || "${output,,}" == *"no space left"* ]] || { echo "$output"; return 1; }
	done
	kill -0 "$PID2"
	[[ "$(p2 list -q)" == *before* ]]
	p2 exec before -- true
	run p2 stop before
	[ "$status" != 0 ]
	rm "$DIR2/fill"
	p2 start full
	[ "$(p2 exec full -- whoami)" = workspace ]
	p2 stop before
	p2 delete -y before full
	nothing p2 list -q
}

@test "an engine over TCP with TLS and client certificates" {
	local port
	port=$(cat "$PDK/port")
	second_start DOCKER_HOST="tcp://127.0.0.1:$port" DOCKER_TLS_VERIFY=1 DOCKER_CERT_PATH="$PDK/certs"
	eventually 30 p2 start secure
	[ "$(p2 list --json=name,status | jq -r '.[0].status')" = running ]
	[ "$(echo in | p2 exec secure -- cat)" = in ]
	run p2 exec secure -- sh -c 'exit 9'
	[ "$status" = 9 ]
	head -c 2000000 /dev/urandom >"$BATS_TEST_TMPDIR/in"
	p2 exec secure -- cat <"$BATS_TEST_TMPDIR/in" >"$BATS_TEST_TMPDIR/out"
	cmp "$BATS_TEST_TMPDIR/in" "$BATS_TEST_TMPDIR/out"
	[ "$(docker inspect -f '{{.State.Running}}' workspace-secure)" = true ]
	p2 stop secure
	p2 start secure
	p2 delete -y secure
	refute docker container inspect workspace-secure
}

@test "an engine over TLS without our certificate is a clear error" {
	second_start DOCKER_HOST="tcp://127.0.0.1:$(cat "$PDK/port")" DOCKER_TLS_VERIFY=1 DOCKER_CERT_PATH=/nonexistent || true
	run p2 start secure
	[ "$status" != 0 ]
	[[ "$output" == *nonexistent* || "$output" == *ertificate* || "$(cat "$BATS_TEST_TMPDIR/second")" == *nonexistent* ]]
}

# Descriptors, children and memory (KiB; what is its own, not the mapped pages of its database) of the agent.
descriptors() { find "/proc/$PID/fd" -mindepth 1 2>/dev/null | wc -l; }
children() { pgrep -P "$PID" | wc -l; }
memory() { awk '/^RssAnon/ {print $2}' "/proc/$PID/status"; }
round() {
	p start "leak$1"
	p delete -y "leak$1"
}

@test "thirty workspaces made and deleted and fifty commands later the agent is no bigger" {
	local i
	p start web
	for i in $(seq 8); do round "$i"; p exec web -- true; done # what is made once, is
	sleep 5
	local fds kids kib
	fds=$(descriptors) kids=$(children) kib=$(memory)
	for i in $(seq 30); do round "$i"; done
	for i in $(seq 50); do p exec web -- true; done
	# Idle connections to the engine are kept for the next call: a few more or fewer.
	same() { [ "$(descriptors)" -le $((fds + 8)) ] && [ "$(children)" -le "$kids" ]; }
	eventually 30 same || { echo "descriptors $fds -> $(descriptors), children $kids -> $(children)"; ls -l "/proc/$PID/fd"; return 1; }
	echo "own memory $kib -> $(memory) KiB, descriptors $fds -> $(descriptors)" >&3
	[ $(($(memory) - kib)) -lt 2048 ]
}
