#!/usr/bin/env bats
# limits in config.json, on real workspaces: each refusal has exit code 7, the reason, and file and line of the hook.
load helper

setup_file() {
	engine_setup
	p start one
	# a home of 3 MiB
	p exec one -- dd if=/dev/zero of=/home/workspace/big bs=1M count=3 2>/dev/null
}
teardown_file() { engine_teardown; }
setup() { engine_use; }
teardown() {
	local key
	for key in workspaces perUser cpus memory pids disk; do p agent config unset "limits.$key" >/dev/null 2>&1 || true; done
	for key in two three four five; do p delete -y "$key" >/dev/null 2>&1 || true; done
}
limit() { p agent config set "limits.$1" "$2"; }
# What was refused left nothing behind.
refused() {
	[ "$status" = 7 ]
	[[ "$output" == *"$1"* ]]
	[[ "$output" == *"built-in/$2.lua:"[0-9]* ]]
	refute docker volume inspect workspace-two
	refute docker container inspect workspace-two
	p list -q >"$BATS_TEST_TMPDIR/list"
	refute grep -qx two "$BATS_TEST_TMPDIR/list"
}

@test "workspaces in all" {
	limit workspaces 1
	run p start two
	refused "limits.workspaces is 1, and there are as many already" admit
	run p clone one two
	refused limits.workspaces admit
	# what exists goes on
	p restart one
	limit workspaces 2
	p start two
}

@test "workspaces of one user" {
	limit perUser 1
	run p start two
	refused "limits.perUser is 1, and you have as many already" admit
}

@test "a limit of three holds for four creations at once" {
	limit workspaces 3
	local pids=() name ok=0 no=0
	for name in two three four five; do
		p start "$name" >/dev/null 2>"$DIR/$name.err" 3>&- &
		pids+=($!)
	done
	for name in "${pids[@]}"; do
		if wait "$name"; then ok=$((ok + 1)); else no=$((no + 1)); fi
	done
	[ "$ok $no" = "2 2" ]
	[ "$(p list -q | wc -l)" = 3 ]
	grep -l limits.workspaces "$DIR"/*.err | wc -l | grep -qx 2
	# and those leave nothing behind
	[ "$(docker ps -aq --filter "label=perry.agent=$(agent_id)" --filter name=workspace- | wc -l)" = 3 ]
}

@test "CPUs" {
	limit cpus 1.5
	run p start two --cpus 2
	refused "limits.cpus allows at most 1.5" review
	p start two
	[ "$(docker inspect -f '{{.HostConfig.NanoCpus}}' workspace-two)" = 1500000000 ]
}

@test "memory, also when a hook takes the limit away" {
	limit memory 256MiB
	run p start two -m 300MiB
	refused "limits.memory allows at most 256MiB" review
	mkdir -p "$DIR/hooks"
	printf 'return function(ws, base)\n  local s = base()\n  s.memory = nil\n  return s\nend\n' >"$DIR/hooks/container.lua"
	run p start two
	rm "$DIR/hooks/container.lua"
	refused "limits.memory allows at most 256MiB" review
	p start two -m 200MiB
	[ "$(docker inspect -f '{{.HostConfig.Memory}}' workspace-two)" = $((200 << 20)) ]
}

@test "disk that the homes take" {
	limit disk 2MiB
	run p start two
	refused "(limits.disk is 2MiB)" admit
	run p clone one two
	refused limits.disk admit
	p restart one
	limit disk 1GiB
	p start two
}

@test "start --dry-run is refused alike" {
	limit workspaces 1
	run p start two --dry-run
	refused limits.workspaces admit
}

@test "what nobody limits is limited by the machine's size, and raw packets need a capability" {
	local memory most pids
	read -r memory most pids < <(docker inspect -f '{{.HostConfig.Memory}} {{.HostConfig.PidsLimit}}' workspace-one | sed "s/^/$(docker info -f '{{.MemTotal}}') /")
	[ "$most" = $((memory * 3 / 4 >> 30 << 30)) ] # whole GiB of three quarters
	[ "$pids" -ge 4096 ]
	[ "$(docker inspect -f '{{.HostConfig.CapDrop}}' workspace-one)" != '[]' ]
	# cap_net_raw is the 13th
	bounding() { p exec "$1" -- sed -n 's/^CapBnd:[[:space:]]*//p' /proc/1/status; }
	[ $((0x$(bounding one) >> 13 & 1)) = 0 ]
	mkdir -p -m 700 "$DIR/hooks"
	printf 'return function(ws, prev)\n  local spec = prev()\n  table.insert(spec.capabilities, "NET_RAW")\n  return spec\nend\n' >"$DIR/hooks/container.lua"
	run p start two
	rm "$DIR/hooks/container.lua"
	[ "$status" = 0 ]
	[ $((0x$(bounding two) >> 13 & 1)) = 1 ]
}

@test "info shows what a workspace may take, and what config.json limits" {
	local memory pids
	read -r memory pids < <(docker inspect -f '{{.HostConfig.Memory}} {{.HostConfig.PidsLimit}}' workspace-one)
	[ "$(p info one --json | jq -c '[.limits.memory, .limits.pids, .limits.cpus]')" = "[$memory,$pids,null]" ]
	run p info one
	[[ $output == *"limits.memory"*" $((memory >> 30)) GiB"*"limits.cpus"*" none"*"limits.pids"*" $pids"* ]]
	[ "$(p info --json | jq .limits)" = null ]
	limit memory 256MiB
	limit disk 1GiB
	p start two --cpus 1.5
	[ "$(p info two --json | jq -c '[.limits.memory, .limits.cpus]')" = "[$((256 << 20)),1.5]" ]
	run p info two
	[[ $output == *"limits.memory"*" 256 MiB"*"limits.cpus"*" 1.5"* ]]
	[ "$(p info --json | jq -c '.limits | [.memory, .disk]')" = '["256MiB","1GiB"]' ]
	run p info
	[[ $output == *"Limits:"*"memory 256MiB"* && $output == *" disk 1GiB"* ]]
	run p doctor
	[[ $output == *"limits "*"each workspace has one of memory and of processes"* ]]
	mkdir -p -m 700 "$DIR/hooks"
	printf 'return function(ws, prev)\n  local spec = prev()\n  spec.pids = nil\n  return spec\nend\n' >"$DIR/hooks/container.lua"
	p agent config unset limits.memory
	p start three
	rm "$DIR/hooks/container.lua"
	run p info three
	[[ $output == *"limits.pids"*" none"* ]]
	run p doctor
	[[ $output == *"limits "*"no limit of memory or of processes, so the machine's all: three (perry restart"* ]]
}

@test "more processes than limits.pids there are not" {
	limit pids 64
	p start two
	run p exec two -- bash -c 'for _ in $(seq 300); do sleep 300 & done; wait'
	[[ $output == *"Resource temporarily unavailable"* ]]
}
