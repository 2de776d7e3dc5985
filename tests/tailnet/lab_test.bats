#!/usr/bin/env bats
# The lab itself: three nodes on a real tailnet, names, keys, HTTPS certificates, a control server that hangs or is away, and nothing left behind.
load helper

setup_file() { lab_file_setup nodes; }
teardown_file() { lab_file_teardown; }
setup() { lab_file_use; }

nodes() {
	# Side by side; each is a join of 2 s.
	lab_node agent "$(lab_key)" &
	local agent=$!
	lab_node phone "$(lab_key --user guest)" &
	local phone=$!
	lab_container box "$(lab_key --ephemeral --tags tag:ws)"
	wait $agent
	wait $phone
	web agent 0.0.0.0 8000
	# Perl, because the bare image has no other interpreter.
	# shellcheck disable=SC2016
	docker exec -d "$LAB_BRIDGE-box" perl -MIO::Socket::INET -e '$SIG{PIPE} = "IGNORE"; $s = IO::Socket::INET->new(LocalPort => 8080, Listen => 9, ReuseAddr => 1) or die;
		while ($c = $s->accept) { while (<$c>) { last if /^\r?$/ } print $c "HTTP/1.0 200 OK\r\n\r\nthe box\n"; close $c }'
}
# web NODE ADDRESS PORT: a web server that ends with its machine
web() { lab_in "$1" setsid python3 "$BATS_TEST_DIRNAME/web.py" "$2" "$3" >"$LAB/$1.web.log" 2>&1 </dev/null 3>&- & }
# get NODE URL [curl options]
get() {
	local node=$1 url=$2
	shift 2
	lab_in "$node" curl -sS -m 5 --fail "$@" "$url"
}
state_of() { lab_ts "$1" status --json | jq -r .BackendState; }
state_is() { [ "$(state_of "$1")" = "$2" ]; }
no_node_named() { ! lab_node_named "$1"; }

@test "agent, phone and a bare container have joined, each as who its key says" {
	[ "$(lab_nodes | jq -r '[.[] | .givenName] | sort | join(" ")')" = "agent box phone" ]
	[ "$(lab_node_named phone | jq -r .user.name)" = guest ]
	[ "$(lab_node_named box | jq -r '.tags[0]')" = tag:ws ]
	[ "$(lab_ts agent status --json | jq -r .Self.ID)" = "$(lab_node_named agent | jq -r .id)" ]
	[ "$(lab_ts agent whois --json "$(lab_ip phone)" | jq -r .UserProfile.LoginName)" = guest@example.com ]
}

@test "the phone reaches web servers by their names, which only the tailnet's DNS knows" {
	lab_until 20 get phone http://agent.ws.test:8000/hello | grep -q 'GET /hello'
	lab_until 20 get phone http://agent:8000/short | grep -q 'Host: agent:8000'
	[ "$(lab_until 20 get phone http://box.ws.test:8080/)" = "the box" ]
	refute getent hosts agent.ws.test
	# And not around the tailnet: the engine keeps its networks closed.
	refute get phone "http://$(docker inspect -f '{{.NetworkSettings.IPAddress}}' "$LAB_BRIDGE-box"):8080/" -m 1
}

@test "machines and containers come to reach each other directly" {
	lab_until 30 lab_ts phone ping -c 1 --until-direct=true agent | grep -q "via $LAB_IP\|via 10.199"
	lab_until 30 lab_ts phone ping -c 1 --until-direct=true box | grep -q 'via 10.199\|via 172'
}

@test "keys: used once, expired, wrong, reusable; an ephemeral node goes when it logs out, a persistent one stays" {
	local key
	lab_node third
	run lab_join third hskey-auth-wrong
	[ "$status" = 1 ]
	[[ $output == *"backend error:"* ]]
	key=$(lab_key --expiry 1s)
	key_is_expired() { lab_api GET /api/v1/preauthkey | jq -e '[.preAuthKeys[].expiration | sub("\\.[0-9]+"; "") | fromdate] | min < now - 1'; }
	lab_until 5 key_is_expired >/dev/null
	run lab_join third "$key"
	[[ $output == *"authkey expired"* ]]
	key=$(lab_key --ephemeral)
	lab_join third "$key" --reset
	lab_node_named third | jq -e '.preAuthKey.ephemeral' >/dev/null
	lab_ts third logout
	lab_until 10 no_node_named third
	run lab_join third "$key"
	[[ $output == *"authkey already used"* ]]
	key=$(lab_key --reusable)
	lab_join third "$key" --reset
	lab_ts third logout
	lab_node_named third >/dev/null
	lab_join third "$key" --reset
	lab_node_down third
	lab_api DELETE "/api/v1/node/$(lab_node_named third | jq -r .id)"
}

