#!/usr/bin/env bats
# A workspace's own device on the tailnet, and what code in it can make of the key that it was given: neither may use the agent.
load helper
load agent

nodes() {
	need_image
	lab_node agent "$(lab_key)"
	lab_node phone "$(lab_key)"
	CONFIG_MORE=$(printf ',"tailscale":{"authKey":"%s","loginServer":"%s"}' "$(lab_key --reusable)" "$LAB_URL") \
		agent_on agent PERRY_TAILSCALE_DIR="$LAB_BIN"
	lab_ip agent >"$LAB/agent.ip"
	lab_until 20 lab_in phone curl -sf -m 2 -o "$LAB/phone.health" http://agent:7391/health
	calls 200 phone http://agent
	sleep 61 # the clocks of the two may differ by a minute (core/tailscale/evidence.h): the phone is older than that
	own start "$(ws kernel)"
}
need_image() { docker image inspect perry:small >/dev/null; }
# Workspaces of this file: one engine for everybody.
ws() { echo "acc-${LAB_BRIDGE}-$1"; }
setup_file() { lab_file_setup nodes; }
setup() {
	lab_file_use
	agent_use
	IP=$(cat "$LAB/agent.ip")
}
teardown_file() {
	local name
	if agent_use && [ -n "${PID:-}" ]; then
		for name in $(own list -q); do own delete -y "$name" >/dev/null 2>&1 || true; done
		own prune >/dev/null 2>&1 || true
		agent_clean_up
	fi
	lab_file_teardown
}

# in_ws NAME [curl options] URL: CODE and BODY of a list asked from there.
in_ws() {
	local name=$1 out
	shift
	out=$(docker exec "workspace-$(ws "$name")" curl -s -m 15 -w '\n%{http_code}' -X POST -H 'Content-Type: application/json' -d '{}' "$@/rpc/workspaces/list") || true
	CODE=${out##*$'\n'}
	BODY=${out%$'\n'*}
}
refused_in() { # NAME TEXT [curl options] URL
	local text=$2
	in_ws "$1" "${@:3}"
	[ "$CODE" = 403 ] && [[ $BODY == *"$text"* ]] || { echo "wanted 403 $text, got $CODE $BODY"; return 1; }
}
workspace='workspaces may not use agents'
late='sign in on it once with the token'

@test "a workspace on kernel TUN: by address, through Serve, with forged headers, with the token" {
	own list --json | jq -e --arg n "$(ws kernel)" '.[] | select(.name == $n) | .tailscale.status == "connected"'
	lab_until 20 refused_in kernel "$workspace" "http://$IP:7391"
	refused_in kernel "$workspace" -H 'Host: agent.ws.test' "http://$IP"
	refused_in kernel "$workspace" -H 'Host: agent.ws.test' -H 'Tailscale-User-Login: owner@example.com' -H "X-Forwarded-For: $(lab_ip phone)" "http://$IP"
	refused_in kernel "$workspace" -H "Authorization: Bearer $TOKEN" "http://$IP:7391"
	in_ws kernel -H 'Tailscale-User-Login: owner@example.com' "http://$IP:7391"
	[ "$CODE" = 401 ]
}

@test "a second device, made in it with the key that it caught, is not the owner's" {
	local c
	c=workspace-$(ws kernel)
	docker exec -d "$c" /opt/perry/bin/tailscaled --tun=userspace-networking --statedir=/tmp/second --socket=/tmp/second.sock --socks5-server=127.0.0.1:1099 --no-logs-no-support
	lab_until 10 docker exec "$c" test -S /tmp/second.sock
	jq -r .tailscale.authKey "$DIR/config.json" | docker exec -i "$c" sh -c 'cat >/dev/shm/key'
	docker exec "$c" /opt/perry/bin/tailscale --socket=/tmp/second.sock up --login-server="$LAB_URL" --auth-key=file:/dev/shm/key --hostname=innocent --timeout=30s
	# It is a device of the owner's, as far as the tailnet knows.
	lab_node_named innocent | jq -e '.user.name == "owner"'
	lab_until 20 refused_in kernel "$late" --socks5-hostname 127.0.0.1:1099 "http://$IP:7391"
	refused_in kernel "$late" --socks5-hostname 127.0.0.1:1099 http://agent.ws.test
	# The owner's devices of before go on.
	calls 200 phone http://agent
}

@test "a workspace in userspace mode, through its proxy" {
	mkdir -p "$DIR/hooks"
	cat >"$DIR/hooks/container.lua" <<-'X'
		return function(ws, base)
		  local spec = base()
		  spec.devices, spec.capabilities = {}, {}
		  return spec
		end
	X
	own start "$(ws user)"
	rm "$DIR/hooks/container.lua"
	lab_until 20 refused_in user "$workspace" --socks5-hostname 127.0.0.1:1055 "http://$IP:7391"
	refused_in user "$workspace" --socks5-hostname 127.0.0.1:1055 -H 'Tailscale-User-Login: owner@example.com' http://agent.ws.test
}

@test "a deleted workspace's device that stayed behind is still none of the owner's" {
	own delete -y "$(ws user)"
	own start "$(ws gone)"
	docker exec "workspace-$(ws gone)" sh -c 'tar -C /var/lib/tailscale -c .' >"$LAB/stolen.tar"
	own delete -y "$(ws gone)"
	lab_host thief
	tar -C "$LAB/thief/state" -xf "$LAB/stolen.tar"
	lab_tailscaled thief
	# Logging out expired it; with the key it is the same device again.
	lab_join thief "$(jq -r .tailscale.authKey "$DIR/config.json")" --reset
	lab_until 20 calls 403 thief http://agent:7391
	calls 403 thief http://agent
	[[ $BODY == *"$workspace"* ]] || [[ $BODY == *"$late"* ]]
	calls 200 phone http://agent
}
