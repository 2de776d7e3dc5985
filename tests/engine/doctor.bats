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

@test "doctor tries whether workspaces are apart" {
	local a b name
	for name in apart-a apart-b; do p start $name; done
	run p doctor --json
	[[ $(finding "workspaces' networks") == "true apart:"* ]]
	a=$(docker inspect -f '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' workspace-apart-a)
	b=$(docker inspect -f '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' workspace-apart-b)
	if [ "$(id -u)" = 0 ] && iptables -nL DOCKER-USER >/dev/null 2>&1; then
		# Nobody else's rules are touched: a pass for these two stands above the engine's.
		iptables -I DOCKER-USER -s "$a" -d "$b" -j ACCEPT
		iptables -I DOCKER-USER -s "$b" -d "$a" -j ACCEPT
		run p doctor --json
		iptables -D DOCKER-USER -s "$a" -d "$b" -j ACCEPT
		iptables -D DOCKER-USER -s "$b" -d "$a" -j ACCEPT
		[ "$status" = 1 ]
		[[ $(finding "workspaces' networks") == "false apart-"*" reaches apart-"*"| sudo systemctl restart docker" ]]
	fi
	for name in apart-a apart-b; do p delete -y $name; done
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
	[[ $output == *"mend it with: perry doctor --fix"* ]]
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
