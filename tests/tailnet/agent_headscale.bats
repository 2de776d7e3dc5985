#!/usr/bin/env bats
# The agent on a tailnet without HTTPS (Headscale): published on its name by Serve over HTTP, and on its tailnet addresses.
load helper
load agent

nodes() {
	lab_node agent "$(lab_key)"
	lab_node phone "$(lab_key)"
	lab_node guest "$(lab_key --user guest)"
	lab_node ci "$(lab_key --tags tag:ci)"
	lab_node box "$(lab_key --tags tag:perry-workspace)"
	agent_on agent
	# The first packets between two machines take a moment.
	local n
	for n in phone guest ci box; do lab_until 20 lab_in "$n" curl -sf -m 2 -o "$LAB/$n.health" http://agent:7391/health; done
}
setup_file() { lab_file_setup nodes; }
setup() {
	lab_file_use
	agent_use
}
teardown_file() {
	! agent_use || [ -z "${PID:-}" ] || agent_clean_up
	lab_file_teardown
}

@test "the lines of a start" {
	agent_end
	agent_on agent
	lines_are <<-X
		[agent] Tailscale detected: agent.ws.test
		[agent] Tailscale HTTPS not enabled in tailnet: its control server gives no certificates
		[agent] Tailscale Serve enabled
		[agent] Agent running at http://localhost:7391
		[agent] Tailscale HTTP: http://agent.ws.test
		[agent] Tailscale HTTP: http://agent.ws.test:7391
	X
}

@test "the owner needs nothing; others are named what admits them; tagged devices too" {
	local url
	for url in http://agent http://agent.ws.test http://agent:7391 "http://$(lab_ip agent):7391"; do
		calls 200 phone "$url"
		calls 403 guest "$url"
		[[ $BODY == *'guest@example.com may not use this agent; admit with: perry access add guest@example.com'* ]]
		calls 403 ci "$url"
		[[ $BODY == *'perry access add tag:ci'* ]]
	done
	own access add guest@example.com tag:ci
	calls 200 guest http://agent
	calls 200 ci http://agent:7391
	own access list | grep -q '^tag:ci'
	own access remove guest@example.com tag:ci
	calls 403 guest http://agent
	calls 403 ci http://agent:7391
}

# A stream that nothing is asked of: open until one of the two ends it. Its client's exit code, 28 when that was the client, goes to NODE.stream.
stream_of() { # NODE
	(lab_in "$1" curl -sN -m 15 -o /dev/null -D "$LAB/$1.head" -H 'Connection: Upgrade' -H 'Upgrade: websocket' -H 'Sec-WebSocket-Version: 13' \
		-H 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==' -H 'Sec-WebSocket-Protocol: perry.v1' http://agent:7391/rpc/stream || echo $? >"$LAB/$1.code"
	mv "$LAB/$1.code" "$LAB/$1.stream" 2>/dev/null || echo 0 >"$LAB/$1.stream") 3>&- &
	lab_until 10 grep -q '^HTTP/1.1 101' "$LAB/$1.head"
}

@test "who is no longer admitted loses what is open, and nobody else does" {
	own access add guest@example.com tag:ci
	local node
	for node in guest ci phone; do stream_of "$node"; done
	own access remove guest@example.com
	lab_until 5 test -e "$LAB/guest.stream"
	[ "$(cat "$LAB/guest.stream")" != 28 ]
	[ ! -e "$LAB/ci.stream" ]
	own access remove tag:ci
	lab_until 5 test -e "$LAB/ci.stream"
	[ ! -e "$LAB/phone.stream" ]
	lab_until 20 test -e "$LAB/phone.stream"
	[ "$(cat "$LAB/phone.stream")" = 28 ]
}

