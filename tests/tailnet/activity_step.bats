#!/usr/bin/env bats
# activity on a real tailnet: a phone that is connected to a server of the workspace, directly and through Serve, and what is left of one that has gone.
load helper

setup_file() { lab_file_setup nodes; }
teardown_file() { lab_file_teardown; }
setup() { lab_file_use; }

nodes() {
	lab_node phone "$(lab_key)"
	lab_container box "$(lab_key --ephemeral)" -v "$(realpath "$BUILD")/perry-step:/opt/perry/bin/perry-step:ro"
	docker exec -d "$LAB_BRIDGE-box" perl -MSocket -e 'for my $at ([3000, INADDR_ANY], [3001, INADDR_LOOPBACK]) { next if fork;
		socket(my $s, PF_INET, SOCK_STREAM, 0); bind($s, sockaddr_in(@$at)) or die; listen($s, 5); my @keep; while (accept(my $c, $s)) { push @keep, $c } } sleep 1000'
	docker exec "$LAB_BRIDGE-box" /opt/tailnet/tailscale serve --bg --tcp 3001 tcp://127.0.0.1:3001
	docker exec "$LAB_BRIDGE-box" /opt/tailnet/tailscale ip -4 >"$LAB/box.ip"
}
fact() { docker exec "$LAB_BRIDGE-box" /opt/perry/bin/perry-step activity | jq -c ".activity | $1"; }
connected() { [ "$(fact '[.connections[].port]')" = "$1" ]; }
# hold PORT: connects as the phone and stays for a while.
hold() {
	lab_in phone timeout 60 python3 -c 'import socket, sys, time; s = socket.create_connection((sys.argv[1], int(sys.argv[2])), 10); time.sleep(50)' \
		"$(cat "$LAB/box.ip")" "$1" >/dev/null 2>&1 3>&- &
	HOLDERS+=($!)
}
let_go() {
	local pid
	for pid in "${HOLDERS[@]}"; do pkill -P "$pid" 2>/dev/null || :; kill "$pid" 2>/dev/null || :; done
	HOLDERS=()
}

@test "while nobody comes nothing is connected, and nothing comes from the tailnet" {
	local before
	connected '[]'
	before=$(fact .tailnetRx)
	sleep 10
	[ "$(fact .tailnetRx)" = "$before" ]
	[ "$(fact .tailnetUnseen)" = null ]
}

@test "a phone counts, whether its connection comes through the interface or through Serve" {
	hold 3000
	hold 3001
	lab_until 20 connected '[3000,3001]'
	let_go
	lab_until 20 connected '[]'
}

@test "one that came and went between two samples has left its bytes" {
	local before
	before=$(fact .tailnetRx)
	lab_in phone timeout 20 python3 -c 'import socket, sys; socket.create_connection((sys.argv[1], 3001), 10).close()' "$(cat "$LAB/box.ip")"
	lab_until 10 connected '[]'
	[ "$(fact .tailnetRx)" -gt "$before" ]
}
