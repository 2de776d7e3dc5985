#!/usr/bin/env bats
# What perry doctor finds, and what it says to do about it; the sizes of homes; the link that signs a browser in.
bats_require_minimum_version 1.5.0
load helper

setup_file() { engine_setup; }
teardown_file() { engine_teardown; }
setup() { engine_use; }

# The agent reads a changed config.json at the next call.
config() { p agent config set "$@" >/dev/null; }
finding() { jq -r --arg c "$1" '.[] | select(.check == $c) | "\(.ok) \(.message) | \(.mend // "")"' <<<"$output"; }

@test "doctor finds nothing wrong with a healthy agent" {
	run p doctor
	echo "$output"
	[ "$status" = 0 ]
	refute grep -q '^FAIL' <<<"$output"
	local check
	for check in engine storage image "docker inside" "SSH ports" networks confinement hooks perry-step log token; do
		grep -q "^ok   $check " <<<"$output"
	done
}

@test "doctor says who the user of workspaces is on this machine" {
	local name
	name=$(getent passwd 1000 | cut -d: -f1)
	run p doctor --json
	if docker info -f '{{.SecurityOptions}}' | grep -qE 'name=(userns|rootless)'; then
		[[ $(finding "workspaces' user") == "true mapped by the engine"* ]]
	elif [ -z "$name" ]; then
		[[ $(finding "workspaces' user") == "true uid 1000, which nobody has"* ]]
	elif [ "$(id -u)" = 1000 ]; then
		[[ $(finding "workspaces' user") == "true uid 1000, which is yours"* ]]
	else
		[[ $(finding "workspaces' user") == "true uid 1000, which is $name's: $name may read the environment"* ]]
	fi
}

address() { docker inspect -f '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' "workspace-$1"; }
own_network() { docker inspect -f '{{.HostConfig.NetworkMode}}' "workspace-$1"; }
# Nobody else's rules are touched: a pass for this agent's workspaces stands above the engine's.
can_open() { [ "$(id -u)" = 0 ] && iptables -nL DOCKER-USER >/dev/null 2>&1; }
rule() { # -I or -D, JUMP...
	local how=$1 range
	shift
	range=$(p agent config get networkRange)
	iptables "$how" DOCKER-USER -s "$range" -d "$range" -j "$@"
}
open_up() { rule -I ACCEPT && OPEN=1; }
close_again() { rule -D ACCEPT && OPEN=; }
teardown() {
	[ -z "${OPEN:-}" ] || close_again
	local name
	for name in apart-a apart-b; do p delete -y $name >/dev/null 2>&1 || true; done
}
apart() { # yes or no, as doctor finds
	run p doctor --json
	if [ "$1" = yes ]; then
		[[ $(finding "workspaces' networks") == "true apart:"* ]]
	else
		[ "$status" = 1 ]
		[[ $(finding "workspaces' networks") == "false "*" reaches "*"| sudo systemctl restart docker" ]]
	fi
}

@test "doctor tries whether workspaces are apart, with two of them, with one and with none" {
	apart yes
	p start apart-a
	apart yes
	p start apart-b
	apart yes
	# what it takes of the image is nothing
	for name in apart-a apart-b; do docker exec -u 0 workspace-$name sh -c 'mv "$(readlink -f "$(command -v bash)")" /bash-away'; done
	apart yes
	can_open || return 0
	open_up
	apart no
	p delete -y apart-b
	apart no
	p delete -y apart-a
	apart no
	close_again
	apart yes
	# containers in a workspace's place are gone, with their networks
	[ -z "$(docker ps -aq --filter label=perry.helper --filter "label=perry.agent=$(agent_id)")" ]
	at_most_one() { [ "$(docker network ls -q --filter "label=perry.agent=$(agent_id)" | wc -l)" -le 1 ]; }
	eventually 30 at_most_one
}

@test "doctor does not say apart of what it has not tried: no image is told, a failure fails" {
	image=$(p agent config get image) range=$(p agent config get networkRange)
	p agent config set image perry-none:none
	run p doctor --json
	[[ $(finding "workspaces' networks") == "true not tried: there are no two workspaces that run, nor the image perry-none:none"* ]]
	p start apart-a --image perry:small
	run --separate-stderr p restart apart-a
	[ "$status" = 0 ]
	[[ $stderr != *apart:* && $stderr != *"are apart"* ]]
	run p doctor --json
	[[ $(finding "workspaces' networks") == "true not tried: "* ]]
	p agent config set image "$image"
	# The engine has all of it already: nobody gets a network there.
	p agent config set networkRange "$(docker network inspect -f '{{(index .IPAM.Config 0).Subnet}}' bridge | sed 's,\.[0-9]*/.*,.0/28,')"
	run p doctor --json
	p agent config set networkRange "$range"
	[ "$status" = 1 ]
	[[ $(finding "workspaces' networks") == "false it could not be tried whether they are apart: "* ]]
}

