#!/usr/bin/env bats
# What listens in a workspace: told, decided on by the ports hook, listed, and reached through perry proxy. Without a tailnet.
load helper

setup_file() {
	engine_setup
	p start po1
	# A server that answers "PORT ADDRESS\n", once a connection: serve ADDRESS PORT...
	p exec po1 -- sh -c 'cat >~/serve' <<-'E'
		use Socket; $SIG{CHLD} = "IGNORE"; my ($host, @ports) = @ARGV;
		my $six = $host =~ /:/;
		for my $port (@ports) {
			next if fork;
			socket(my $s, $six ? PF_INET6 : PF_INET, SOCK_STREAM, 0) or die; setsockopt($s, SOL_SOCKET, SO_REUSEADDR, 1);
			bind($s, $six ? pack_sockaddr_in6($port, Socket::inet_pton(AF_INET6, $host)) : sockaddr_in($port, inet_aton($host))) or die "bind: $!";
			listen($s, 50);
			while (accept(my $c, $s)) {
				next if fork;
				my ($in, $all) = ("", "");
				while (sysread($c, $in, 65536)) { $all .= $in; last if $all =~ /\r\n\r\n|^QUIT/ }
				my $text = $all =~ /^GET/ ? "$port $host\n" : length($all) . "\n";
				syswrite($c, ($all =~ /^GET/ ? "HTTP/1.0 200 OK\r\nContent-Length: " . length($text) . "\r\n\r\n" : "") . $text);
				exit;
			}
		}
		sleep 1000;
	E
}
teardown_file() { engine_teardown; }
setup() { engine_use; }
teardown() {
	[ -z "${PROXY:-}" ] || kill "$PROXY" 2>/dev/null || :
	p exec po1 -- sh -c 'for i in /proc/[0-9]*; do [ "$(cat $i/comm 2>/dev/null)" = perl ] && kill -9 ${i#/proc/}; done; :'
	[ -z "${OTHERS:-}" ] || rm -rf "$DIR/hooks"
	eventually 30 nothing_listens
}

nothing_listens() { [ "$(p ports po1 --json | jq '[.listeners[] | select(.announce)] | length')" = 0 ]; }
serve() { docker exec -d -u workspace workspace-po1 perl /home/workspace/serve "$@"; }
row() { p ports po1 --json | jq -c ".listeners[] | select(.port == $1) | $2"; }
is_listed() { [ -n "$(row "$1" .)" ]; }
decided() { [ "$(row "$1" .announce)" = true ]; }
proxy() { # ARGS...: started in the background, ready when it has said which ports
	"$BUILD/perry" proxy "$@" >"$BATS_TEST_TMPDIR/proxy" 2>"$BATS_TEST_TMPDIR/proxy.err" 3>&- &
	PROXY=$!
	eventually 30 test -s "$BATS_TEST_TMPDIR/proxy"
}

@test "a server is listed, with its process, and goes when it ends" {
	serve 127.0.0.1 5173
	eventually 30 docker exec workspace-po1 grep -q 0100007F:1435 /proc/net/tcp
	eventually 30 is_listed 5173
	eventually 30 decided 5173
	[ "$(row 5173 '[.address, .loopback, .process, .label, .expose, .reachable]')" = '["127.0.0.1",true,"perl","perl",true,false]' ]
	[ "$(row 5173 .why)" = '"the workspace is on no tailnet"' ]
	[ "$(row 22 '[.process, .announce]')" = '["sshd",false]' ]
	[ "$(p ports po1 | cut -f 1-3,5)" = $'5173\tperl\t127.0.0.1\tperry proxy po1 5173' ]
	[ "$(p ports po1 --all | wc -l)" = 2 ]
	p info po1 | grep -q '^listens  *5173 perl'
	[ "$(p info po1 --json | jq -c '[.listeners[].port]')" = '[5173]' ]
	docker exec workspace-po1 sh -c 'for i in /proc/[0-9]*; do [ "$(cat $i/comm 2>/dev/null)" = perl ] && kill -9 ${i#/proc/}; done; :'
	eventually 30 nothing_listens
}

@test "its coming and going are events" {
	local since
	since=$(date -u +%Y-%m-%dT%H:%M:%SZ)
	serve 0.0.0.0 8000
	eventually 30 decided 8000
	p exec po1 -- sh -c 'for i in /proc/[0-9]*; do [ "$(cat $i/comm 2>/dev/null)" = perl ] && kill -9 ${i#/proc/}; done; :'
	eventually 30 nothing_listens
	[ "$(p events --since "$since" --json | jq -c 'select(.kind == "port" and .port == 8000) | [.workspace, .state, .process]' | tr '\n' ' ')" = \
		'["po1","listening","perl"] ["po1","closed","perl"] ' ]
}

