#!/usr/bin/env bats
# Who may call, and by which name.
load helper

setup_file() {
	export DIR PORT PID TOKEN
	agent_start
}
teardown_file() { agent_clean; }

list() { tcp /rpc/workspaces/list -X POST "$@"; }

@test "without a token: 401, plain text, Bearer" {
	list
	expect 401 Unauthorized
	curl -si -m 5 -X POST "localhost:$PORT/rpc/info" >"$BATS_TEST_TMPDIR/head"
	grep -qi '^www-authenticate: Bearer' "$BATS_TEST_TMPDIR/head"
	grep -qi '^content-type: text/plain;charset=utf-8' "$BATS_TEST_TMPDIR/head"
	refute grep -qi '^access-control-allow-origin' "$BATS_TEST_TMPDIR/head"
}

@test "tokens: the right one, wrong ones, in the address" {
	list -H "Authorization: Bearer $TOKEN"
	expect 200 '{"json":[]}'
	list -H "Authorization: bearer $TOKEN"
	expect 401
	list -H "Authorization: Bearer wrong"
	expect 401
	tcp "/rpc/terminal/wire1?token=$TOKEN"
	expect 401
	tcp "/rpc/workspaces/list?token=$TOKEN" -X POST
	expect 401
}

@test "identity headers are nobody's here" {
	list -H 'Tailscale-User-Login: x@y.z'
	expect 401
	tcp /rpc/terminal/@host -H 'Tailscale-User-Login: x@y.z'
	expect 401
	tcp /health -H 'Tailscale-User-Login: x@y.z'
	expect_match 200 '^\{"status":"ok"'
	refute grep -q x@y.z <<<"$BODY"
}

@test "every way in needs the token" {
	for path in /events /metrics /openapi.json /rpc/stream /rpc/terminal/wire1 /nope.js; do
		tcp $path
		expect 401 Unauthorized
	done
	for path in /rpc/config/auth/get /rpc/auth/link /rpc/terminal/ticket /rpc/nope /rpc; do
		tcp $path -X POST
		expect 401 Unauthorized
	done
}

@test "an authorize hook takes rights from the token and from our own user; without it they are back" {
	local auth="Authorization: Bearer $TOKEN" hook="$DIR/hooks/authorize.lua"
	mkdir -p "$DIR/hooks"
	printf 'return function(req)\n  local may = req.caller.kind ~= "token" or req.kind == "read"\n  return may, "look, do not touch"\nend\n' >"$hook"
	list -H "$auth"
	expect 200
	tcp /rpc/workspaces/stop -X POST -H "$auth" -H 'Content-Type: application/json' -d '{"json":{"name":"x"}}'
	expect_match 403 'This needs the right manage: look, do not touch'
	sock /rpc/workspaces/stop -X POST -H 'Content-Type: application/json' -d '{"json":{"name":"x"}}'
	expect 404
	printf 'return function()\n  return false, "closed today"\nend\n' >"$hook"
	sock /rpc/workspaces/list -X POST
	expect_match 403 'closed today'
	tcp /events -H "$auth"
	expect 403 'closed today'
	printf 'return function(\n' >"$hook"
	sock /rpc/workspaces/list -X POST
	expect_match 403 'hooks/authorize.lua:2:'
	rm "$hook"
	sock /rpc/workspaces/list -X POST
	expect 200 '{"json":[]}'
	list -H "$auth"
	expect 200
}

@test "Host: our names, no others" {
	for host in localhost 127.0.0.1 '[::1]' "$(hostname)"; do
		tcp /health -H "Host: $host:$PORT"
		expect 200
	done
	for host in evil.example localhost.evil.example 127.0.0.1.evil.example; do
		tcp /health -H "Host: $host:$PORT"
		expect_match 403 allowedHosts
		list -H "Host: $host" -H "Authorization: Bearer $TOKEN"
		expect 403
	done
}

