#!/usr/bin/env bats
# perry-step's part in "all ports by the name": watch hears the workspace's own tailscaled, and keeps forwards to servers on loopback addresses. In bare
# containers that no agent knows; what the agent would say comes through a fifo.
load helper

setup_file() { lab_file_setup prepare; }
teardown_file() { lab_file_teardown; }
prepare() {
	mkdir -p "$LAB/tools/bin"
	cp "$LAB_BIN/tailscale" "$LAB_BIN/tailscaled" "$BUILD/perry-step" "$LAB/tools/bin/"
	cp "$BATS_TEST_DIRNAME/web.pl" "$LAB/tools/server"
	lab_node phone "$(lab_key)"
}
setup() {
	lab_file_use
	C=po-step-$BATS_TEST_NUMBER-$$
	OUT=$BATS_TEST_TMPDIR/out
}
teardown() {
	[ -z "${WATCHER:-}" ] || watch_end || :
	docker rm -f -v "$C" >/dev/null 2>&1 || :
	docker volume rm "$C" >/dev/null 2>&1 || :
}
box() { # [docker run options]
	docker run -d --name "$C" --hostname "$C" --label "perry.lab=$LAB_BRIDGE" -v "$LAB/tools:/opt/perry:ro" -v "$C:/var/lib/tailscale" -e TS_AUTHKEY=file:/run/perry/ts/authkey \
		-e TS_DISABLE_PORTMAPPER=1 --sysctl net.ipv6.conf.all.disable_ipv6=0 --tmpfs /run/perry:rw,exec,nosuid,nodev,mode=755,size=96m "$@" \
		--entrypoint /opt/perry/bin/perry-step debian:bookworm init >/dev/null
}
kernel_box() { box --cap-add NET_ADMIN --device /dev/net/tun; }
join() { # HOSTNAME
	jq -cn --arg h "$1" --arg k "$(lab_key --ephemeral)" --arg u "$LAB_URL" '{hostname: $h, login_server: $u, timeout: 15, key: $k}' |
		docker exec -i "$C" /opt/perry/bin/perry-step join | jq -e '.state == "Running"' >/dev/null
}
watch_begin() {
	rm -f "$BATS_TEST_TMPDIR/in"
	mkfifo "$BATS_TEST_TMPDIR/in"
	docker exec -i "$C" /opt/perry/bin/perry-step watch <"$BATS_TEST_TMPDIR/in" >"$OUT" 2>"$OUT.err" 3>&- &
	WATCHER=$!
	exec 9>"$BATS_TEST_TMPDIR/in"
	lab_until 5 test -s "$OUT"
}
watch_end() { exec 9>&-; wait "$WATCHER"; WATCHER=; }
tell() { echo "{\"serve\":$1}" >&9; }
newest() { grep "^{\"$1\"" "$OUT" | tail -n 1 | jq -c ".$1$2"; }
newest_is() { [ "$(newest "$1" "$2")" = "$3" ] || { newest "$1" "$2"; return 1; }; }
serve() { docker exec -d "$C" perl /opt/perry/server "$@"; }
end_servers() { docker exec "$C" sh -c 'for p in /proc/[0-9]*; do [ "$(cat $p/comm 2>/dev/null)" = perl ] && kill -9 ${p#/proc/}; done; :'; }
config() { docker exec "$C" /opt/perry/bin/tailscale serve status --json | jq -c "$1"; }
phone() { lab_in phone curl -sf -m 5 "http://$1/"; }
phone_gets() { [ "$(phone "$1")" = "$2" ]; }
unreachable() { ! phone "$1" >/dev/null; }

