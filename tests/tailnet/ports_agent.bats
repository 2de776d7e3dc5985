#!/usr/bin/env bats
# All ports by the name: workspaces of an agent, servers in them on 127.0.0.1, and a phone that reaches them.
load helper

setup_file() { lab_file_setup agent_and_phone; }
teardown_file() {
	[ ! -e "$BATS_FILE_TMPDIR/lab" ] || engine_teardown
	lab_file_teardown
}
agent_and_phone() {
	export PERRY_TAILSCALE_DIR=$LAB_BIN
	CONFIG_MORE=", \"tailscale\": {\"authKey\": \"$(lab_key --reusable --ephemeral)\", \"loginServer\": \"$LAB_URL\"}" engine_setup
	lab_node phone "$(lab_key)"
	start pta
}
start() {
	p start "$1"
	docker cp "$BATS_TEST_DIRNAME/web.pl" "workspace-$1:/tmp/web.pl" >/dev/null
}
setup() {
	lab_file_use
	engine_use
}
teardown() {
	[ -e "$BATS_FILE_TMPDIR/no-lab" ] || end_servers pta
	rm -rf "$DIR/hooks"
}
# serve WORKSPACE ADDRESS PORT...: a server on each port that answers "PORT ADDRESS".
serve() {
	local ws=$1
	shift
	docker exec -d -u workspace "workspace-$ws" perl /tmp/web.pl "$@"
}
end_servers() { docker exec "workspace-$1" sh -c 'for i in /proc/[0-9]*; do [ "$(cat $i/comm 2>/dev/null)" = perl ] && kill -9 ${i#/proc/}; done; :'; }
row() { p ports "$1" --json | jq -c ".listeners[] | select(.port == $2) | $3"; } # WORKSPACE PORT FILTER
row_is() { [ "$(row "$1" "$2" "$3")" = "$4" ] || { p ports "$1" --json; return 1; }; }
no_row() { [ -z "$(row "$1" "$2" .)" ]; }
phone() { lab_in phone curl -sf -m 5 "http://$1/"; }
phone_gets() { [ "$(phone "$1")" = "$2" ]; }
info() { p info "$1" --json | jq -r "$2"; }
info_is() { [ "$(info "$1" "$2")" = "$3" ] || { info "$1" .tailscale; return 1; }; }

@test "kernel mode: a server on 127.0.0.1 is reached from the phone by the name, until it ends" {
	serve pta 127.0.0.1 5173
	lab_until 6 row_is pta 5173 '[.reachable, .url, .process]' '[true,"http://pta:5173","perl"]'
	lab_until 15 phone_gets pta:5173 "5173 127.0.0.1"
	phone_gets pta.ws.test:5173 "5173 127.0.0.1"
	[ "$(p ports pta | cut -f 1-5)" = $'5173\tperl\t127.0.0.1\tyes\thttp://pta:5173' ]
	end_servers pta
	lab_until 4 no_row pta 5173
	[ "$(docker exec workspace-pta tailscale serve status --json)" = '{}' ]
	run phone pta:5173
	[ "$status" != 0 ]
}

@test "a server that refuses its name: perry ports says what it must be told, in words of ours" {
	docker exec -d -u workspace workspace-pta perl -MSocket -e '
		socket(my $s, PF_INET, SOCK_STREAM, 0); setsockopt($s, SOL_SOCKET, SO_REUSEADDR, 1);
		bind($s, sockaddr_in(5200, inet_aton("127.0.0.1"))) or die; listen($s, 50);
		while (accept(my $c, $s)) {
			sysread($c, my $in, 65536);
			syswrite($c, $in =~ /^Host: localhost/m ? "HTTP/1.1 200 OK\r\n\r\nhi" : "HTTP/1.1 403 Forbidden\r\n\r\nBlocked request. This host (\"\e[31mpta\") is not allowed.");
			close $c;
		}'
	lab_until 30 row_is pta 5200 .reachable true
	[ "$(p ports pta 2>&1 >/dev/null)" = "5200: Vite refuses this name: server: { allowedHosts: ['pta', '.ws.test'] } in its configuration" ]
	[ "$(p ports pta | cut -f 1)" = 5200 ]
	end_servers pta
	serve pta 127.0.0.1 5201
	lab_until 30 row_is pta 5201 .reachable true
	[ -z "$(p ports pta 2>&1 >/dev/null)" ]
}

@test "twenty ports at once, and as many that listen on all addresses" {
	# shellcheck disable=SC2046
	serve pta 127.0.0.1 $(seq 9001 9020)
	# shellcheck disable=SC2046
	serve pta 0.0.0.0 $(seq 9101 9120)
	all() { [ "$(p ports pta --json | jq '[.listeners[] | select(.port > 9000 and .reachable)] | length')" = 40 ]; }
	lab_until 8 all
	local i
	for i in $(seq 9001 9020); do lab_until 10 phone_gets "pta:$i" "$i 127.0.0.1"; done
	for i in $(seq 9101 9120); do phone_gets "pta:$i" "$i 0.0.0.0"; done
}

