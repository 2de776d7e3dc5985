#!/usr/bin/env bats
# A deleted workspace leaves the tailnet, whatever it was doing and whatever became of the agent and of the control server. Real Headscale.
load helper
load leave_agent

setup_file() { lab_file_setup leave_agent; }
teardown_file() {
	engine_teardown
	lab_file_teardown
}
setup() {
	lab_file_use
	engine_use
}
teardown() {
	[ -e "$BATS_FILE_TMPDIR/no-lab" ] || lab_node_named phone >/dev/null
}
@test "running: the control server sees it go with the delete" {
	p start run
	joined run
	p delete -y run
	lab_until 30 gone run
	nothing_pending
}

@test "stopped: it is removed by the API" {
	p start stopped
	joined stopped
	p stop stopped
	joined stopped
	p delete -y stopped
	gone stopped
}

@test "crashed, removed by force, removed with its volumes: it goes when the workspace is deleted" {
	local how
	for how in kill rm volumes; do
		p start "f-$how"
		joined "f-$how"
		case $how in
		kill) docker kill "workspace-f-$how" >/dev/null ;;
		rm) docker rm -f "workspace-f-$how" >/dev/null ;;
		volumes)
			docker rm -f "workspace-f-$how" >/dev/null
			docker volume rm -f "workspace-f-$how-tailscale" >/dev/null
			;;
		esac
		p delete -y "f-$how"
		gone "f-$how"
		refute docker volume inspect "workspace-f-$how-tailscale"
	done
	nothing_pending
}

@test "the control server is silent: delete does not wait for it and says so; when it answers again the device goes" {
	p start silent
	joined silent
	lab_pause_control
	local from
	from=$(now_ms)
	run p delete -y silent
	echo "# delete took $(($(now_ms) - from)) ms" >&3
	echo "$output"
	[ "$status" = 0 ]
	[ $(($(now_ms) - from)) -lt 15000 ]
	[[ $output == *"silent: its device silent is still on the tailnet"* ]]
	refute docker container inspect workspace-silent
	[[ $(pending) == "leaving silent" ]]
	# Nor does anybody else who looks.
	p tailnet >/dev/null
	sleep 12
	[[ $(pending) == "leaving silent" ]]
	lab_resume_control
	from=$SECONDS
	lab_until 60 gone silent
	echo "# gone $((SECONDS - from)) s after control was back" >&3
	eventually 30 nothing_pending
}

@test "deleted while the control server was silent and made again at once: it has its name" {
	p start again
	lab_pause_control
	p delete -y again
	lab_resume_control
	p start again
	lab_until 60 nothing_pending
	own_name() { [ "$(p info again --json | jq -r .tailscale.hostname)" = again ] && joined again && ! names | grep -q '^again-'; }
	eventually 30 own_name
	p delete -y again
	gone again
}

@test "the control server is away, and the agent is killed meanwhile" {
	p start away
	joined away
	lab_stop_control
	p delete -y away
	[[ $(pending) == "leaving away" ]]
	agent_killed_and_back
	[[ $(pending) == "leaving away" ]]
	[[ $(p tailnet) == *"leaving"*"away"* ]]
	sleep 5
	lab_start_control
	lab_until 60 gone away
	eventually 30 nothing_pending
}

@test "deleted while it joins, with a control server that answers later: no device comes of it" {
	lab_pause_control
	p start --no-wait early
	eventually 30 docker container inspect workspace-early
	sleep 3
	p delete -y early
	lab_resume_control
	sleep 5
	gone early
	eventually 60 nothing_pending
	gone early
}

@test "deregister says keep: device and state stay, prune leaves them alone, a new workspace of that name resumes it" {
	local id
	mkdir -p "$DIR/hooks"
	printf 'return function(ws, base)\n  return ws.name == "pet" and "keep" or base()\nend\n' >"$DIR/hooks/deregister.lua"
	p start pet
	id=$(node_id pet)
	p delete -y pet
	joined pet
	[[ $(pending) == "kept pet" ]]
	p tailnet prune
	refute grep -q 'volume.*workspace-pet-tailscale' <(p prune --dry-run 2>/dev/null)
	joined pet
	docker volume inspect workspace-pet-tailscale >/dev/null
	p start pet
	[ "$(node_id pet)" = "$id" ]
	nothing_pending
	p delete -y pet
	[ "$(node_id pet)" = "$id" ]
	p start pet
	rm "$DIR/hooks/deregister.lua"
	p delete -y pet
	gone pet
	refute docker volume inspect workspace-pet-tailscale
}

@test "a persistent key and no credential: left behind, with its name, until there is a credential" {
	local key
	key=$(lab_key --reusable)
	with_key "$key"
	p start stays
	joined stays
	[[ $(p tailnet 2>&1) == *"if this key is not ephemeral"* ]]
	run p delete -y stays
	echo "$output"
	[[ $output == *"its device stays stays on the tailnet: "*"no API credential"* ]]
	joined stays
	[ "$(lab_node_named stays | jq -r .expiry)" != null ] # that much a logout does
	[[ $(pending) == "left-behind stays" ]]
	p tailnet prune
	[[ $(pending) == "left-behind stays" ]]
	[[ $(p tailnet) == *left-behind*stays* ]]
	# One that is stopped is started once, without its services, to log out.
	p start idle
	p stop idle
	p delete -y idle
	[ "$(lab_node_named idle | jq -r .expiry)" != null ]
	nothing docker ps -aq --filter "label=perry.helper" --filter "label=perry.agent=$(agent_id)"
	with_credential
	[[ $(p tailnet prune) == *removed*stays* ]]
	gone stays
	gone idle
	nothing_pending
	refute grep -rqF "$key" "$DIR/agent.log" "$DIR/stderr" "$DIR/stdout"
}

