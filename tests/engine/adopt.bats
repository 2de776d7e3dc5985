#!/usr/bin/env bats
# The record is gone: perry adopt finds the workspaces again by what is on the engine, and destroys nothing.
load helper

setup_file() { engine_setup; }
teardown_file() {
	local id
	engine_teardown
	for id in "${BATS_FILE_TMPDIR:?}"/id-*; do
		[ -s "$id" ] || continue
		docker ps -aq --filter "label=perry.agent=$(cat "$id")" | xargs -r docker rm -f >/dev/null
		docker volume ls -q --filter "label=perry.agent=$(cat "$id")" | xargs -r docker volume rm -f >/dev/null
		agent_networks_gone "$(cat "$id")"
	done
}
setup() { engine_use; }

# The database goes, the folder stays.
lose_record() {
	agent_end KILL
	rm -f "$DIR"/state.db*
	agent_again
}
marked() { p exec "$1" -- sh -c 'echo home of $0 >~/notes; sudo sh -c "echo installed >/opt/installed"' "$1"; }
containers() { docker inspect -f '{{.Id}}' "$@"; }

@test "all workspaces of a lost record come back as they were: running, stopped, and a home without a container" {
	local ws before port
	agent_id >"$BATS_FILE_TMPDIR/id-1"
	for ws in web idle bare; do p start "$ws" -l team=a && marked "$ws"; done
	port=$(p list --json=name,ports | jq '.[] | select(.name == "web") | .ports.ssh')
	p stop idle
	p stop bare
	docker rm workspace-bare >/dev/null
	before=$(containers workspace-web workspace-idle)
	lose_record
	[ "$(agent_id)" = "$(cat "$BATS_FILE_TMPDIR/id-1")" ]
	nothing p list -q
	# Everything that says something of it leads there, and nothing removes it.
	run p doctor
	[[ "$output" == *"bare, idle, web"*"perry adopt"* ]]
	p prune 2>"$DIR/said"
	grep -q "perry adopt web" "$DIR/said"
	run p start web
	[ "$status" = 6 ]
	[[ "$output" == *"perry adopt web"* ]]
	[ "$(p adopt --dry-run --json | jq -c '[.adopted[] | [.name, .kind]]')" = '[["bare","home"],["idle","container"],["web","container"]]' ]
	nothing p list -q
	[ "$(p adopt web | cut -f1)" = web ]
	[ "$(p list -q)" = web ]
	p adopt
	[ "$(p list -q | sort | tr '\n' ' ')" = "bare idle web " ]
	[ "$(containers workspace-web workspace-idle)" = "$before" ]
	status_is web running
	status_is idle stopped
	status_is bare stopped
	[ "$(p exec web -- cat notes)" = "home of web" ]
	[ "$(p list --json=name,ports | jq '.[] | select(.name == "web") | .ports.ssh')" = "$port" ]
	for ws in web idle bare; do
		p start "$ws"
		[ "$(p exec "$ws" -- cat notes)" = "home of $ws" ]
	done
	[ "$(p exec web -- cat /opt/installed)" = installed ]
	[ "$(p exec idle -- cat /opt/installed)" = installed ]
	[ "$(p adopt --json | jq -c .adopted)" = '[]' ]
	p restart web
	[ "$(p exec web -- cat notes)" = "home of web" ]
	p delete -y bare
	refute docker volume inspect workspace-bare
}

@test "doctor --fix adopts" {
	lose_record
	p doctor --fix >"$DIR/said" || :
	grep -q "adopted: idle, web" "$DIR/said"
	[ "$(p list -q | sort | tr '\n' ' ')" = "idle web " ]
	run p adopt nothing-of-that-name
	[ "$status" = 5 ]
}

@test "what another agent left is taken only when that agent is named, and never from one that lives" {
	local id first=$DIR
	id=$(agent_id)
	docker volume create --label "perry.agent=$id" --label perry.workspace=web workspace-web-tailscale >/dev/null
	# A second agent, of another folder.
	unset PORT
	DIR=$(agent_dir engine)
	agent_config
	ENGINE=1 agent_start
	agent_id >"$BATS_FILE_TMPDIR/id-2"
	export PERRY_CONFIG_DIR=$DIR
	[ "$(p adopt --json | jq -c .adopted)" = '[]' ]
	p adopt --json | jq -e --arg id "$id" '.others[] | select(.agent == $id) | .alive == true and (.names | index("web"))'
	run p adopt --from "$id"
	[ "$status" = 6 ]
	[[ "$output" == *"lives"* ]]
	nothing p list -q
	# The first one ends for good, its folder with it.
	local second=$DIR
	DIR=$first agent_end
	DIR=$second
	rm -rf "$first"
	nothing p adopt
	nothing p list -q
	run p start web
	[ "$status" = 6 ]
	[[ "$output" == *"perry adopt --from $id web"* ]]
	p adopt --from "$id"
	[ "$(p list -q | sort | tr '\n' ' ')" = "idle web " ]
	p start web
	[ "$(p exec web -- cat notes)" = "home of web" ]
	[ "$(p exec web -- cat /opt/installed)" = installed ]
	[ "$(docker inspect -f '{{index .Config.Labels "perry.agent"}}' workspace-web)" = "$(agent_id)" ]
	p delete -y web
	refute docker inspect workspace-web
	refute docker volume inspect workspace-web
	refute docker volume inspect workspace-web-tailscale
	p delete -y idle
	refute docker volume inspect workspace-idle
	engine_note
}

@test "no spare network is left by agents that ended: of one without workspaces at its end, of one that was killed at another's start" {
	local id first=$DIR
	unset PORT
	DIR=$(agent_dir engine)
	agent_config
	ENGINE=1 agent_start
	id=$(agent_id)
	echo "$id" >"$BATS_FILE_TMPDIR/id-3"
	spare() { [ "$(docker network ls -q --filter "label=perry.agent=$id" | wc -l)" = 1 ]; }
	gone() { nothing docker network ls -q --filter "label=perry.agent=$id" 2>/dev/null; }
	eventually 30 spare
	agent_end
	gone
	ENGINE=1 agent_start
	eventually 30 spare
	agent_end KILL
	spare
	rm -rf "$DIR"
	. "$BATS_FILE_TMPDIR/agent"
	agent_end
	agent_again
	eventually 30 gone
}

@test "orphaned networks go after a delete, too" {
	local id
	id=$(agent_id)
	p start one
	docker network create --label "perry.agent=$id" "perry-net-${id:0:8}-00ff" >/dev/null
	p delete -y one
	gone() { nothing docker network ls -q --filter "name=perry-net-${id:0:8}-00ff" 2>/dev/null; }
	eventually 30 gone
}