@test "kernel mode: the state of the node, and forwards that come and go with their servers" {
	kernel_box
	watch_begin
	lab_until 5 newest_is tailnet .state '"NeedsLogin"'
	tell '{"tcp":[5173,5174,8000],"web":[]}'
	join po-kernel
	lab_until 3 newest_is tailnet '| [.state, .dnsName, .tun]' '["Running","po-kernel.ws.test",true]'
	[ "$(newest tailnet .ip)" = "\"$(docker exec "$C" /opt/perry/bin/tailscale ip -4)\"" ]
	serve 127.0.0.1 5173
	serve ::1 5174
	serve 0.0.0.0 8000
	lab_until 4 newest_is serve .tcp '[5173,5174]'
	[ "$(config .TCP)" = '{"5173":{"TCPForward":"127.0.0.1:5173"},"5174":{"TCPForward":"[::1]:5174"}}' ]
	lab_until 15 phone_gets po-kernel:5173 "5173 127.0.0.1"
	lab_until 5 phone_gets po-kernel:5174 "5174 ::1"
	lab_until 5 phone_gets po-kernel:8000 "8000 0.0.0.0"
	# tailscaled itself listens on the node's address now; that is no server of the workspace.
	sleep 2
	[ "$(newest ports '| map(.number) | unique')" = '[5173,5174,8000]' ]
	newest_is serve .tcp '[5173,5174]'
	end_servers
	lab_until 3 newest_is serve .tcp '[]'
	[ "$(config .)" = '{}' ]
	unreachable po-kernel:5173
	# A server that comes back on all addresses finds the port free, and needs no forward.
	serve 0.0.0.0 5173
	lab_until 5 phone_gets po-kernel:5173 "5173 0.0.0.0"
	newest_is serve .tcp '[]'
}

@test "twenty ports" {
	local ports
	ports=$(seq -s, 9001 9020)
	kernel_box
	join po-twenty
	watch_begin
	tell "{\"tcp\":[$ports],\"web\":[]}"
	# shellcheck disable=SC2046
	serve 127.0.0.1 $(seq 9001 9020)
	lab_until 6 newest_is serve .tcp "[$ports]"
	lab_until 15 phone_gets po-twenty:9001 "9001 127.0.0.1"
	local i
	for i in $(seq 9001 9020); do phone_gets "po-twenty:$i" "$i 127.0.0.1"; done
	end_servers
	lab_until 4 newest_is serve .tcp '[]'
	[ "$(config .)" = '{}' ]
}

@test "userspace mode: 127.0.0.1 is reached anyway, ::1 by a forward" {
	box
	join po-user
	watch_begin
	lab_until 5 newest_is tailnet '| [.state, .tun]' '["Running",false]'
	tell '{"tcp":[5173,5174],"web":[]}'
	serve 127.0.0.1 5173
	serve ::1 5174
	lab_until 5 newest_is serve .tcp '[5174]'
	lab_until 15 phone_gets po-user:5173 "5173 127.0.0.1"
	lab_until 5 phone_gets po-user:5174 "5174 ::1"
}

@test "others' entries stay, ours go, also when a watch died without a word" {
	kernel_box
	join po-others
	docker exec "$C" /opt/perry/bin/tailscale serve --bg --http=8081 3000 >/dev/null
	docker exec "$C" /opt/perry/bin/tailscale serve --bg --tcp 7000 tcp://localhost:7001 >/dev/null
	watch_begin
	tell '{"tcp":[5173,7000],"web":[]}'
	serve 127.0.0.1 5173 7000
	lab_until 5 newest_is serve .tcp '[5173]'
	[[ "$(newest serve .error)" == *"something else there: 7000"* ]]
	[ "$(config '.TCP | keys')" = '["5173","7000","8081"]' ]
	[ "$(config '.TCP."7000"')" = '{"TCPForward":"localhost:7001"}' ]
	# Killed; the server ends meanwhile; a new watch cleans up.
	docker exec "$C" sh -c 'for p in /proc/[0-9]*; do [ "$(cat $p/comm 2>/dev/null)" = perry-watch ] && kill -9 ${p#/proc/}; done; :'
	watch_end || :
	end_servers
	[ "$(config '.TCP | keys')" = '["5173","7000","8081"]' ]
	watch_begin
	tell '{"tcp":[],"web":[]}'
	lab_until 5 newest_is serve .tcp '[]'
	[ "$(config '.TCP | keys')" = '["7000","8081"]' ]
	[ "$(config '.Web | keys')" = '["po-others.ws.test:8081"]' ]
	# And after a stop of the container, which tailscaled's configuration outlives.
	tell '{"tcp":[5173],"web":[]}'
	serve 127.0.0.1 5173
	lab_until 5 newest_is serve .tcp '[5173]'
	docker restart -t 5 "$C" >/dev/null
	watch_end || :
	watch_begin
	tell '{"tcp":[5173],"web":[]}'
	lab_until 10 newest_is tailnet .state '"Running"'
	lab_until 5 newest_is serve .tcp '[]'
	[ "$(config '.TCP | keys')" = '["7000","8081"]' ]
}