@test "a firewall that refuses in a workspace's place keeps it apart" {
	can_open || skip "it takes root, and iptables where the engine is"
	p start apart-a
	p start apart-b
	rule -I REJECT
	run p doctor --json
	rule -D REJECT
	[[ $(finding "workspaces' networks") == "true apart:"* ]]
}

@test "each start says when workspaces are not apart" {
	can_open || skip "it takes root, and iptables where the engine is"
	p start apart-a
	run --separate-stderr p start apart-b
	[ "$status" = 0 ]
	[[ $stderr != *"not apart"* ]]
	p stop apart-b
	open_up
	run --separate-stderr p start apart-b
	[ "$status" = 0 ]
	[[ $stderr == *"workspaces are not apart: apart-b reaches apart-a "*"sudo systemctl restart docker"* ]]
	run --separate-stderr p restart apart-a
	[ "$status" = 0 ]
	[[ $stderr == *"workspaces are not apart: apart-a reaches apart-b "* ]]
	close_again
	run --separate-stderr p restart apart-a
	[ "$status" = 0 ]
	[[ $stderr != *"not apart"* ]]
}

on_network() { [ -n "$(address "$1")" ]; }
ssh_says() { timeout 5 bash -c 'exec 3<>"/dev/tcp/127.0.0.1/$1"; head -c 4 <&3' - "$1" 2>/dev/null; }
was_put_back() { p events --since 1h --json | grep -q reconnected; }
ssh_answers() { [ "$(ssh_says "$1")" = SSH- ]; }

@test "a workspace that is taken off its network goes back by itself, and SSH answers" {
	local port net
	p start apart-a
	port=$(p info apart-a --json | jq -r .ports.ssh)
	net=$(own_network apart-a)
	eventually 30 ssh_answers "$port"
	docker network disconnect "$net" workspace-apart-a
	eventually 30 on_network apart-a
	eventually 30 ssh_answers "$port"
	eventually 30 was_put_back
	# While no agent looks.
	agent_end
	docker network disconnect "$net" workspace-apart-a
	agent_again
	eventually 30 on_network apart-a
	# The network is gone as well.
	agent_end
	docker network disconnect "$net" workspace-apart-a
	docker network rm "$net"
	agent_again
	eventually 30 on_network apart-a
	run p doctor --json
	[ "$status" = 0 ]
	# What the agent takes off a network itself stays off.
	p stop apart-a
	docker network disconnect "$net" workspace-apart-a
	[ "$(p list --json=name,status | jq -r '.[] | select(.name == "apart-a") | .status')" = stopped ]
	[ "$(docker inspect -f '{{.State.Running}}' workspace-apart-a)" = false ]
	p start apart-a
	on_network apart-a
}

@test "a workspace that cannot go back on its network: doctor says so, and a start puts it back" {
	local net
	p start apart-a
	net=$(own_network apart-a)
	agent_end
	docker network disconnect "$net" workspace-apart-a
	docker network rm "$net"
	# Somebody has its bridge's name.
	docker network create -o "com.docker.network.bridge.name=perry-${net##*-}" in-the-way
	agent_again
	run p doctor --json
	[ "$status" = 1 ]
	[[ $(finding "workspaces' networks") == *"false apart-a was taken off its network | perry start apart-a"* ]]
	docker network rm in-the-way
	p start apart-a
	on_network apart-a
	run p doctor --json
	[ "$status" = 0 ]
}

@test "doctor finds a missing image: perry build" {
	config image perry:not-built
	run p doctor --json
	[ "$status" = 1 ]
	[[ $(finding image) == "false perry:not-built is not on this machine | perry build" ]]
	config image perry:small
	run p doctor --json
	[[ $(finding image) == true* ]]
}

@test "doctor finds a misspelt hook, and its mend command mends it" {
	mkdir -p "$DIR/hooks"
	printf -- '-- perry: api=1\nreturn function(ws) return "box-" .. ws.name end\n' >"$DIR/hooks/hostnme.lua"
	run p doctor --json
	[ "$status" = 1 ]
	[[ $(finding hooks) == "false "*"did you mean hostname.lua"*" | mv "* ]]
	eval "$(jq -r '.[] | select(.check == "hooks") | .mend' <<<"$output")"
	[ -e "$DIR/hooks/hostname.lua" ]
	run p doctor --json
	[[ $(finding hooks) == true* ]]
	rm "$DIR/hooks/hostname.lua"
}

