#!/usr/bin/env bats
# The auth key is nowhere but in config.json and, for as long as a join takes, in a file of root's on a tmpfs.
load join_agent

setup_file() { lab_file_setup join_setup; }
teardown_file() { join_teardown; }
setup() { join_use; }
teardown() { lab_resume_control || :; }

# Everything where the key could have come to lie, of one workspace: prints the places that have it. places NAME TEXT
places() {
	local c=workspace-$1 text=$2 id root image dir
	id=$(docker inspect -f '{{.Id}}' "$c") root=$(docker info -f '{{.DockerRootDir}}') image=$(docker inspect -f '{{.Image}}' "$c")
	at() { grep -qaF -- "$text" && echo "$1" || :; }
	docker inspect "$c" | at "docker inspect of the container"
	docker inspect "$image" | at "docker inspect of the image"
	docker logs "$c" 2>&1 | at "docker logs"
	docker exec "$c" sh -c 'cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null' | at "a command line or an environment inside"
	for dir in $(docker inspect -f '{{range $k, $v := .GraphDriver.Data}}{{$v}}{{"\n"}}{{end}}' "$c" | tr ':' '\n' | grep "^$root") "$root/containers/$id" \
		$(docker inspect -f '{{range .Mounts}}{{.Source}}{{"\n"}}{{end}}' "$c" | grep "^$root"); do
		grep -rqaF -- "$text" "$dir" 2>/dev/null && echo "on disk: $dir" || :
	done
	cat "$DIR"/state.db* | at "the agent's database"
	cat "$DIR/agent.log" "$DIR/stdout" "$DIR/stderr" | at "the agent's log"
	cat "/proc/$PID/cmdline" "/proc/$PID/environ" | tr '\0' '\n' | at "the agent's command line or environment"
	{
		p info "$1" --json
		p list --json
		p explain "$1"
		p explain "$1" --json
		p start "$1" --dry-run --json
		p agent config get tailscale
		p tailnet status --json
		p doctor
		curl -s --unix-socket "$DIR/agent.sock" 'http://localhost/rpc/workspaces/get' -X POST -d "{\"json\":{\"name\":\"$1\"}}"
		curl -s -m 1 --unix-socket "$DIR/agent.sock" 'http://localhost/events?since=0'
	} 2>&1 | at "what the agent answers"
}
# Processes of this machine: the agent, the engine, its shims. The grep, which is one of them, has the text from a file.
on_host() { cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\0' '\n' | grep -cF -f <(printf '%s\n' "$1") || :; }
clean() { # NAME TEXT
	local found
	found=$(places "$1" "$2")
	[ -z "$found" ] || { echo "the key is in: $found" >&2; return 1; }
}

@test "after a join, and after the container was made anew from its commit" {
	local key
	key=$(jq -r .authKey "$LAB/tailscale.json")
	p start "$N-s"
	connected "$N-s"
	clean "$N-s" "$key"
	# The places are looked at: what is there is found.
	docker exec "workspace-$N-s" sh -c 'echo canary-in-a-layer >/opt/canary; echo canary-on-a-volume >/home/workspace/canary'
	places "$N-s" canary-in-a-layer | grep -q 'on disk'
	places "$N-s" canary-on-a-volume | grep -q 'on disk'
	places "$N-s" "$N-s" | grep -q "docker inspect"
	places "$N-s" "connected as $N-s" | grep -q "docker logs"
	# Another spec: commit, new container, new image.
	mkdir -p "$DIR/hooks"
	echo 'return function(ws, base, plan) local s = base(); s.hosts = { "x:1.2.3.4" }; return s end' >"$DIR/hooks/container.lua"
	p restart "$N-s"
	rm "$DIR/hooks/container.lua"
	connected "$N-s"
	docker inspect -f '{{.Config.Image}}' "workspace-$N-s" | grep -q perry-kept
	clean "$N-s" "$key"
	[ "$(docker save "$(docker inspect -f '{{.Image}}' "workspace-$N-s")" | grep -caF -- "$key")" = 0 ]
	p delete -y "$N-s"
}

@test "while a join is under way, and after it failed" {
	local key
	key=$(lab_key)
	key "$key"
	config tailscale.joinTimeout 20
	lab_pause_control
	p start "$N-h" >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
	there() { [ "$(docker exec "workspace-$N-h" cat /run/perry/ts/authkey 2>/dev/null)" = "$key" ]; }
	lab_until 15 there || { lab_resume_control; return 1; }
	clean "$N-h" "$key" || { lab_resume_control; return 1; }
	[ "$(on_host "$key")" = 0 ]
	[ "$(docker exec "workspace-$N-h" stat -f -c %T /run/perry/ts/authkey)" = tmpfs ]
	refute docker exec -u workspace "workspace-$N-h" cat /run/perry/ts/authkey
	lab_resume_control
	wait $!
	refute docker exec "workspace-$N-h" test -e /run/perry/ts/authkey
	clean "$N-h" "$key"
	# One that control refuses.
	key hskey-auth-canary-canary-canary-canary
	p restart "$N-h"
	clean "$N-h" hskey-auth-canary-canary-canary-canary
	config tailscale.joinTimeout
	p delete -y "$N-h"
}

@test "an agent that is killed while a workspace joins leaves no key behind" {
	local key
	key=$(lab_key)
	key "$key"
	config tailscale.joinTimeout 8
	lab_pause_control
	p start "$N-k" >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
	there() { [ "$(docker exec "workspace-$N-k" cat /run/perry/ts/authkey 2>/dev/null)" = "$key" ]; }
	lab_until 15 there || { lab_resume_control; return 1; }
	kill -9 "$PID"
	lab_resume_control
	agent_again
	lab_until 40 connected "$N-k"
	refute docker exec "workspace-$N-k" test -e /run/perry/ts/authkey
	clean "$N-k" "$key"
	is "$N-k" .tailscale.hostname "$N-k"
	config tailscale.joinTimeout
	p delete -y "$N-k"
}