@test "what the ports hook does not expose stays unreachable, and says why; tailscale.exposeLoopback likewise" {
	mkdir -p "$DIR/hooks"
	cat >"$DIR/hooks/ports.lua" <<-'E'
		return function(_, base, port)
		  local answer = base()
		  if port.number == 5180 then answer.expose = false end
		  return answer
		end
	E
	serve pta 127.0.0.1 5180 5181
	lab_until 6 row_is pta 5181 .reachable true
	row_is pta 5180 .reachable false
	[[ "$(row pta 5180 .why)" == *"policy does not expose it"* ]]
	lab_until 15 phone_gets pta:5181 "5181 127.0.0.1"
	run phone pta:5180
	[ "$status" != 0 ]
	p agent config set tailscale.exposeLoopback false
	serve pta 127.0.0.1 5182
	lab_until 6 row_is pta 5182 '[.announce, .expose, .reachable]' '[true,false,false]'
	p agent config unset tailscale.exposeLoopback
}

@test "userspace mode behaves the same, and says what it cannot hold back" {
	mkdir -p "$DIR/hooks"
	echo 'return function(_, base) local up = base(); up.userspace = true; return up end' >"$DIR/hooks/tailscale_up.lua"
	start ptu
	serve ptu 127.0.0.1 5173
	lab_until 6 row_is ptu 5173 '[.reachable, .why]' '[true,null]'
	lab_until 15 phone_gets ptu:5173 "5173 127.0.0.1"
	[ "$(docker exec workspace-ptu tailscale serve status --json)" = '{}' ]
	echo 'return function(_, base) local a = base(); a.expose = false; return a end' >"$DIR/hooks/ports.lua"
	serve ptu 127.0.0.1 5174
	lab_until 6 row_is ptu 5174 '[.expose, .reachable]' '[false,true]'
	[[ "$(row ptu 5174 .why)" == *"cannot be held back"* ]]
	lab_until 5 phone_gets ptu:5174 "5174 127.0.0.1"
	p delete -y ptu
}

@test "tailnet serve: a web address of its own, HTTP where there are no certificates" {
	serve pta 127.0.0.1 3000
	run p tailnet serve pta 3000
	echo "$output"
	[ "$status" = 0 ]
	[[ "$output" == *"no HTTPS certificates"*"http://pta.ws.test/"* ]]
	lab_until 15 phone_gets pta "3000 127.0.0.1"
	lab_until 4 row_is pta 3000 .web '"http://pta.ws.test/"'
	# It is kept over a restart.
	p restart pta
	docker cp "$BATS_TEST_DIRNAME/web.pl" workspace-pta:/tmp/web.pl >/dev/null
	serve pta 127.0.0.1 3000
	lab_until 20 phone_gets pta "3000 127.0.0.1"
	p tailnet serve pta 3000 --off
	lab_until 4 row_is pta 3000 .web null
	[ "$(docker exec workspace-pta tailscale serve status --json | jq -c '.Web')" = null ]
	run p tailnet serve pta 3000 --off
	[ "$status" = 5 ]
}

@test "what the workspace's own serve configuration has stays" {
	docker exec workspace-pta tailscale serve --bg --http=8081 3001 >/dev/null
	docker exec workspace-pta tailscale serve --bg --tcp 7000 tcp://localhost:7001 >/dev/null
	serve pta 127.0.0.1 5173 7000
	lab_until 6 row_is pta 5173 .reachable true
	[[ "$(row pta 7000 '[.reachable, .why]')" == '[false,"the workspace'"'"'s serve configuration has something else there: 7000"]' ]]
	end_servers pta
	lab_until 4 no_row pta 5173
	[ "$(docker exec workspace-pta tailscale serve status --json | jq -c '.TCP | keys')" = '["7000","8081"]' ]
	docker exec workspace-pta tailscale serve reset
}

@test "a node that control expires is shown within three seconds, and so is its return" {
	serve pta 127.0.0.1 5173
	lab_until 6 row_is pta 5173 .reachable true
	info_is pta .tailscale.status connected
	local since
	since=$(date -u +%Y-%m-%dT%H:%M:%SZ)
	lab_api POST "/api/v1/node/$(lab_node_named pta | jq -r .id)/expire" >/dev/null
	lab_until 3 info_is pta .tailscale.status failed
	[ "$(info pta .tailscale.error)" = "the node is logged out or its key has expired" ]
	row_is pta 5173 '[.reachable, .why]' '[false,"the node is logged out or its key has expired"]'
	p events --since "$since" --json | jq -e 'select(.kind == "tailnet" and .workspace == "pta" and .state == "failed")' >/dev/null
	# The container goes on; its own tailscale brings it back, and nobody has to be told.
	docker exec workspace-pta sh -c "tailscale up --reset --login-server=$LAB_URL --auth-key=$(lab_key --ephemeral) --hostname=pta --timeout=15s"
	lab_until 3 info_is pta .tailscale.status connected
	[ "$(info pta .tailscale.ip)" = "$(docker exec workspace-pta tailscale ip -4)" ]
	lab_until 6 row_is pta 5173 .reachable true
}

@test "the agent is killed: forwards stay; one that went meanwhile goes when it is back" {
	serve pta 127.0.0.1 5173 5174
	lab_until 6 row_is pta 5174 .reachable true
	lab_until 15 phone_gets pta:5173 "5173 127.0.0.1"
	kill -9 "$PID"
	sleep 1
	phone_gets pta:5174 "5174 127.0.0.1"
	end_servers pta
	serve pta 127.0.0.1 5174
	agent_again
	lab_until 8 row_is pta 5174 .reachable true
	forwards() { [ "$(docker exec workspace-pta tailscale serve status --json | jq -c '.TCP | keys')" = '["5174"]' ]; }
	lab_until 4 forwards
}