@test "Origin: ours, those that are allowed, no others" {
	local auth="Authorization: Bearer $TOKEN"
	list -H "$auth" -H "Origin: http://localhost:$PORT"
	expect 200
	for origin in http://evil.example http://localhost:3000 null; do
		list -H "$auth" -H "Origin: $origin"
		expect_match 403 allowedOrigins
		tcp /rpc/terminal/wire1 -H "$auth" -H "Origin: $origin" -H 'Connection: Upgrade' -H 'Upgrade: websocket'
		expect 403
		for upgrade in 'websocket, foo' 'foo, websocket' WebSocket 'websocket/13' h2c; do
			tcp /rpc/terminal/wire1 -H "$auth" -H "Origin: $origin" -H 'Connection: Upgrade' -H "Upgrade: $upgrade"
			expect_match 403 allowedOrigins
		done
	done
	sed -i 's/^{/{\n  "allowedOrigins": ["https:\/\/app.example"],/' "$DIR/config.json"
	list -H "$auth" -H "Origin: https://app.example"
	[ "$CODE" = 200 ] || list -H "$auth" -H "Origin: https://app.example" # the file is looked at by the first call
	sock /rpc/host/info -X POST
	list -H "$auth" -H "Origin: https://app.example"
	expect 200
	curl -si -m 5 -X OPTIONS "localhost:$PORT/rpc/workspaces/list" -H 'Origin: https://app.example' >"$BATS_TEST_TMPDIR/head"
	grep -q '^HTTP/1.1 204' "$BATS_TEST_TMPDIR/head"
	grep -qi '^access-control-allow-origin: https://app.example' "$BATS_TEST_TMPDIR/head"
	curl -si -m 5 -X OPTIONS "localhost:$PORT/rpc/workspaces/list" -H 'Origin: http://evil.example' >"$BATS_TEST_TMPDIR/head"
	refute grep -qi '^access-control' "$BATS_TEST_TMPDIR/head"
}

@test "the page says what this is, and no secret" {
	for path in / /settings /rpcx; do
		tcp $path
		expect_match 200 '<title>Perry'
		refute grep -q "$TOKEN" <<<"$BODY"
	done
	curl -si -m 5 "localhost:$PORT/" | grep -qi "^content-security-policy: default-src 'none'"
}

# What a page of ours keeps: the session's key, from where signing in leads to. sign_in JAR PATH [curl options]
sign_in() {
	local jar=$1 path=$2
	shift 2
	curl -si -m 60 -c "$jar" "$@" "http://localhost:$PORT$path" >"$jar.head"
	grep -q '^HTTP/1.1 303' "$jar.head"
	KEY=$(sed -n 's|^[Ll]ocation: /#session=\([0-9a-f]\{64\}\).*|\1|p' "$jar.head")
	[ -n "$KEY" ]
}

@test "a browser signs in with the token, and out" {
	local jar=$BATS_TEST_TMPDIR/jar
	tcp /login -d token=wrong
	expect 401
	sign_in "$jar" /login -d "token=$TOKEN"
	grep -q '#HttpOnly_' "$jar"
	list -b "$jar" -H "X-Perry-Session: $KEY"
	expect 200
	list -b "$jar" -H "Sec-WebSocket-Protocol: perry.v1, perry.session.$KEY"
	expect 401
	# The cookie goes to every port of localhost: whoever serves there has it, and nothing else.
	list -b "$jar"
	expect 401
	list -H "X-Perry-Session: $KEY"
	expect 401
	list -b "$jar" -H "X-Perry-Session: $KEY" -H "Origin: http://localhost:3000"
	expect 403
	list -b "$jar" -H "X-Perry-Session: $KEY" -H "Sec-Fetch-Site: same-site"
	expect 401
	tcp /login -d "token=$TOKEN" -H 'Origin: http://evil.example'
	expect 403
	cp "$jar" "$jar.kept"
	tcp /logout -X POST -b "$jar.kept"
	expect 303
	list -b "$jar" -H "X-Perry-Session: $KEY"
	expect 401
}

@test "a browser stays signed in when the agent is killed, and what is on the disk signs nobody in" {
	local jar=$BATS_TEST_TMPDIR/jar cookie token=$TOKEN
	sign_in "$jar" /login -d "token=$TOKEN"
	cookie=$(awk '/HttpOnly_/ { print $7 }' "$jar")
	kept() { cat "$DIR"/state.db* | grep -qa "$(printf %s "$KEY" | sha256sum | cut -c1-64)"; }
	eventually 30 kept
	agent_end KILL
	flock -w 30 "$DIR/agent.pid" true
	refute grep -qa -e "$KEY" -e "$cookie" "$DIR"/state.db*
	agent_start
	list -b "$jar" -H "X-Perry-Session: $KEY"
	expect 200
	list -b "$jar"
	expect 401
	list -b "$jar" -H "X-Perry-Session: $(printf %s "$KEY" | sha256sum | cut -c1-64)"
	expect 401
	# With another token it is over, also where the agent did not run meanwhile.
	agent_end KILL
	flock -w 30 "$DIR/agent.pid" true
	sed -i "s/$token/another-$token/" "$DIR/config.json"
	agent_start
	list -b "$jar" -H "X-Perry-Session: $KEY"
	expect 401
	agent_end
	sed -i "s/another-$token/$token/" "$DIR/config.json"
	agent_start
}