@test "a forged identity: on loopback, on the tailnet address, through Serve, by this machine itself" {
	local forged=(-H 'Tailscale-User-Login: owner@example.com')
	calls 401 agent http://127.0.0.1:7391 workspaces/list "${forged[@]}"
	calls 401 phone http://agent:7391 workspaces/list "${forged[@]}"
	calls 401 guest http://agent:7391 workspaces/list "${forged[@]}"
	calls 403 guest http://agent workspaces/list "${forged[@]}" -H "X-Forwarded-For: $(lab_ip phone)"
	[[ $BODY == *guest@example.com* ]]
	# Whatever runs on the agent's machine comes from its own address.
	calls 401 agent http://agent
	calls 401 agent http://agent:7391
	calls 401 agent http://agent:7391 workspaces/list -H "X-Forwarded-For: $(lab_ip phone)"
	calls 200 agent http://agent workspaces/list -H "Authorization: Bearer $TOKEN"
	# Its private socket knows tailscaled by its user; here both are root, so a name that is not that of the address is the proof.
	run lab_in agent curl -s -m 5 --unix-socket "$DIR/serve/agent.sock" -H 'X-Forwarded-Host: agent' -H "X-Forwarded-For: $(lab_ip guest)" "${forged[@]}" \
		-o "$LAB/forged" -w '%{http_code}' -X POST http://localhost/rpc/workspaces/list
	[ "$output" = 401 ]
	[ "$(stat -c %a "$DIR/serve")" = 700 ]
	calls 403 phone http://agent workspaces/list -H 'Tailscale-Funnel-Request: ?1' || calls 200 phone http://agent # tailscaled drops it
}

@test "a workspace is refused, even with the token" {
	local url
	for url in http://agent http://agent:7391; do
		calls 403 box "$url"
		[[ $BODY == *'workspaces may not use agents'* ]]
		calls 403 box "$url" workspaces/list -H "Authorization: Bearer $TOKEN"
	done
}

# What Python does with the database d of an agent that has ended, from standard input.
in_database() { (echo 'import json, sqlite3, sys, time; d = sqlite3.connect(sys.argv[1])' && cat && echo 'd.commit()') | python3 - "$DIR/state.db"; }

# Joining is another file's business: here the mark that it leaves is put into the database.
@test "a device of the owner's that came after a workspace got a key shows the token once" {
	agent_end
	# A minute ahead: so far the clocks of two machines may be apart. A workspace says that the tagged device is its own, as if all keys made such ones.
	in_database <<-X
		now = int(time.time() * 1000)
		d.execute("INSERT INTO kv VALUES ('perry', 'tailnet.keyGiven', ?)", (str(now + 60000),))
		d.execute("INSERT INTO workspaces(name, id, created, doc) VALUES ('liar', 'liar', ?, ?)", (now, json.dumps({"tailnet": {"state": "connected", "ip": "$(lab_ip ci)"}})))
	X
	agent_on agent
	lab_node late "$(lab_key)"
	lab_until 20 lab_in late curl -sf -m 2 -o "$LAB/late.health" http://agent:7391/health
	local url
	for url in http://agent http://agent:7391; do
		calls 403 late "$url"
		[[ $BODY == *'sign in on it once with the token'* ]]
		calls 200 phone "$url"
	done
	calls 200 late http://agent workspaces/list -H "Authorization: Bearer $TOKEN"
	lab_until 5 calls 200 late http://agent
	own access remove late
	calls 403 late http://agent:7391
	agent_end
	in_database <<-X
		d.execute("DELETE FROM kv WHERE key = 'tailnet.keyGiven'")
		d.execute("DELETE FROM workspaces WHERE name = 'liar'")
	X
	lab_node_down late
	agent_on agent
}