@test "doctor finds hooks and files that others may touch, and --fix mends them" {
	printf -- '-- perry: api=1\nreturn function(ws) return "box-" .. ws.name end\n' >"$DIR/hooks/hostname.lua"
	chmod 666 "$DIR/hooks/hostname.lua"
	chmod 644 "$DIR/config.json"
	run p doctor
	[ "$status" = 1 ]
	[[ $output == *"mend it: perry doctor --fix"* ]]
	run p doctor --fix
	[ "$status" = 0 ]
	[ "$(stat -c %a "$DIR/config.json")" = 600 ]
	[ "$(stat -c %a "$DIR/hooks/hostname.lua")" = 644 ]
	rm "$DIR/hooks/hostname.lua"
}

@test "doctor finds an exhausted range of SSH ports, and its mend command mends it" {
	local port=$((64000 + RANDOM % 500)) before
	before=$(p agent config get sshPortRange)
	python3 -c "import socket, time
s = [socket.create_server(('127.0.0.1', $port + i)) for i in range(2)]
time.sleep(60)" 3>&- &
	local holder=$!
	config sshPortRange "$port-$((port + 1))"
	taken() { (exec 9<>"/dev/tcp/127.0.0.1/$((port + 1))") 2>/dev/null; }
	eventually 30 taken
	run p doctor --json
	[ "$status" = 1 ]
	[[ $(finding "SSH ports") == "false 0 of $port-$((port + 1)) are free"*" | perry agent config set sshPortRange $port-$((port + 201))" ]]
	p agent config set sshPortRange "$port-$((port + 201))"
	run p doctor --json
	[[ $(finding "SSH ports") == true* ]]
	kill $holder
	config sshPortRange "$before"
}

@test "doctor finds a networkRange that the machine uses itself" {
	local before route
	before=$(p agent config get networkRange)
	route=$(docker network inspect -f '{{range .IPAM.Config}}{{.Subnet}}{{end}}' bridge)
	config networkRange "$route"
	run p doctor --json
	[ "$status" = 1 ]
	[[ $(finding networks) == "false $route overlaps with "*" | perry agent config set networkRange 10."* ]]
	config networkRange "$before"
}

@test "list --size tells the size of each home" {
	p start sized
	p exec sized -- sh -c 'head -c 30000000 /dev/zero > big'
	local n
	n=$(p list --size --json=name,size | jq '.[0].size')
	[ "$n" -gt 30000000 ]
	[ "$n" -lt 60000000 ]
	[[ $(p list --size) =~ [3-5][0-9]\.[0-9]\ MB ]]
	p delete -y sized
}

@test "open prints a link that signs in once and only once" {
	local url jar=$BATS_TEST_TMPDIR/jar
	url=$(p open --print)
	[[ $url =~ ^http://localhost:$PORT/login\?link=[0-9a-f]{64}$ ]]
	[ "$(curl -s -o /dev/null -w '%{http_code}' "http://localhost:$PORT/metrics")" = 401 ]
	[ "$(curl -s -o /dev/null -D "$jar.head" -c "$jar" -w '%{http_code}' "$url")" = 303 ]
	[ "$(curl -s -o /dev/null -b "$jar" -H "$(grep -i '^x-perry-session:' "$jar.head" | tr -d '\r')" -w '%{http_code}' "http://localhost:$PORT/metrics")" = 200 ]
	[ "$(curl -s -o /dev/null -c "$jar.2" -w '%{http_code}' "$url")" = 401 ]
	refute grep -q perry_ "$jar.2"
	[ "$(curl -s -o /dev/null -b "$jar.2" -w '%{http_code}' "http://localhost:$PORT/metrics")" = 401 ]
}

@test "open gives the browser a file of ours, not the link as an argument" {
	mkdir "$BATS_TEST_TMPDIR/bin"
	printf '#!/bin/sh\nprintf "%%s\\n" "$@" >"%s/args"\ncat "$1" >"%s/page"\n' "$BATS_TEST_TMPDIR" "$BATS_TEST_TMPDIR" >"$BATS_TEST_TMPDIR/bin/xdg-open"
	chmod +x "$BATS_TEST_TMPDIR/bin/xdg-open"
	run env DISPLAY=:99 PATH="$BATS_TEST_TMPDIR/bin:$PATH" "$BUILD/perry" open
	[ "$status" = 0 ]
	[ -z "$output" ]
	[ "$(cat "$BATS_TEST_TMPDIR/args")" = "$DIR/open.html" ]
	[ "$(stat -c %a "$DIR/open.html")" = 600 ]
	local url
	url=$(grep -o 'http://localhost[^"]*' "$BATS_TEST_TMPDIR/page" | head -1)
	[ "$(curl -s -o /dev/null -w '%{http_code}' "$url")" = 303 ]
}