@test "a web address: HTTP where the tailnet has no certificates" {
	kernel_box
	join po-web
	watch_begin
	tell '{"tcp":[],"web":[{"port":443,"target":3000}]}'
	lab_until 5 newest_is serve .web '[{"port":80,"scheme":"http","target":3000}]'
	serve 127.0.0.1 3000
	lab_until 15 phone_gets po-web "3000 127.0.0.1"
	tell '{"tcp":[],"web":[]}'
	lab_until 5 newest_is serve .web '[]'
	[ "$(config .)" = '{}' ]
}

@test "logged out, expired and ended is told within three seconds" {
	kernel_box
	join po-state
	watch_begin
	tell '{"tcp":[5173],"web":[]}'
	serve 127.0.0.1 5173
	lab_until 5 newest_is serve .tcp '[5173]'
	local id
	id=$(lab_node_named po-state | jq -r .id)
	lab_api POST "/api/v1/node/$id/expire" >/dev/null
	lab_until 3 newest_is tailnet .state '"NeedsLogin"'
	# Back with a new key, as a new node or the old one: the forward is made again.
	join po-state
	lab_until 3 newest_is tailnet .state '"Running"'
	lab_until 3 newest_is serve .tcp '[5173]'
	lab_until 5 sh -c "docker exec $C /opt/perry/bin/tailscale serve status --json | grep -q 5173"
	docker exec "$C" sh -c 'for p in /proc/[0-9]*; do [ "$(cat $p/comm 2>/dev/null)" = tailscaled ] && kill -9 ${p#/proc/}; done; :'
	lab_until 3 newest_is tailnet .state '"NoState"'
	lab_until 10 newest_is tailnet .state '"Running"'
}

@test "a web address: HTTPS where the tailnet has certificates" {
	lab_https_up
	lab_https_node hphone
	box --cap-add NET_ADMIN --device /dev/net/tun -e TS_DEBUG_ACME_DIRECTORY_URL=http://127.0.0.1:1/
	lab_https_cert "po-https.$LAB_HTTPS_DOMAIN" "$BATS_TEST_TMPDIR/certs"
	docker cp "$BATS_TEST_TMPDIR/certs" "$C:/var/lib/tailscale/certs" >/dev/null
	watch_begin
	jq -cn --rawfile k "$LAB/https/key" --arg u "$LAB_HTTPS_URL" '{hostname: "po-https", login_server: $u, timeout: 15, key: $k}' |
		docker exec -i "$C" /opt/perry/bin/perry-step join | jq -e '.state == "Running"' >/dev/null
	tell '{"tcp":[],"web":[{"port":443,"target":3000},{"port":8443,"target":3001}]}'
	serve 127.0.0.1 3000 3001
	lab_until 5 newest_is serve .web '[{"port":443,"scheme":"https","target":3000},{"port":8443,"scheme":"https","target":3001}]'
	over_tls() { [ "$(lab_in hphone curl -sf -m 5 --cacert "$LAB/https/ca.crt" "https://po-https.$LAB_HTTPS_DOMAIN$1/")" = "$2" ]; }
	lab_until 20 over_tls "" "3000 127.0.0.1"
	lab_until 5 over_tls :8443 "3001 127.0.0.1"
}
