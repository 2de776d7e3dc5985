#!/usr/bin/env bats
# Coming from the original Perry: its files in the shapes of its versions, its containers, running and stopped, and its volumes, as it made them (but for
# --privileged, which not every engine here can give). An agent starts there, and every home is in a container of ours after its first start.
load helper

# original NAME PORT [COMMAND]: a workspace as the original makes it, stopped; COMMAND fills its home. Prints the container's id.
original() {
	docker volume create "workspace-$1" >/dev/null
	docker volume create "workspace-$1-docker" >/dev/null
	docker run --rm -u 0 -v "workspace-$1:/home/workspace" --entrypoint /bin/sh perry:small -c \
		"cd /home/workspace; echo home of $1 >notes; mkdir -p .ssh; chown -R 1000:1000 .; ${3:-:}" >&2
	docker create --name "workspace-$1" --hostname "$1" --restart unless-stopped -e GITHUB_TOKEN=old -e WORKSPACE_REPO_URL= \
		-v "workspace-$1:/home/workspace:rw" -v "workspace-$1-docker:/var/lib/docker:rw" -p "$2:22/tcp" \
		--label "workspace.name=$1" --label workspace.managed=true --entrypoint sleep perry:small infinity
}
record() { # NAME STATUS ID PORT
	jq -n --arg n "$1" --arg s "$2" --arg i "$3" --argjson p "$4" '{($n): {name: $n, status: $s, containerId: $i,
		created: "2026-01-23T17:10:23.340Z", ports: {ssh: $p, forwards: [{host: 3000, container: 3000}]}, lastUsed: "2026-01-24T17:10:32.031Z"}}'
}

setup_file() {
	need_engine
	DIR=$(agent_dir engine)
	local base=$((30000 + RANDOM % 9000)) web old lost
	web=$(original web "$base")
	old=$(original old $((base + 1)) 'echo was=here >.profile')
	lost=$(original lost $((base + 2)))
	docker start workspace-web >/dev/null
	docker rm lost "$lost" >/dev/null 2>&1 || :
	{
		record web running "$web" "$base"
		record old stopped "$old" $((base + 1))
		record lost stopped "$lost" $((base + 2)) # its container was removed by hand
		record mid creating "" 0                  # it was killed in the middle
	} | jq -s '{workspaces: add}' >"$DIR/state.json"
	docker volume create workspace-mid >/dev/null
	# An early version's shapes: one script, members that are null, settings of agents, a name of 0.3.45's newest sibling.
	jq -n --arg range "$((base + 100))-$((base + 160))" --arg net "10.$((216 + RANDOM % 30)).0.0/22" --arg dir "$DIR" '{
		port: 0, image: "perry:small", sshPortRange: $range, networkRange: $net, credentials: {env: {FROM_OLD: "yes"}, files: null},
		scripts: {post_start: ($dir + "/x.sh")}, agents: {github: {}, claude_code: {model: "x"}, opencode: {zen_token: ""}}, skills: {},
		mcpServers: null, ssh: {autoAuthorizeHostKeys: true, global: {copy: null}, workspaces: {web: {copy: null}}}, allowHostAccess: null,
		host: "0.0.0.0", runtime: "docker", auth: null, terminal: {}, tailscale: {enabled: false, authKey: null}}' >"$DIR/config.json"
	printf '#!/bin/sh\necho ran >~/script-ran\n' >"$DIR/x.sh"
	chmod 755 "$DIR/x.sh"
	ENGINE=1 agent_start
	export PERRY_CONFIG_DIR=$DIR
	unset PERRY_AGENT PERRY_TOKEN
	engine_note
}
teardown_file() {
	engine_teardown
	docker ps -aq --filter label=workspace.managed=true | xargs -r docker rm -f >/dev/null
	docker volume ls -q --filter name='^workspace-(web|old|lost|mid|twin|early)' | xargs -r docker volume rm >/dev/null 2>&1 || :
}
setup() { engine_use; }