@test "a logout that failed, and no credential: it is tried again until it is done, by an agent that was killed, too" {
	with_key "$(lab_key --reusable)"
	p start later
	joined later
	lab_pause_control
	run p delete -y later
	echo "$output"
	[ "$status" = 0 ]
	[[ $output == *"later: its device later is still on the tailnet"*"goes on trying"* ]]
	[[ $(pending) == "leaving later" ]]
	agent_killed_and_back
	p prune >/dev/null
	docker volume inspect workspace-later-tailscale >/dev/null
	lab_resume_control
	expires() { [ "$(lab_node_named later | jq -r .expiry)" != null ]; }
	eventually 60 expires
	left() { [[ $(pending) == "left-behind later" ]]; }
	eventually 30 left
	refute docker volume inspect workspace-later-tailscale
	nothing docker ps -aq --filter "label=perry.helper" --filter "label=perry.agent=$(agent_id)"
	# Nor does one that somebody knows to be gone wait for ever.
	p start known
	lab_pause_control
	p delete -y known
	[[ $(pending) == *"leaving known"* ]]
	p tailnet prune --forget
	nothing_pending
	refute docker volume inspect workspace-known-tailscale
	lab_resume_control
	# What is forgotten is the owner's to remove.
	for name in later known; do lab_api DELETE "/api/v1/node/$(node_id $name)" >/dev/null; done
	with_credential
}

@test "a logout that failed, and a new workspace of that name: it has the device" {
	local id
	with_key "$(lab_key --reusable)"
	configure '.tailscale.joinTimeout = 5'
	p start heir
	id=$(node_id heir)
	lab_pause_control
	p delete -y heir
	[[ $(pending) == "leaving heir" ]]
	p start heir
	lab_resume_control
	p start heir
	own_device() { [ "$(p info heir --json | jq -r '.tailscale | select(.status == "connected") | .hostname')" = heir ] && nothing_pending; }
	eventually 30 own_device
	[ "$(node_id heir)" = "$id" ]
	with_credential
	p delete -y heir
	gone heir
}

@test "a join that never reached the control server left no device" {
	with_key "$(lab_key --reusable)"
	configure '.tailscale.joinTimeout = 5'
	lab_stop_control
	p start never
	p start never-stopped
	p stop never-stopped
	run p delete -y never
	echo "$output"
	[ "$status" = 0 ]
	[[ $output != *"tailnet"* ]]
	run p delete -y never-stopped
	echo "$output"
	[[ $output != *"tailnet"* ]]
	nothing_pending
	lab_start_control
	with_credential
}

@test "the agent is killed while a stopped workspace logs out: its helper goes, the delete is finished" {
	with_key "$(lab_key --reusable)"
	p start asleep
	p stop asleep
	p delete -y --no-wait asleep
	helper() { [ -n "$(docker ps -aq --filter name=perry-leave- --filter "label=perry.agent=$(agent_id)")" ]; }
	eventually 30 helper
	agent_killed_and_back
	asleep_unknown() { refute grep -qx asleep <(p list -q); }
	eventually 30 asleep_unknown
	[[ $(pending) == "left-behind asleep" ]]
	refute helper
	refute docker volume inspect workspace-asleep-tailscale
	with_credential
	p tailnet prune
	gone asleep
}

@test "a pasted key and no credential: whether its device is gone nobody can tell, so it is listed" {
	with_key "$(lab_key --reusable --ephemeral)"
	p start eph
	joined eph
	run p delete -y eph
	[ "$status" = 0 ]
	gone eph
	[[ $(pending) == "left-behind eph" ]]
	p tailnet prune --forget
	nothing_pending
	with_credential
}

@test "a device that was left behind and removed by hand is off the list once there is a credential" {
	with_key "$(lab_key --reusable)"
	p start byhand
	p delete -y byhand
	[[ $(pending) == "left-behind byhand" ]]
	lab_api DELETE "/api/v1/node/$(node_id byhand)" >/dev/null
	p tailnet prune
	[[ $(pending) == "left-behind byhand" ]]
	with_credential
	off_the_list() { p tailnet prune >/dev/null && nothing_pending; }
	eventually 10 off_the_list
}

@test "devices, and a prune that may run at any time" {
	p start here
	[ "$(p tailnet devices --json | jq -r '.[] | select(.workspace == "here") | "\(.state) \(.online) \(.ephemeral)"')" = "joined true true" ]
	p tailnet prune
	joined here
	[ "$(p tailnet prune --dry-run --json | jq '.removed | length')" = 0 ]
	p delete -y here
	gone here
	run names
	echo "$output"
	[ "$output" = phone ]
}
