#!/usr/bin/env bats
# The agent on a tailnet with HTTPS certificates (Tailscale's own test control server; every node is a user of its own there).
load helper
load agent

nodes() {
	lab_https_up
	lab_https_node agent
	lab_https_node phone
	agent_on agent
	lab_until 20 lab_in phone curl -sf -m 2 --cacert "$LAB/https/ca.crt" -o "$LAB/phone.health" https://agent.https.test/health
	own access add user-2@fake-control.example.net
}
setup_file() { lab_file_setup nodes; }
setup() {
	lab_file_use
	agent_use
	URL=https://agent.https.test
}
teardown_file() {
	! agent_use || [ -z "${PID:-}" ] || agent_clean_up
	lab_file_teardown
}

@test "HTTPS enabled, operator set: the document's four lines, and nothing on the tailnet's addresses" {
	lines_are <<-X
		[agent] Tailscale detected: agent.https.test
		[agent] Tailscale Serve enabled
		[agent] Agent running at http://localhost:7391
		[agent] Tailscale HTTPS: https://agent.https.test
	X
	calls 200 phone "$URL"
	refute lab_in phone curl -s -m 2 -o "$LAB/none" http://agent.https.test:7391/health
	own info | grep -q 'HTTPS URL: *https://agent.https.test$'
	own info --json | jq -e '.tailscale | .serveActive and .signIn == "identity" and .user == "user-1@fake-control.example.net"'
	own doctor --json | jq -e '[.[] | select(.check | startswith("Tailscale")) | .ok] | all and length == 3'
}

@test "the other node's command line: https first" {
	run from phone config agent agent.https.test
	[[ $output == *"$URL answers: Perry "* ]]
	[ "$(jq -r .agent "$LAB/client-phone/client.json")" = "$URL" ]
	from phone info | grep -q 'HTTPS URL'
	from phone --agent agent.https.test list
	need_engine
	local ws="acc-${DIR##*-}"
	ws=${ws,,}
	from phone start "$ws"
	from phone list | grep -q "^$ws"
	[ "$(echo in | from phone exec "$ws" -- cat)" = in ]
	from phone cp "$BATS_TEST_FILENAME" "$ws:copied"
	from phone exec "$ws" -- cat copied | cmp - "$BATS_TEST_FILENAME"
	from phone delete -y "$ws"
	own prune >/dev/null
}

@test "who is not let in: a user, this machine, a forged header" {
	local forged=(-H 'Tailscale-User-Login: user-1@fake-control.example.net')
	own access remove user-2@fake-control.example.net
	calls 403 phone "$URL"
	[[ $BODY == *'perry access add user-2@fake-control.example.net'* ]]
	calls 403 phone "$URL" workspaces/list "${forged[@]}"
	calls 401 agent "$URL"
	calls 401 agent http://127.0.0.1:7391 workspaces/list "${forged[@]}"
	own access add user-2@fake-control.example.net
	calls 200 phone "$URL"
	calls 403 phone "$URL" workspaces/list -H 'Origin: https://evil.example'
	calls 200 phone "$URL" workspaces/list -H "Origin: $URL"
}

@test "a session of the browser, and the device is approved by it" {
	INPUT='{"json":{"post_start":[]}}' calls 403 phone "$URL" config/scripts/update
	lab_in phone curl -s -m 10 --cacert "$LAB/https/ca.crt" -c "$LAB/cookies" -D "$LAB/login.head" -d "token=$TOKEN" "$URL/login" -o "$LAB/login"
	grep -qi '^set-cookie: .*; Secure' "$LAB/login.head"
	calls 200 phone "$URL" info -b "$LAB/cookies" -H "$(grep -i '^x-perry-session:' "$LAB/login.head" | tr -d '\r')"
	INPUT='{"json":{"post_start":[]}}' lab_until 5 calls 200 phone "$URL" config/scripts/update
	own access list --json | jq -e '.devices[0].name == "phone.https.test"'
	own access remove phone.https.test
}

@test "port 443 is somebody else's: 8443, and said" {
	agent_end
	lab_ts agent serve --bg --https=443 http://127.0.0.1:3999
	agent_on agent
	said 'Tailscale HTTPS: https://agent.https.test:8443'
	calls 200 phone "$URL:8443"
	run from phone config agent "$URL:8443"
	[ "$status" = 0 ]
	serve_config | jq -e '.Web["agent.https.test:443"].Handlers["/"].Proxy == "http://127.0.0.1:3999"'
	agent_end
	lab_ts agent serve reset
	agent_on agent
	said 'Tailscale HTTPS: https://agent.https.test'
}

@test "kill -9 takes it off the tailnet" {
	gone() { [ "$(serve_config)" = '{}' ]; }
	agent_end KILL
	lab_until 5 gone
	agent_on agent
	said "Tailscale HTTPS: $URL"
	calls 200 phone "$URL"
}

@test "HTTPS enabled, no operator: instructions, localhost only; made operator, the agent follows" {
	local AS=(setpriv --reuid=65534 --regid=65534 --clear-groups)
	agent_of_nobody
	# shellcheck disable=SC2016
	lines_are <<-'X'
		[agent] Tailscale detected: agent.https.test
		[agent] Tailscale Serve requires operator permissions
		[agent] To enable: Run: sudo tailscale set --operator=$USER
		[agent] Continuing without HTTPS...
		[agent] Agent running at http://localhost:7391
	X
	[ "$(serve_config)" = '{}' ]
	[ "$(lab_in agent ss -Hltn 'sport = :7391' | grep -vc -e 127.0.0.1 -e '\[::1\]')" = 0 ]
	lab_ts agent set --operator=nobody
	said 'Tailscale HTTPS: https://agent.https.test'
	said 'its callers sign in with a token'
	calls 401 phone "$URL"
	calls 200 phone "$URL" workspaces/list -H "Authorization: Bearer $TOKEN"
	own info --json | jq -e '.tailscale.signIn == "token"'
	lab_ts agent set --operator=
	agent_end
}