@test "a workspace that says that the owner's phone is its own does not lock it out" {
	agent_end
	in_database <<-X
		now, node = int(time.time() * 1000), "$(lab_node_named phone | jq -r .id)"
		said = {"tailnet": {"state": "connected", "ip": "$(lab_ip phone)", "nodeId": node}}
		d.execute("INSERT INTO workspaces(name, id, created, doc) VALUES ('liar', 'liar', ?, ?)", (now, json.dumps(said)))
		row = {"wsId": "liar", "state": "joined", "node": node, "asked": "liar", "hostname": "phone", "since": now + 3600000, "at": now + 3600000}
		d.execute("INSERT INTO outbox(workspace, doc) VALUES ('liar', ?)", (json.dumps(row),))
	X
	agent_on agent
	calls 200 phone http://agent
	calls 200 phone http://agent:7391
	agent_end
	# One that was made while it joined is believed to be its own, as it is for every workspace whose devices have no tags.
	in_database <<-X
		d.execute("UPDATE outbox SET doc = json_set(doc, '\$.since', 1, '\$.at', ?)", (int(time.time() * 1000),))
	X
	agent_on agent
	calls 403 phone http://agent workspaces/list -H "Authorization: Bearer $TOKEN"
	agent_end
	in_database <<-X
		d.execute("DELETE FROM outbox")
		d.execute("DELETE FROM workspaces WHERE name = 'liar'")
	X
	agent_on agent
}

@test "what changes the agent needs the token once per device; a new token ends that" {
	INPUT='{"json":{"post_start":[]}}' calls 403 phone http://agent config/scripts/update
	[[ $BODY == *token* ]]
	calls 200 phone http://agent:7391 info -H "Authorization: Bearer $TOKEN"
	INPUT='{"json":{"post_start":[]}}' lab_until 5 calls 200 phone http://agent config/scripts/update
	own access list --json | jq -e '.devices | length == 1 and .[0].login == "owner@example.com"'
	own access remove phone
	INPUT='{"json":{"post_start":[]}}' calls 403 phone http://agent config/scripts/update
	calls 200 phone http://agent info -H "Authorization: Bearer $TOKEN"
	INPUT='{"json":{"post_start":[]}}' lab_until 5 calls 200 phone http://agent config/scripts/update
	TOKEN=$(own auth generate)
	INPUT='{"json":{"post_start":[]}}' calls 403 phone http://agent config/scripts/update
	own access list --json | jq -e '.devices == []'
	calls 401 agent http://agent workspaces/list -H 'Authorization: Bearer wrong'
	agent_end
	agent_on agent
}

@test "a hook of one's own decides, from its next call on" {
	mkdir -p "$DIR/hooks"
	printf 'return function(req) return req.kind == "read", "only looking" end\n' >"$DIR/hooks/authorize.lua"
	calls 200 phone http://agent
	INPUT='{"json":{"name":"acc-never"}}' calls 403 phone http://agent workspaces/stop
	[[ $BODY == *'only looking'* ]]
	rm "$DIR/hooks/authorize.lua"
	INPUT='{"json":{"name":"acc-never"}}' calls 404 phone http://agent workspaces/stop
}

@test "names and origins" {
	local ip
	ip=$(lab_ip agent)
	calls 403 phone http://evil.example:7391 workspaces/list --resolve "evil.example:7391:$ip"
	[[ $BODY == *allowedHosts* ]]
	calls 403 phone http://agent workspaces/list -H 'Origin: http://evil.example'
	[[ $BODY == *allowedOrigins* ]]
	calls 200 phone http://agent workspaces/list -H 'Origin: http://agent'
	calls 200 phone http://agent:7391 workspaces/list -H 'Origin: http://agent:7391'
}