@test "a link signs in once" {
	local jar=$BATS_TEST_TMPDIR/jar path
	rpc auth/link
	expect_match 200 '"path":"/login\?link=[0-9a-f]{64}"'
	path=$(sed -E 's/.*"path":"([^"]+)".*/\1/' <<<"$BODY")
	sign_in "$jar" "$path"
	list -b "$jar" -H "X-Perry-Session: $KEY"
	expect 200
	tcp "$path"
	expect 401
}

@test "a ticket opens one terminal" {
	local ticket
	rpc terminal/ticket '{"name":"wire1"}'
	ticket=$(sed -E 's/.*"ticket":"([^"]+)".*/\1/' <<<"$BODY")
	tcp "/rpc/terminal/wire1?ticket=$ticket"
	expect 404 'Not Found' # it was let in; there is no such workspace
	tcp "/rpc/terminal/wire1?ticket=$ticket"
	expect 401
	rpc terminal/ticket '{"name":"wire1"}'
	ticket=$(sed -E 's/.*"ticket":"([^"]+)".*/\1/' <<<"$BODY")
	tcp "/rpc/terminal/@host?ticket=$ticket"
	expect 401 # it was for another terminal, and is gone
	tcp "/rpc/terminal/wire1?ticket=$ticket"
	expect 401
	rpc terminal/ticket '{}'
	ticket=$(sed -E 's/.*"ticket":"([^"]+)".*/\1/' <<<"$BODY")
	tcp "/rpc/workspaces/list?ticket=$ticket" -X POST
	expect 401
}

@test "a ticket opens the stream, once, and nothing but what it was made for" {
	local ticket upgrade=(-H 'Connection: Upgrade' -H 'Upgrade: websocket' -H 'Sec-WebSocket-Version: 13' -H 'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==')
	new_ticket() { # INPUT
		rpc terminal/ticket "$1"
		ticket=$(sed -E 's/.*"ticket":"([^"]+)".*/\1/' <<<"$BODY")
	}
	new_ticket '{"stream":true}'
	tcp "/rpc/stream?ticket=$ticket" "${upgrade[@]}"
	expect 400 'The subprotocol perry.v1 is needed' # it was let in
	tcp "/rpc/stream?ticket=$ticket" "${upgrade[@]}"
	expect 401
	new_ticket '{"stream":true}'
	tcp "/rpc/terminal/wire1?ticket=$ticket"
	expect 401
	tcp "/rpc/stream?ticket=$ticket" "${upgrade[@]}"
	expect 401
	new_ticket '{"name":"wire1"}'
	tcp "/rpc/stream?ticket=$ticket" "${upgrade[@]}"
	expect 401
	new_ticket '{}'
	tcp "/rpc/stream?ticket=$ticket" "${upgrade[@]}"
	expect 401
	new_ticket '{"stream":true}'
	tcp "/rpc/streams?ticket=$ticket" "${upgrade[@]}"
	expect 401
	new_ticket '{"stream":true}'
	tcp "/rpc/stream?ticket=$ticket" "${upgrade[@]}" -H 'Origin: http://evil.example'
	expect_match 403 allowedOrigins
}

# What the newest clients of the original do: nothing is shown with the request, the token is the first message.
terminal() { # NAME LINE TOKEN: OUT is what it shows, END how it ends
	OUT=$(python3 "$BATS_TEST_DIRNAME/../lib/terminal_client.py" "$PORT" "$1" "$2" "$3" 2>"$BATS_TEST_TMPDIR/end") || { cat "$BATS_TEST_TMPDIR/end"; return 1; }
	END=$(cat "$BATS_TEST_TMPDIR/end")
}

