#!/usr/bin/env bats
# Workspaces of a real agent on a real tailnet: joined by name, reached from another machine, kept over restarts, and what they say when they cannot join.
load join_agent

setup_file() { lab_file_setup world; }
teardown_file() { join_teardown; }
setup() { join_use; }

world() {
	lab_node phone "$(lab_key --user guest)" &
	local phone=$!
	join_setup
	wait $phone
	N=$(cat "$BATS_FILE_TMPDIR/prefix")
	# For the last test: control has dropped it by then.
	key "$(lab_key --reusable --ephemeral)"
	p start "$N-eph"
	of "$N-eph" .tailscale.ip >"$BATS_FILE_TMPDIR/eph.ip"
	node_of "$N-eph" >"$BATS_FILE_TMPDIR/eph.id"
	p stop "$N-eph"
	key "$(jq -r .authKey "$LAB/tailscale.json")"
	p start "$N-web"
}

@test "a workspace is on the tailnet by its name: a web server and SSH, from another machine" {
	connected "$N-web"
	is "$N-web" .tailscale.hostname "$N-web"
	is "$N-web" .tailscale.dnsName "$N-web.ws.test"
	is "$N-web" .tailscale.ip "$(lab_node_named "$N-web" | jq -r '.ipAddresses[0]')"
	web "$N-web" 3000 "it is me"
	[ "$(lab_until 30 get phone "http://$N-web:3000/")" = "it is me" ]
	[ "$(get phone "http://$N-web.ws.test:3000/")" = "it is me" ]
	[ "$(lab_in phone ssh -n -i "$LAB/id" -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o ConnectTimeout=5 "workspace@$N-web" whoami)" = workspace ]
	# And from inside, as the document has it.
	docker exec "workspace-$N-web" tailscale status | grep -q "$N-web"
	[[ $(p list | grep "^$N-web") == *"running"*" $N-web "* || $(p list | grep "^$N-web") == *$'\t'"$N-web"$'\t'* ]]
	p info "$N-web" | grep -q "^tailscale.dnsName *$N-web.ws.test$"
	docker logs "workspace-$N-web" 2>&1 | grep -q "^\[perry\] tailscale: connected as $N-web.ws.test$"
}

@test "over its IPv6 address: a web server on all addresses, and SSH" {
	local ip
	ip=$(lab_node_named "$N-web" | jq -r '.ipAddresses[1]')
	[[ $ip == fd7a:* ]]
	docker exec -d "workspace-$N-web" perl -MSocket -e '$SIG{PIPE} = "IGNORE"; socket(S, AF_INET6, SOCK_STREAM, 0) or die; setsockopt(S, SOL_SOCKET, SO_REUSEADDR, 1);
		bind(S, pack_sockaddr_in6(3006, "\0" x 16)) or die; listen(S, 9);
		while (accept(C, S)) { while (<C>) { last if /^\r?$/ } print C "HTTP/1.0 200 OK\r\n\r\nsix\n"; close C }'
	[ "$(lab_until 30 get phone "http://[$ip]:3006/")" = six ]
	[ "$(get phone "http://$N-web:3006/")" = six ]
	[ "$(lab_in phone ssh -n -i "$LAB/id" -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o ConnectTimeout=5 "workspace@$ip" whoami)" = workspace ]
	# Not on the engine's own network: this machine's services would be there.
	refute inside "$N-web" grep -v ' tailscale0$\| lo$' /proc/net/if_inet6
	# Nor when it was taken off that, and the agent puts it back.
	docker network disconnect "$(docker inspect -f '{{.HostConfig.NetworkMode}}' "workspace-$N-web")" "workspace-$N-web"
	back() { [ -n "$(docker inspect -f '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' "workspace-$N-web")" ]; }
	lab_until 30 back
	none() { ! inside "$N-web" grep -v ' tailscale0$\| lo$' /proc/net/if_inet6; }
	lab_until 30 none
}

@test "development servers are told its names" {
	[ "$(p exec "$N-web" -- printenv __VITE_ADDITIONAL_SERVER_ALLOWED_HOSTS)" = "$N-web" ]
	[ "$(p exec "$N-web" -- printenv RAILS_DEVELOPMENT_HOSTS)" = "$N-web,$N-web.ws.test" ]
	p restart "$N-web"
	[ "$(p exec "$N-web" -- printenv RAILS_DEVELOPMENT_HOSTS)" = "$N-web,$N-web.ws.test" ]
}

@test "restarted, and made anew, it keeps name, address and id; a start that has nothing to do says so quickly" {
	local ip id
	ip=$(of "$N-web" .tailscale.ip) id=$(node_of "$N-web")
	p restart "$N-web"
	is "$N-web" .tailscale.ip "$ip"
	docker rm -f "workspace-$N-web" >/dev/null
	lab_until 10 refute status_is "$N-web" running
	p start "$N-web"
	is "$N-web" .tailscale.ip "$ip"
	is "$N-web" .tailscale.hostname "$N-web"
	p stop "$N-web"
	is "$N-web" .tailscale.status none
	p start "$N-web"
	is "$N-web" .tailscale.ip "$ip"
	[ "$(node_of "$N-web")" = "$id" ]
	[ "$(lab_nodes | jq "[.[] | select(.name | startswith(\"$N-web\"))] | length")" = 1 ]
}

@test "a hostname that is decided differently renames the node at the next start" {
	config tailscale.hostnamePrefix dev-
	p restart "$N-web"
	is "$N-web" .tailscale.hostname "dev-$N-web"
	lab_until 5 lab_node_named "dev-$N-web"
	config tailscale.hostnamePrefix
	mkdir -p "$DIR/hooks"
	echo 'return function(ws, base) return "my-" .. base() end' >"$DIR/hooks/hostname.lua"
	p restart "$N-web"
	is "$N-web" .tailscale.hostname "my-$N-web"
	rm "$DIR/hooks/hostname.lua"
	p restart "$N-web"
	is "$N-web" .tailscale.hostname "$N-web"
	[ "$(lab_nodes | jq "[.[] | select(.name | contains(\"$N-web\"))] | length")" = 1 ]
}

@test "a prefix that is too long with the name is refused, when it is saved and when a workspace is created" {
	local long
	long=$(printf 'x%.0s' $(seq 50))
	run p agent config set tailscale.hostnamePrefix "$long$long"
	[ "$status" != 0 ]
	[[ $output == *"the hostname of the workspace $N-"* ]]
	run p agent config get tailscale.hostnamePrefix
	refute grep -q "$long" <<<"$output"
	rpc config/tailscale/update "{\"hostnamePrefix\": \"$long$long\"}"
	[ "$CODE" = 400 ]
	[[ $BODY == *"63 is the most"* ]]
	config tailscale.hostnamePrefix "$long"
	run p start "$N-too-long-for-it"
	config tailscale.hostnamePrefix
	[ "$status" = 7 ]
	[[ $output == *"$long$N-too-long-for-it would have"*"characters, and 63 is the most"* ]]
}

@test "without a key nothing joins; one that is added counts after stop and start, and what was installed stays" {
	config tailscale.authKey
	p start "$N-later"
	is "$N-later" .tailscale null
	[ "$(docker inspect -f '{{.HostConfig.CapAdd}} {{.HostConfig.Devices}} {{.Config.Env}}' "workspace-$N-later" | grep -c 'NET_ADMIN\|tun\|TS_')" = 0 ]
	inside "$N-later" touch /usr/local/installed /home/workspace/mine
	key "$(jq -r .authKey "$LAB/tailscale.json")"
	p doctor | grep -q "$N-later .*before there was an auth key" || p doctor | grep -A1 "$N-later"
	p stop "$N-later"
	p start "$N-later"
	connected "$N-later"
	inside "$N-later" ls /usr/local/installed /home/workspace/mine
	docker inspect -f '{{.HostConfig.CapAdd}}{{.Config.Env}}' "workspace-$N-later" | grep -q 'NET_ADMIN.*TS_AUTHKEY=file:/run/perry/ts/authkey'
	# And without the key again: the image that its container was committed to does not make it join.
	config tailscale.authKey
	p restart "$N-later"
	is "$N-later" .tailscale.status none
	refute inside "$N-later" pgrep tailscaled
	key "$(jq -r .authKey "$LAB/tailscale.json")"
	p delete -y "$N-later"
	nothing docker volume ls -q --filter "name=workspace-$N-later"
}

@test "a clone has a name and a device of its own" {
	p clone "$N-web" "$N-twin"
	connected "$N-twin"
	is "$N-twin" .tailscale.hostname "$N-twin"
	[ "$(of "$N-twin" .tailscale.ip)" != "$(of "$N-web" .tailscale.ip)" ]
	p delete -y "$N-twin"
}

@test "a key that is used, expired or wrong: the workspace runs and says why, and joins when a good key is saved" {
	local used
	used=$(lab_key)
	key "$used"
	p start "$N-one"
	connected "$N-one"
	run p start "$N-two"
	[ "$status" = 0 ]
	[[ $output == *"perry: warning: $N-two: not on the tailnet: authkey already used"*"make a reusable one (headscale preauthkeys create)"* ]]
	is "$N-two" .status running
	failed_with "$N-two" "authkey already used"
	p list | grep -q "^$N-two .*(failed)\|^$N-two.*(failed)"
	docker logs "workspace-$N-two" 2>&1 | grep -q '^\[perry\] tailscale: not connected: authkey already used$'
	key "$(lab_key --expiry 1s && sleep 1.1)"
	lab_until 10 failed_with "$N-two" "authkey expired"
	mend_has "$N-two" "make a new key"
	key hskey-auth-wrong-wrong-wrong
	lab_until 10 failed_with "$N-two" "failed to parse auth-key"
	mend_has "$N-two" "does not know that key"
	key "hskey-auth-$(printf 'a%.0s' $(seq 12))-$(printf 'b%.0s' $(seq 64))"
	lab_until 10 failed_with "$N-two" "invalid pre auth key"
	mend_has "$N-two" "does not know that key"
	p doctor | grep -q "$N-two .*not on the tailnet: "
	key "$(jq -r .authKey "$LAB/tailscale.json")"
	lab_until 10 connected "$N-two"
	p delete -y "$N-one"
	p delete -y "$N-two"
}

@test "a control server that is not one: its name, its certificate, its protocol, and what to do" {
	config tailscale.joinTimeout 6
	local url
	config tailscale.loginServer http://127.0.0.1:9
	p start "$N-where"
	failed_with "$N-where" "connection refused"
	for url in http://no-such.invalid "https://$LAB_IP:3343"; do
		config tailscale.loginServer "$url"
		case $url in
		http://no-such*) lab_until 40 mend_has "$N-where" "check the name in tailscale.loginServer" ;;
		*) lab_until 40 mend_has "$N-where" "certificate" ;;
		esac
	done
	config tailscale.loginServer "$LAB_URL"
	config tailscale.joinTimeout
	p delete -y "$N-where"
}

@test "a key that is saved while a join is under way has its turn after it" {
	key hskey-auth-wrong-wrong-wrong
	lab_pause_control
	p start "$N-late" >"$BATS_TEST_TMPDIR/start" 2>&1 3>&- &
	local start=$!
	lab_until 30 inside "$N-late" pgrep -f "tailscale up"
	key "$(jq -r .authKey "$LAB/tailscale.json")"
	lab_resume_control
	wait $start
	grep -q "not on the tailnet: " "$BATS_TEST_TMPDIR/start"
	lab_until 30 connected "$N-late"
	p delete -y "$N-late"
}

@test "a node that the control server expires: said within seconds, joined again by the next start with the same name and address" {
	local ip
	ip=$(of "$N-web" .tailscale.ip)
	lab_headscale nodes expire -i "$(node_of "$N-web")" >/dev/null
	lab_until 10 is "$N-web" .tailscale.status failed
	p start "$N-web"
	connected "$N-web"
	is "$N-web" .tailscale.ip "$ip"
	is "$N-web" .tailscale.hostname "$N-web"
}

@test "the control server is away, or silent: the start ends in time, and a later one joins" {
	config tailscale.joinTimeout 5
	lab_stop_control
	local from=$SECONDS
	p start "$N-away"
	[ $((SECONDS - from)) -lt 12 ]
	is "$N-away" .status running
	failed_with "$N-away" "connection refused"
	mend_has "$N-away" "check that the control server runs"
	lab_start_control
	lab_pause_control
	from=$SECONDS
	p start "$N-hung"
	[ $((SECONDS - from)) -lt 12 ]
	is "$N-hung" .tailscale.status failed
	# One that was on the tailnet before goes on without control.
	p restart "$N-web"
	is "$N-web" .status running
	lab_resume_control
	config tailscale.joinTimeout
	p start "$N-hung"
	lab_until 10 connected "$N-hung"
	p start "$N-away"
	lab_until 10 connected "$N-away"
	p start "$N-web"
	lab_until 10 connected "$N-web"
	p delete -y "$N-away"
	p delete -y "$N-hung"
}

@test "the name is another's: NAME-1 is shown, or refused by a hook" {
	lab_node "$N-taken" "$(lab_key --user guest)"
	p start "$N-taken"
	is "$N-taken" .tailscale.hostname "$N-taken-1"
	p delete -y "$N-taken"
	mkdir -p "$DIR/hooks"
	# shellcheck disable=SC2016
	echo 'return function(ws, base, ev) perry.log(perry.json.encode(ev)); return "refuse" end' >"$DIR/hooks/collision.lua"
	p start "$N-taken"
	rm "$DIR/hooks/collision.lua"
	failed_with "$N-taken" "the name $N-taken is taken on the tailnet"
	grep -q '"ours":false' "$DIR/stderr" "$DIR/stdout" "$DIR/agent.log"
	lab_until 10 refute lab__online "$N-taken-1"
	p delete -y "$N-taken"
}
lab__online() { [ "$(lab_node_named "$1" | jq -r .online)" = true ]; }

@test "our own old device of that name makes way, where there is a credential to remove it" {
	p start "$N-old"
	local id
	id=$(node_of "$N-old")
	p stop "$N-old"
	docker rm "workspace-$N-old" >/dev/null
	docker volume rm "workspace-$N-old-tailscale" >/dev/null
	jq --arg url "$LAB_URL" --arg key "file:$LAB/api.key" '.secrets.lab = $key | .tailscale.credentials.lab = {type: "headscale", url: $url, apiKey: "lab"}' "$DIR/config.json" >"$DIR/new"
	cat "$DIR/new" >"$DIR/config.json"
	p start "$N-old"
	is "$N-old" .tailscale.hostname "$N-old"
	[ "$(node_of "$N-old")" != "$id" ]
	[ "$(lab_nodes | jq "[.[] | select(.name | startswith(\"$N-old\"))] | length")" = 1 ]
	p delete -y "$N-old"
	lab_until 10 no_node_named "$N-old"
	jq 'del(.secrets) | del(.tailscale.credentials)' "$DIR/config.json" >"$DIR/new"
	cat "$DIR/new" >"$DIR/config.json"
}

@test "any image: a bare one joins, and has the tailscale command" {
	p start "$N-bare" --image debian:bookworm
	connected "$N-bare"
	inside "$N-bare" tailscale status | grep -q "$N-bare"
	web "$N-bare" 3000 bare
	[ "$(lab_until 30 get phone "http://$N-bare:3000/")" = bare ]
	p delete -y "$N-bare"
}

@test "userspace networking by a hook: no rights, reached by name, and out through the proxy" {
	local ip
	mkdir -p "$DIR/hooks"
	echo 'return function(ws, base) local up = base(); up.userspace = true; return up end' >"$DIR/hooks/tailscale_up.lua"
	p start "$N-user"
	rm "$DIR/hooks/tailscale_up.lua"
	connected "$N-user"
	[ "$(docker inspect -f '{{.HostConfig.CapAdd}}{{.HostConfig.Devices}}' "workspace-$N-user" | grep -c 'NET_ADMIN\|tun')" = 0 ]
	web "$N-user" 3000 user
	[ "$(lab_until 30 get phone "http://$N-user:3000/")" = user ]
	# Over IPv6 as well, which its container has none of: the same server, and SSH.
	ip=$(lab_node_named "$N-user" | jq -r '.ipAddresses[1]')
	[[ $ip == fd7a:* ]]
	[ "$(lab_until 30 get phone "http://[$ip]:3000/")" = user ]
	[ "$(lab_in phone ssh -n -i "$LAB/id" -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o ConnectTimeout=5 "workspace@$ip" whoami)" = workspace ]
	nothing inside "$N-user" cat /proc/net/if_inet6
	web "$N-web" 3001 "from there"
	# shellcheck disable=SC2016
	[ "$(lab_until 30 p exec "$N-user" -- curl -sS -m 5 --fail "http://$N-web.ws.test:3001/")" = "from there" ]
	p delete -y "$N-user"
}

@test "hooks that fail: it runs without the tailnet and names the hook" {
	mkdir -p "$DIR/hooks"
	echo 'return function(ws) return ws.nmae end' >"$DIR/hooks/hostname.lua"
	p start "$N-hook"
	failed_with "$N-hook" "'ws' has no field 'nmae'"
	rm "$DIR/hooks/hostname.lua"
	p start "$N-hook"
	connected "$N-hook"
	p delete -y "$N-hook"
}

@test "several at once" {
	local n=6 i all=()
	[ -z "${PERRY_LONG:-}" ] || n=20
	for i in $(seq $n); do
		p start "$N-many-$i" >"$BATS_TEST_TMPDIR/$i" 2>&1 3>&- &
		all+=($!)
	done
	wait "${all[@]}"
	for i in $(seq $n); do is "$N-many-$i" .tailscale.hostname "$N-many-$i" || { cat "$BATS_TEST_TMPDIR/$i"; of "$N-many-$i" .tailscale; return 1; }; done
	[ "$(lab_nodes | jq -r "[.[] | select(.name | startswith(\"$N-many\")) | .ipAddresses[0]] | unique | length")" = $n ]
	for i in $(seq $n); do p delete -y "$N-many-$i" >/dev/null 2>&1; done
}

@test "an agent without tailscale for workspaces: they run, and it says what is missing" {
	kill "$PID"
	lab_until 15 refute kill -0 "$PID"
	mkdir -p "$BATS_TEST_TMPDIR/none"
	PERRY_TAILSCALE_DIR=$BATS_TEST_TMPDIR/none agent_again
	p start "$N-none"
	failed_with "$N-none" "there is no $BATS_TEST_TMPDIR/none/tailscale"
	p doctor | grep -q "there is no $BATS_TEST_TMPDIR/none/tailscale"
	p delete -y "$N-none"
	kill "$PID"
	lab_until 15 refute kill -0 "$PID"
	agent_again
}

@test "an ephemeral one that control dropped while it was stopped joins again under the same name" {
	lab_until 100 no_node_named "$N-eph"
	key "$(lab_key --reusable --ephemeral)"
	p start "$N-eph"
	connected "$N-eph"
	is "$N-eph" .tailscale.hostname "$N-eph"
	[ "$(node_of "$N-eph")" != "$(cat "$BATS_FILE_TMPDIR/eph.id")" ]
	key "$(jq -r .authKey "$LAB/tailscale.json")"
}
