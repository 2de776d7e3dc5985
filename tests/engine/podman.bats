#!/usr/bin/env bats
# The agent on Podman's Docker-compatible socket (packages: podman, section [podman] of packages.txt), with storage of its own.
bats_require_minimum_version 1.5.0
load helper

# bats 1.8 takes a skip in setup_file for a failure: each test skips instead.
not_here() { export NOT_HERE=$1; }

setup_file() {
	command -v podman >/dev/null || { not_here "no podman here (apt-get install podman)"; return; }
	[ "$(id -u)" = 0 ] || { not_here "networks and mounts of podman need root here"; return; }
	need_engine # the image comes from there
	POD=$(mktemp -d /tmp/perry-pod-XXXXXX)
	echo "POD=$POD" >"$BATS_FILE_TMPDIR/pod"
	# The default limits may be above what this machine may set; crun refuses hybrid cgroups.
	cat >"$POD/containers.conf" <<-C
		[containers]
		default_ulimits=["nofile=1024:1024","nproc=4096:4096"]
		[engine]
		runtime="runc"
	C
	export CONTAINERS_CONF=$POD/containers.conf
	setsid podman --root "$POD/root" --runroot "$POD/run" system service --time=0 "unix://$POD/podman.sock" >"$POD/log" 2>&1 </dev/null 3>&- &
	echo "POD_PID=$!" >>"$BATS_FILE_TMPDIR/pod"
	eventually 30 curl -sf -o /dev/null --unix-socket "$POD/podman.sock" http://podman/_ping || { not_here "podman does not serve here: $(tail -1 "$POD/log")"; return; }
	docker save perry:small | podman_here load >/dev/null
	podman_here tag localhost/perry:small perry:small
	if ! podman_here run --rm --network none perry:small true 2>"$POD/try"; then not_here "podman runs no container here: $(tail -1 "$POD/try")"; return; fi
	export DOCKER_HOST=unix://$POD/podman.sock
	engine_setup
}
teardown_file() {
	[ -e "$BATS_FILE_TMPDIR/pod" ] || return 0
	# shellcheck disable=SC1091
	. "$BATS_FILE_TMPDIR/pod"
	export CONTAINERS_CONF=$POD/containers.conf DOCKER_HOST=unix://$POD/podman.sock
	engine_teardown
	local net
	for net in $(podman_here network ls -q --filter label=perry.agent); do podman_here network rm -f "$net" >/dev/null; done
	kill "$POD_PID" 2>/dev/null || true
	for _ in $(seq 50); do kill -0 "$POD_PID" 2>/dev/null || break; sleep 0.1; done
	podman_here rm -fa >/dev/null 2>&1 || true
	grep -o " $POD/[^ ]*" /proc/mounts | sort -r | while read -r m; do umount -l "$m" 2>/dev/null || true; done
	rm -rf "$POD"
}
setup() {
	[ -z "${NOT_HERE:-}" ] || skip "$NOT_HERE"
	# shellcheck disable=SC1091
	. "$BATS_FILE_TMPDIR/pod"
	export CONTAINERS_CONF=$POD/containers.conf DOCKER_HOST=unix://$POD/podman.sock
	engine_use
}
podman_here() { podman --root "$POD/root" --runroot "$POD/run" "$@"; }
running() { [ "$(podman_here inspect -f '{{.State.Running}}' "workspace-$1")" = true ]; }

@test "start makes a workspace that is listed and runs" {
	p start pod
	status_is pod running
	running pod
	[ "$(p exec pod -- whoami)" = workspace ]
}

@test "exec passes input, output and exit code" {
	run p exec pod -- sh -c 'exit 7'
	[ "$status" = 7 ]
	[ "$(echo in | p exec pod -- cat)" = in ]
	head -c 1000000 /dev/urandom >"$BATS_TEST_TMPDIR/in"
	p exec pod -- cat <"$BATS_TEST_TMPDIR/in" >"$BATS_TEST_TMPDIR/out"
	cmp "$BATS_TEST_TMPDIR/in" "$BATS_TEST_TMPDIR/out"
}

@test "SSH answers on the port of this machine" {
	local port
	port=$(p list --json=ports | jq -r '.[0].ports.ssh')
	greets() { timeout 3 bash -c "exec 3<>/dev/tcp/127.0.0.1/$port; head -1 <&3" | grep -q ^SSH-2.0; }
	eventually 30 greets
}

@test "cp and logs work" {
	echo text >"$BATS_TEST_TMPDIR/file"
	p cp "$BATS_TEST_TMPDIR/file" pod:copied
	[ "$(p exec pod -- cat copied)" = text ]
	[[ "$(timeout 20 "$BUILD/perry" logs pod 2>&1)" == *perry* ]]
}

@test "stop and start again keep the home" {
	p exec pod -- sh -c 'echo kept > ~/file'
	p stop pod
	status_is pod stopped
	refute running pod
	p start pod
	[ "$(p exec pod -- cat file)" = kept ]
}

@test "a stop made behind our back is seen" {
	podman_here kill workspace-pod >/dev/null
	eventually 30 status_is pod stopped
	p start pod
	status_is pod running
}

@test "delete leaves nothing" {
	p delete -y pod
	nothing p list -q
	refute podman_here container exists workspace-pod
	refute podman_here volume exists workspace-pod
}