@test "a terminal takes the token by its first message, and nothing before it" {
	local upgrade=(-H 'Connection: Upgrade' -H 'Upgrade: websocket' -H 'Sec-WebSocket-Version: 13' -H 'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==')
	terminal @host "echo let i''n; exit 3" "$TOKEN"
	[ "$END" = '1000 Process exited with code 3' ]
	[[ $OUT == *'let in'* ]]
	refute grep -q "$TOKEN" <<<"$OUT"
	terminal @host "touch $BATS_TEST_TMPDIR/done" wrong
	[ "$END" = '4001 Authentication failed' ] && [ -z "$OUT" ]
	[ ! -e "$BATS_TEST_TMPDIR/done" ]
	# Whether a workspace is there is not told to everybody.
	terminal no-such-workspace true wrong
	[ "$END" = '4001 Authentication failed' ]
	terminal no-such-workspace true "$TOKEN"
	[[ $END == 1011*'not found' ]]
	# What was shown and is wrong is refused as ever; so is a page of another origin, and another name of this machine.
	tcp /rpc/terminal/@host "${upgrade[@]}" -H 'Authorization: Bearer wrong'
	expect 401
	tcp '/rpc/terminal/@host?ticket=00' "${upgrade[@]}"
	expect 401
	tcp "/rpc/terminal/@host?token=$TOKEN" "${upgrade[@]}"
	expect 401
	tcp /rpc/terminal/@host "${upgrade[@]}" -H 'Origin: http://evil.example'
	expect_match 403 allowedOrigins
	tcp /rpc/terminal/@host "${upgrade[@]}" -H 'Host: evil.example'
	expect_match 403 allowedHosts
	tcp /rpc/terminal/My_App "${upgrade[@]}"
	expect 400
	# Nothing else may be had this way.
	for path in /rpc/stream /events /rpc/workspaces/list; do
		tcp $path "${upgrade[@]}" -H 'Sec-WebSocket-Protocol: perry.v1'
		expect 401
	done
}

@test "terminals that wait for their token are few" {
	local line script='
import socket, sys
head = ("GET /rpc/terminal/@host HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n").encode()
kept, said = [], []
for i in range(20):
    s = socket.socket()
    s.settimeout(60)
    s.bind((f"127.0.0.{i + 2}", 0))
    s.connect(("127.0.0.1", int(sys.argv[1])))
    s.sendall(head)
    said.append(s.recv(1000).split()[1].decode())
    kept.append(s)
print(said.count("101"), said.count("503"), flush=True)
sys.stdin.readline()'
	coproc WAIT { python3 -c "$script" "$PORT"; }
	read -r -u "${WAIT[0]}" line
	[ "$line" = '8 12' ]
	# Whoever shows the token with the request does not wait with them.
	tcp /rpc/terminal/@host -H "Authorization: Bearer $TOKEN"
	expect 400 'WebSocket upgrade failed'
	echo >&"${WAIT[1]}"
	let_in() { terminal @host exit "$TOKEN"; }
	eventually 30 let_in
}

@test "files are for their owner alone" {
	[ "$(stat -c %a "$DIR")" = 700 ]
	for file in config.json state.db agent.pid agent.log; do
		[ "$(stat -c %a "$DIR/$file")" = 600 ]
	done
	[ "$(stat -c %a "$DIR/agent.sock")" = 600 ]
	refute grep -rq "$TOKEN" "$DIR/agent.log" "$DIR/stdout" "$DIR/stderr"
	refute grep -qa "$TOKEN" "/proc/$PID/cmdline"
}

@test "another user of this machine is not us" {
	[ "$(id -u)" = 0 ] || skip "only root can become another user"
	chmod 755 "$DIR"
	chmod 666 "$DIR/agent.sock"
	run setpriv --reuid=65534 --regid=65534 --clear-groups curl -s -m 5 --unix-socket "$DIR/agent.sock" -X POST http://localhost/rpc/workspaces/list
	chmod 600 "$DIR/agent.sock"
	chmod 700 "$DIR"
	[ "$output" = Unauthorized ]
}

@test "with authentication off a token is still asked for where bind listens" {
	local address dir=$BATS_TEST_TMPDIR/bound
	address=$(ip -4 -o addr show scope global | awk '{ sub("/.*", "", $4); print $4; exit }')
	[ -n "$address" ] || skip "this machine has no address but loopback"
	mkdir -m 700 "$dir"
	printf '{"auth":{"token":""},"bind":["%s"],"allowedHosts":["%s"]}\n' "$address" "$address" >"$dir/config.json"
	(
		unset PID TOKEN
		DIR=$dir PORT=$(free_port)
		agent_start
		tcp /rpc/workspaces/list -X POST
		expect 200 '{"json":[]}'
		CODE=$(curl -s -m 60 -o /dev/null -w '%{http_code}' -X POST "http://$address:$PORT/rpc/workspaces/list")
		expect 401
		agent_end
	)
}
