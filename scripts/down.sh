#!/usr/bin/env bash
# make down: undoes make up. Asks before it deletes the data of the workspace hello (-y: yes), and keeps all other workspaces' data, saying so.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/common.bash
. scripts/common.bash
yes=
[ "${1:-}" != -y ] || yes=1
need_root "$@"
find_owner
kept=()
remember=() # notes that a later "make down" still needs

noted() { grep -q "^$1\b" "$PERRY_STATE" 2>/dev/null; }
docker_works() { command -v docker >/dev/null && timeout 10 docker version >/dev/null 2>&1; }
# The id that the agent's containers, networks and volumes carry as a label.
agent_id() {
	local sock=$config_dir/agent.sock v
	for v in "${owner_env[@]}"; do
		[[ $v != XDG_RUNTIME_DIR=* ]] || [ ! -S "${v#*=}/perry/agent.sock" ] || sock=${v#*=}/perry/agent.sock
	done
	as_owner curl -s -m 10 --unix-socket "$sock" http://localhost/metrics | sed -n 's/^perry_info{.*agent="\([0-9a-f]*\)".*/\1/p'
}
workspaces() { as_owner timeout 20 "$PERRY" list -q 2>/dev/null; }

others='' id=''
if [ -x "$PERRY" ] && as_owner timeout 10 "$PERRY" agent status >/dev/null 2>&1; then
	if workspaces | grep -qx hello; then
		if [ -z "$yes" ] && [ -t 0 ]; then
			read -r -p "Delete the workspace hello with all its files? [y/N] " answer
			[[ $answer != [yY]* ]] || yes=1
		fi
		if [ -n "$yes" ]; then
			say "deleting the workspace hello"
			as_owner timeout 120 "$PERRY" delete -y hello </dev/null || fail "perry delete hello"
		fi
	fi
	others=$(workspaces || :)
	for name in $others; do
		say "stopping the workspace $name"
		as_owner timeout 120 "$PERRY" stop "$name" </dev/null || :
		hint="\"make up\" and \"perry start $name\" bring it back"
		[ "$name" != hello ] || hint="\"make up\" brings it back, \"make down YES=1\" deletes it"
		kept+=("the workspace $name: its container and volumes stay; $hint")
	done
	# What belongs to no workspace (the spare network, the tools volume) goes with the last of them.
	[ -n "$others" ] || as_owner timeout 60 "$PERRY" prune >/dev/null 2>&1 </dev/null || :
	id=$(agent_id || :)
	say "stopping the agent"
	if [ -d /run/systemd/system ]; then
		systemctl --machine="$owner@.host" --user disable -q --now perry.service 2>/dev/null || :
	fi
	if agent_pid >/dev/null; then
		as_owner timeout 30 "$PERRY" agent kill >/dev/null || fail "the agent (pid $(agent_pid)) does not end"
	fi
elif [ -d "$config_dir" ] && ! docker_works; then
	kept+=("workspaces, if there are any: neither an agent nor a Docker Engine answers that could tell")
fi
if docker_works; then
	# The network that was kept ready for the next workspace.
	[ -z "$id" ] || [ -n "$others" ] || docker network ls -q --filter "label=perry.agent=$id" | xargs -r docker network rm >/dev/null 2>&1 || :
	if [ -z "$others" ]; then
		for id in $(docker ps -aq --filter label=perry.workspace); do
			kept+=("the container $(docker inspect -f '{{.Name}}' "$id"), of another agent or left behind")
		done
		[ ${#kept[@]} -gt 0 ] || docker volume ls -q --filter name=perry-tools- | xargs -r docker volume rm >/dev/null 2>&1 || :
	fi
	for ref in perry:latest perry:small debian:bookworm; do
		if ! noted "image $ref" || ! docker image inspect "$ref" >/dev/null 2>&1; then
			continue
		fi
		if [ -z "$(docker ps -aq --filter "ancestor=$ref")" ] && docker image rm "$ref" >/dev/null 2>&1; then
			say "removed the image $ref"
		else
			kept+=("the image $ref: it is in use")
			remember+=("image $ref")
		fi
	done
	! docker image inspect perry:full >/dev/null 2>&1 || kept+=("the image perry:full")
else
	mapfile -t remember < <(grep '^image ' "$PERRY_STATE" 2>/dev/null)
fi
if noted "prefix $PREFIX"; then
	quietly "removing the installation" make -s PREFIX="$PREFIX" uninstall || fail "removing the installation"
	say "removed what was installed below $PREFIX"
fi
if noted engine && docker_works; then
	pidfile=$(sed -n 's/^engine //p' "$PERRY_STATE")
	if [ -n "$(docker ps -q)" ]; then
		kept+=("the Docker Engine: containers run on it")
	elif pid=$(cat "$pidfile" 2>/dev/null) && grep -q dockerd "/proc/$pid/comm" 2>/dev/null; then
		kill "$pid"
		timeout 30 tail --pid="$pid" -f /dev/null || :
		say "stopped the Docker Engine that make up had started"
	fi
fi
if noted group; then
	read -r _ group user < <(grep '^group ' "$PERRY_STATE")
	gpasswd -d "$user" "$group" >/dev/null 2>&1 && say "took $user out of the group $group"
fi
noted package && kept+=("the package docker.io and all other packages: apt-get remove docker.io")
[ ! -d "$config_dir" ] || kept+=("configuration, hooks and state in $config_dir")
if [ ${#remember[@]} -gt 0 ]; then
	printf '%s\n' "${remember[@]}" >"$PERRY_STATE"
else
	rm -f "$PERRY_STATE"
fi
say "done"
for line in "${kept[@]+"${kept[@]}"}"; do
	echo "  kept: $line"
done