@test "the ports hook decides: announce, label, expose; a broken one falls back to the built-in" {
	OTHERS=yes
	mkdir -p "$DIR/hooks"
	cat >"$DIR/hooks/ports.lua" <<-'E'
		return function(ws, base, port)
		  local answer = base()
		  if port.number == 6001 then answer.announce = false end
		  if port.number == 6002 then answer.label, answer.expose = ws.name .. "-dev", false end
		  return answer
		end
	E
	serve 127.0.0.1 6001 6002
	eventually 30 decided 6002
	[ "$(row 6001 '[.announce, .expose]')" = '[false,true]' ]
	[ "$(row 6002 '[.announce, .expose, .label]')" = '[true,false,"po1-dev"]' ]
	[ "$(p explain po1 ports --all --json | jq '[.decisions[] | select(.point == "ports")] | length > 0')" = true ]
	echo 'return function() error "no" end' >"$DIR/hooks/ports.lua"
	serve 127.0.0.1 6003
	eventually 30 decided 6003
	[ "$(row 6003 '[.announce, .expose, .label]')" = '[true,true,"perl"]' ]
}

@test "proxy reaches servers on 127.0.0.1 and on all addresses" {
	serve 127.0.0.1 5173
	serve 0.0.0.0 8080
	eventually 30 decided 5173
	eventually 30 decided 8080
	local a b
	a=$(free_port) b=$(free_port)
	proxy po1 "$a:5173" "$b:8080"
	[ "$(cat "$BATS_TEST_TMPDIR/proxy")" = "127.0.0.1:$a -> po1:5173"$'\n'"127.0.0.1:$b -> po1:8080" ]
	[ "$(curl -s -m 10 "http://127.0.0.1:$a/")" = "5173 127.0.0.1" ]
	[ "$(curl -s -m 10 "http://127.0.0.1:$b/")" = "8080 0.0.0.0" ]
	# Half closed: the answer comes after the end of the question.
	[ "$(python3 -c 'if 1:
		import socket, sys
		s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
		s.sendall(b"x" * 3000000)
		s.shutdown(socket.SHUT_WR)
		print(s.makefile().read())' "$a")" = 3000000 ]
	# Ten at once.
	local i pids=()
	for i in $(seq 10); do
		curl -s -m 20 "http://127.0.0.1:$a/" >"$BATS_TEST_TMPDIR/$i" &
		pids+=($!)
	done
	for i in "${pids[@]}"; do wait "$i"; done
	[ "$(sort -u "$BATS_TEST_TMPDIR"/[0-9]*)" = "5173 127.0.0.1" ]
	kill "$PROXY"
	wait "$PROXY" || : # ended by us
	# Nothing of it stays in the workspace.
	no_helper() { local top; top=$(docker top workspace-po1 -eo pid,args) && [[ $top != *'perry-step connect'* ]]; }
	eventually 30 no_helper
}

@test "proxy through an agent on another machine: over TCP, with a token" {
	serve 127.0.0.1 5175
	eventually 30 decided 5175
	local a
	a=$(free_port)
	export PERRY_AGENT=127.0.0.1:$PORT
	run env PERRY_TOKEN=wrong "$BUILD/perry" proxy po1 "$a:5175"
	[ "$status" = 4 ]
	export PERRY_TOKEN=$TOKEN
	proxy po1 "$a:5175"
	unset PERRY_AGENT PERRY_TOKEN
	[ "$(curl -s -m 10 "http://127.0.0.1:$a/")" = "5175 127.0.0.1" ]
}

@test "proxy without ports: the configured forwards, else what listens" {
	serve 127.0.0.1 5180
	eventually 30 decided 5180
	proxy po1
	grep -q -- '-> po1:5180' "$BATS_TEST_TMPDIR/proxy"
	kill "$PROXY"
	local a
	a=$(free_port)
	p ports po1 "$a:5180"
	[ "$(p ports po1 --json | jq -c .forwards)" = "[{\"host\":$a,\"container\":5180}]" ]
	p ports po1 | grep -q "127.0.0.1:$a -> 5180"
	: >"$BATS_TEST_TMPDIR/proxy"
	proxy po1
	[ "$(curl -s -m 10 "http://127.0.0.1:$a/")" = "5180 127.0.0.1" ]
	p ports po1 --clear
	[ "$(p ports po1 --json | jq -c .forwards)" = '[]' ]
}

@test "proxy says what is wrong" {
	local a
	a=$(free_port)
	run p proxy po1 "$a:4444" extra
	[ "$status" = 2 ]
	run p proxy nope 80
	[ "$status" = 5 ]
	run p proxy po1
	[ "$status" = 2 ]
	[[ "$output" == *"which ports?"* ]]
	proxy po1 "$a:4444"
	run curl -s -m 10 "http://127.0.0.1:$a/"
	[ "$status" != 0 ]
	grep -q 'po1:4444: nothing answers on port 4444: Connection refused' "$BATS_TEST_TMPDIR/proxy.err"
	run p proxy po1 "$a:1"
	[ "$status" = 6 ]
	[[ "$output" == *"127.0.0.1:$a is taken; choose another port here: perry proxy po1"* ]]
}

@test "a web address needs a tailnet" {
	run p tailnet serve po1 3000
	[ "$status" = 6 ]
	[[ "$output" == *"on no tailnet"* ]]
	run p tailnet serve po1 3000 --off
	[ "$status" = 5 ]
}

@test "paused, killed, restarted: the watch is there again" {
	watches() { docker top workspace-po1 -eo pid,comm | grep -c perry-watch || true; }
	one() { [ "$(watches)" = 1 ]; }
	none() { [ "$(watches)" = 0 ]; }
	eventually 30 one
	docker pause workspace-po1 >/dev/null
	sleep 0.5
	docker unpause workspace-po1 >/dev/null
	serve 127.0.0.1 5190
	eventually 30 decided 5190
	one
	# The workspace kills it.
	docker exec workspace-po1 sh -c 'for i in /proc/[0-9]*; do [ "$(cat $i/comm 2>/dev/null)" = perry-watch ] && kill -9 ${i#/proc/}; done; :'
	eventually 30 one
	eventually 30 decided 5190
	# An agent that is killed leaves none behind.
	kill -9 "$PID"
	eventually 30 none
	agent_again
	eventually 30 one
	eventually 30 decided 5190
	p stop po1
	[ "$(p ports po1 --json | jq -c '[.running, .watching, .listeners]')" = '[false,false,[]]' ]
	p start po1
	eventually 30 one
	nothing_listens
}

@test "lines that lie do no harm" {
	# As if the workspace had taken over the watch's standard output.
	local pid out
	pid=$(docker top workspace-po1 -eo pid,comm | awk '$2 == "perry-watch" { print $1 }')
	out=/proc/$pid/fd/1
	[ -w "$out" ] || skip "only root may write into the watch's output"
	{
		echo nonsense
		echo '{"ports":[{"number":70000}]}'
		echo '{"ports":{}}'
		head -c 3000000 /dev/zero | tr '\0' '['
		echo
		for i in $(seq 2000); do echo '{"ports":[{"number":'$((i % 100 + 1))',"address":"1.2.3.4","process":"liar"}]}'; done
	} >"$out"
	p list -q >/dev/null
	serve 127.0.0.1 5191
	eventually 30 decided 5191
	[ "$(p events --since 2m --json | jq -c 'select(.kind == "port" and .process == "liar")' | wc -l)" -le 120 ]
}


@test "a helper of an older version: said once, not tried again and again" {
	# One that knows neither the command nor the channel.
	sed 's/watch\x00/vatch\x00/g; s/channel\x00/shannel\x00/g' "${PERRY_STEP:-$BUILD/perry-step}" >"$BATS_FILE_TMPDIR/old-step"
	chmod 755 "$BATS_FILE_TMPDIR/old-step"
	run "$BATS_FILE_TMPDIR/old-step" watch
	[ "$status" = 2 ]
	kill "$PID"
	eventually 30 flock -n "$DIR/agent.pid" true
	PERRY_STEP=$BATS_FILE_TMPDIR/old-step agent_again
	p start po2
	told() { [[ "$(p ports po2 --json | jq -r .problem)" == *"older version of perry"* ]]; }
	eventually 30 told
	sleep 3
	[ "$(grep -c 'po2: its helper is of an older version' "$DIR/stderr")" = 1 ]
	run p ports po2
	[ "$status" = 0 ]
	[[ "$output" == *"What listens in po2 is not known: its helper is of an older version of perry"* ]]
	p delete -y po2
	kill "$PID"
	eventually 30 flock -n "$DIR/agent.pid" true
	agent_again
	p start po1
}