@test "a machine whose tailscaled was killed comes back with its state" {
	local id
	id=$(lab_ts phone status --json | jq -r .Self.ID)
	lab_tailscaled_kill phone
	refute lab_ts phone status
	lab_tailscaled phone
	lab_until 10 state_is phone Running
	[ "$(lab_ts phone status --json | jq -r .Self.ID)" = "$id" ]
	lab_until 20 get phone http://agent:8000/ >/dev/null
}

@test "control can hang, and can be away" {
	lab_pause_control
	run curl -s -m 1 "$LAB_URL/health"
	[ "$status" = 28 ]
	# What is joined goes on.
	get phone http://agent:8000/ >/dev/null
	lab_resume_control
	lab_stop_control
	run curl -s -m 1 "$LAB_URL/health"
	[ "$status" = 7 ]
	lab_start_control
	lab_node_named agent | jq -e '.id' >/dev/null
	lab_node late "$(lab_key --ephemeral)"
	lab_node_down late
}

@test "HTTPS: certificates of the lab's CA, identity of the caller, and a node that control expires" {
	local cert
	lab_https_up
	lab_https_node shop
	lab_https_node buyer
	[ "$(lab_ts shop status --json | jq -r '.CertDomains[0]')" = shop.https.test ]
	web shop 127.0.0.1 7391
	lab_ts shop serve --bg 7391
	cert=$LAB/https/ca.crt
	run lab_until 20 get buyer https://shop.https.test/ --cacert "$cert" -H 'Tailscale-User-Login: somebody'
	[ "$status" = 0 ]
	[[ $output == *"X-Forwarded-Proto: https"* ]]
	[[ $output == *"Tailscale-User-Login: user-2@"* ]]
	[[ $output != *somebody* ]]
	# Nobody else trusts that CA.
	run get buyer https://shop.https.test/
	[ "$status" = 60 ]
	# What this control server does not know is refused; it used to end testcontrol's whole process.
	[ "$(curl -s -m 5 -o /dev/null -w '%{http_code}' --unix-socket "$LAB/shop/tailscaled.sock" -X POST \
		'http://local-tailscaled.sock/localapi/v0/query-feature?feature=https')" = 501 ]
	lab_https_expire "$(lab_https_nodes | jq '.[] | select(.Name == "buyer.https.test.") | .ID')"
	lab_until 10 state_is buyer NeedsLogin
	LAB_LOGIN=$LAB_HTTPS_URL lab_join buyer "$(cat "$LAB/https/key")"
	state_is buyer Running
	lab_ts buyer logout
	state_is buyer NeedsLogin
}

@test "a lab that is taken down leaves nothing, and one that died is cleaned up by the next" {
	local first=$LAB/first second=$LAB/second bridge pid ns
	sleep 600 3>&- &
	pid=$!
	lab_up "$first" $pid
	bridge=$LAB_BRIDGE
	lab_node agent "$(lab_key)"
	lab_container box ''
	web agent 127.0.0.1 7391
	ns=$(readlink "/proc/$(lab_pid agent.ns)/ns/net")
	three_inside() { [ "$(lab__inside_of "$ns" | wc -l)" -ge 3 ]; }
	lab_until 10 three_inside
	iptables -S FORWARD | grep -q "$bridge "

	# Its owner dies; another lab comes up on another bridge, and the first is gone.
	kill -KILL $pid
	wait $pid || true
	lab_up "$second" $$
	[ "$(cat "$LAB_STATE/dir")" = "$second" ]
	[ -z "$(lab__inside_of "$ns")" ]
	refute docker container inspect "$bridge-box"
	refute lab_in agent true

	bridge=$LAB_BRIDGE
	pid=$(lab_pid headscale)
	[[ $(tr '\0' ' ' <"/proc/$pid/cmdline") == *headscale*serve* ]]
	lab_down "$second"
	refute ip link show "$bridge"
	refute [ -e "$LAB_STATE" ]
	[ -z "$(iptables -S FORWARD | grep "$bridge " || true)" ]
	lab__gone "$pid"
}

@test "Headscale takes the access rules of docs/tailscale.md" {
	local doc="$BATS_TEST_DIRNAME/../../docs/tailscale.md" block='/^```json$/,/^```$/p'
	sed -n "$block" "$doc" | sed 's/^```.*$//' | jq -s '(map(select(.acls))[0]) * (map(select(.tagOwners and (.acls | not)))[0])
		| .tagOwners |= map_values(map(if . == "you@" then "owner@" else . end))' >"$BATS_TEST_TMPDIR/policy.json"
	jq -e '.acls and .tagOwners["tag:perry-workspace"] == ["owner@"]' "$BATS_TEST_TMPDIR/policy.json"
	lab_headscale policy check -f "$BATS_TEST_TMPDIR/policy.json"
}