@test "the workspaces of the original are listed, and its running containers run on" {
	[ "$(p list -q | sort | tr '\n' ' ')" = "lost mid old web " ]
	status_is web stopped
	status_is old stopped
	status_is lost stopped
	[ "$(docker inspect -f '{{.State.Running}}' workspace-web)" = true ]
	[ "$(p list --json=name,ports | jq '.[] | select(.name == "mid") | .ports.ssh')" = 0 ]
}

@test "a clone of one that still runs in the original's container has its home, and that one goes on" {
	p clone web twin
	[ "$(p exec twin -- cat notes)" = "home of web" ]
	[ "$(docker inspect -f '{{.State.Status}}' workspace-web)" = running ]
	p delete -y twin
}

@test "the first start makes our container around the same home; the original's steps aside and stays" {
	local ws
	for ws in web old; do
		p start "$ws"
		[ "$(p exec "$ws" -- cat notes)" = "home of $ws" ]
		[ "$(p exec "$ws" -- cat script-ran)" = ran ]
		[ "$(p exec "$ws" -- sh -c 'echo $FROM_OLD')" = yes ]
		[ "$(docker inspect -f '{{index .Config.Labels "perry.agent"}} {{.HostConfig.Privileged}}' "workspace-$ws")" = "$(agent_id) false" ]
		[ "$(docker inspect -f '{{.State.Running}} {{.HostConfig.RestartPolicy.Name}}' "workspace-$ws.original")" = "false no" ]
		# Its port is what it was, for this machine only.
		[[ $(docker port "workspace-$ws" 22) == "127.0.0.1:$(jq -r ".workspaces.$ws.ports.ssh" "$DIR/state.json")" ]]
		[ "$(p ports "$ws" --json | jq -c '.forwards')" = '[{"host":3000,"container":3000}]' ]
	done
	[ "$(p exec old -- cat .profile)" = was=here ]
	# The folder that we keep there is its user's, not root's.
	[ "$(p exec web -- stat -c %U .perry)" = workspace ]
	p restart web
	[ "$(p exec web -- cat notes)" = "home of web" ]
}

@test "one whose container is gone, and one that was never made, start" {
	p start lost
	[ "$(p exec lost -- cat notes)" = "home of lost" ]
	p start mid
	p exec mid -- true
	# A port of 0 was none: the one that is published is shown.
	local port
	port=$(p list --json=name,ports | jq '.[] | select(.name == "mid") | .ports.ssh')
	[ "$port" -gt 0 ]
	[ "$(docker port workspace-mid 22)" = "127.0.0.1:$port" ]
	p delete -y mid
}

@test "a workspace that was taken over is deleted with the original's container and volumes" {
	p delete -y web
	refute docker inspect workspace-web
	refute docker inspect workspace-web.original
	refute docker volume inspect workspace-web
	refute docker volume inspect workspace-web-docker
	p delete -y old
	refute docker volume inspect workspace-old
}

@test "client.json of an early version names its agent as worker" {
	mkdir "$DIR/client"
	echo '{"worker": "box.example:7000"}' >"$DIR/client/client.json"
	[ "$(PERRY_CONFIG_DIR=$DIR/client p config show --json | jq -r .agent)" = box.example:7000 ]
	echo '{"worker": ""}' >"$DIR/client/client.json"
	[ "$(PERRY_CONFIG_DIR=$DIR/client p config show --json | jq -r .agent)" = null ]
}

@test "stop and delete of one that was never started with this agent reach the original's container" {
	original early 0 >/dev/null
	docker start workspace-early >/dev/null
	# Without a record its name is refused, and nothing is to be removed for it.
	run p start early
	[ "$status" = 6 ]
	[[ "$output" == *"perry adopt --from original early"* ]]
	[[ "$output" != *"rm"*workspace-early* ]]
	docker inspect workspace-early >/dev/null
	p adopt --from original early
	p stop early
	[ "$(docker inspect -f '{{.State.Running}}' workspace-early)" = false ]
	p delete -y early
	refute docker inspect workspace-early
	refute docker volume inspect workspace-early
}
