#!/usr/bin/env bats
# Many at once: no name, port or network twice; nothing left afterwards.
load helper

setup_file() { engine_setup; }
teardown_file() { engine_teardown; }
setup() { engine_use; }

@test "twenty concurrent starts of different workspaces all succeed, and nothing is left after their deletes" {
	local i pids=()
	for i in $(seq 20); do
		p start "n$i" >"$BATS_TEST_TMPDIR/$i" 2>&1 &
		pids+=($!)
	done
	for i in "${pids[@]}"; do wait "$i"; done
	[ "$(p list -q | wc -l)" = 20 ]
	[ "$(p list --json=ports | jq -r '.[].ports.ssh' | sort -u | wc -l)" = 20 ]
	[ "$(p list --json=status | jq -r '.[].status' | sort -u)" = running ]
	[ "$(docker ps --format '{{.Networks}}' --filter name=^workspace-n | sort -u | wc -l)" = 20 ]
	# shellcheck disable=SC2046
	p delete -y $(p list -q)
	nothing docker ps -aq --filter name=^workspace-n
	nothing docker volume ls -q --filter name=^workspace-n
	nothing p list -q
}

@test "a full port range is a clear error that names the key" {
	p agent config set sshPortRange "39990-39991"
	sleep 0.3
	p start a1
	p start a2
	run p start a3
	[ "$status" != 0 ]
	[[ "$output" == *sshPortRange* ]]
	refute docker container inspect workspace-a3
	p delete -y a1 a2
}

@test "a port taken while its workspace was stopped does not stop its start" {
	p agent config set sshPortRange "39980-39989"
	sleep 0.3
	p start b1
	p stop b1
	p start b2
	p start b1
	[ "$(p list --json=ports | jq -r '.[].ports.ssh' | sort -u | wc -l)" = 2 ]
	p delete -y b1 b2
}