@test "the command line of another node" {
	run from phone config agent agent.ws.test
	[[ $output == *'http://agent.ws.test:7391 answers: Perry '* ]]
	[ "$(jq -r .agent "$LAB/client-phone/client.json")" = http://agent.ws.test:7391 ]
	from phone info | grep -q 'User: .*owner@example.com'
	need_engine
	local ws="acc-${DIR##*-}"
	ws=${ws,,}
	from phone start "$ws"
	from phone list | grep -q "^$ws"
	[ "$(echo in | from phone exec "$ws" -- cat)" = in ]
	run lab_in phone env PERRY_CONFIG_DIR="$LAB/client-phone" script -qec "$BUILD/perry shell $ws" /dev/null <<<'echo sum $((40 + 2)); exit'
	[[ $output == *'sum 42'* ]]
	from guest --agent agent list 2>"$LAB/guest.err" && false
	grep -q 'perry access add guest@example.com' "$LAB/guest.err"
	from phone delete -y "$ws"
	own prune >/dev/null
}

@test "perry info and doctor" {
	own info | grep -q 'Tailscale: *agent.ws.test'
	own info | grep -q 'URL: *http://agent.ws.test$'
	own doctor --json | jq -e '[.[] | select(.check | startswith("Tailscale")) | .ok] | all and length == 3'
	# Nobody of Headscale's is sent to Tailscale's console.
	refute grep -r 'login\.tailscale\.com' <(own doctor --json) "$DIR/stdout"
}

@test "renamed, stopped, started, killed and back: followed within a second" {
	local began
	tailscaled_back() { lab_tailscaled agent && lab_until 10 is_running; }
	renamed() { lab_ts agent set --hostname="$1" && lab_until 20 is_named "$1"; }
	is_named() { [ "$(lab_ts agent status --json --peers=false | jq -r .Self.DNSName)" = "$1.ws.test." ]; }
	is_running() { [ "$(lab_ts agent status --json --peers=false | jq -r .BackendState)" = Running ]; }
	follows() { # TEXT COMMAND...: it is said once the command has done it
		local text=$1
		shift
		: >"$DIR/stdout"
		"$@"
		lab_until 30 has_said "$text"
	}
	follows 'Tailscale HTTP: http://other.ws.test' renamed other
	lab_until 20 calls 200 phone http://other
	calls 403 phone http://agent.ws.test:7391 workspaces/list --resolve "agent.ws.test:7391:$(lab_ip agent)"
	follows 'Tailscale HTTP: http://agent.ws.test' renamed agent
	follows 'Tailscale not detected: Tailscale is stopped (sudo tailscale up)' lab_ts agent down
	own info | grep -q 'Tailscale: *stopped'
	follows 'Tailscale detected: agent.ws.test' lab_ts agent up
	follows 'Tailscale not detected: tailscaled is not running (sudo systemctl start tailscaled)' lab_tailscaled_kill agent
	own doctor | grep -q 'FAIL Tailscale .*tailscaled is not running'
	follows 'Tailscale HTTP: http://agent.ws.test' tailscaled_back
	lab_until 20 calls 200 phone http://agent
}

@test "a tailscaled that hangs: the start, calls and the end do not" {
	local pid ip
	ip=$(lab_ip agent)
	agent_end
	pid=$(lab_pid agent.tailscaled)
	kill -STOP "$pid"
	agent_on agent
	# It has not waited for an answer, which would have lines of its own.
	[ "$(cat "$DIR/stdout")" = '[agent] Agent running at http://localhost:7391' ]
	calls 200 agent http://127.0.0.1:7391 workspaces/list -H "Authorization: Bearer $TOKEN"
	kill -CONT "$pid"
	said 'Tailscale HTTP: http://agent.ws.test'
	calls 200 phone http://agent
	kill -STOP "$pid"
	# Who calls can be asked of nobody now: whoever has no token is not let in, and the agent lives and ends as ever.
	calls 401 agent "http://$ip:7391"
	calls 200 agent "http://$ip:7391" workspaces/list -H "Authorization: Bearer $TOKEN"
	agent_end
	kill -CONT "$pid"
	agent_on agent
}

@test "killed or ended, nothing of it is left on the tailnet" {
	gone() { [ "$(serve_config)" = '{}' ]; }
	serve_config | grep -q agent.sock
	agent_end KILL
	lab_until 30 gone
	agent_on agent
	said 'Tailscale HTTP: http://agent.ws.test'
	serve_config | grep -q '"agent.ws.test:80"'
	# At once again: its own entry of before is not taken for somebody else's.
	agent_end KILL
	agent_on agent
	said 'Tailscale HTTP: http://agent.ws.test:7391'
	serve_config | grep -q '"agent.ws.test:80"'
	agent_end
	lab_until 5 gone
	agent_on agent
}

@test "others' entries stay, and their ports are theirs" {
	agent_end
	lab_ts agent serve --bg --http=80 http://127.0.0.1:3999
	lab_ts agent serve --bg --tcp 2222 tcp://localhost:22
	agent_on agent
	said 'Tailscale HTTP: http://agent.ws.test:8080'
	calls 200 phone http://agent:8080
	serve_config | jq -e '.Web["agent.ws.test:80"].Handlers["/"].Proxy == "http://127.0.0.1:3999" and .TCP["2222"].TCPForward == "localhost:22"'
	agent_end
	lab_until 5 eval 'serve_config | jq -e ".Foreground == null and (.TCP | keys == [\"2222\",\"80\"])"'
	lab_ts agent serve reset
	agent_on agent
	# What an agent of before left there for good is replaced.
	agent_end
	lab_ts agent serve --bg --http=80 http://127.0.0.1:7391
	agent_on agent
	said 'Tailscale HTTP: http://agent.ws.test'
	serve_config | jq -e '.Web == null and (.Foreground | length == 1)'
}

@test "not installed, logged out, switched off: on localhost only, and said" {
	agent_end
	SOCKET=/nowhere/tailscaled.sock agent_on agent env PATH=/bin
	lines_are <<-X
		[agent] Tailscale not detected: Tailscale is not installed (https://tailscale.com/download)
		[agent] Continuing on localhost only
		[agent] Agent running at http://localhost:7391
	X
	own doctor --json | jq -e '.[] | select(.check == "Tailscale") | .ok'
	refute lab_in phone curl -s -m 2 http://agent:7391/health
	agent_end
	lab_node fresh
	SOCKET=$LAB/fresh/tailscaled.sock agent_on agent
	said 'Tailscale not detected: Tailscale is logged out (sudo tailscale up)'
	agent_end
	cp "$DIR/config.json" "$LAB/config.kept"
	jq '.tailscale.serve = false' "$LAB/config.kept" >"$DIR/config.json"
	agent_on agent
	[ "$(serve_config)" = '{}' ]
	[ "$(lab_in agent ss -Hltn 'sport = :7391' | grep -c 100.64)" = 0 ]
	# Switched on while it runs.
	own agent config set tailscale.serve true
	said 'Tailscale Serve enabled'
	calls 200 phone http://agent
}

@test "a user who is no operator: on the tailnet's addresses; an operator: over loopback, and then with a token" {
	local AS=(setpriv --reuid=65534 --regid=65534 --clear-groups)
	agent_of_nobody
	said 'Tailscale HTTP: http://agent.ws.test:7391'
	refute has_said 'Serve enabled'
	calls 200 phone http://agent:7391
	own doctor | grep -q 'FAIL Tailscale Serve .*requires operator permissions'
	lab_ts agent set --operator=nobody
	said 'Tailscale Serve reaches the agent over 127.0.0.1 (tailscaled takes a socket from root only): its callers sign in with a token'
	calls 401 phone http://agent
	calls 200 phone http://agent workspaces/list -H "Authorization: Bearer $TOKEN"
	# Without a token nobody would have to sign in: then there is no publication over loopback, and its callers are not let in.
	own auth disable -y
	said 'where nobody has to sign in'
	lab_until 5 eval '[ "$(serve_config)" = "{}" ]'
	calls 200 agent http://127.0.0.1:7391
	calls 401 agent http://127.0.0.1:7391 workspaces/list -H 'X-Forwarded-For: 100.64.0.9'
	lab_ts agent set --operator=
	agent_end
}
