#!/usr/bin/env bats
# A workspace whose perry-step lies on every channel (tests/lib/hostile_step.c): nothing beyond it changes, by cases and by a seeded generator
# (HOSTILE_ROUNDS, HOSTILE_SEED).
load helper
load leave_agent

hostile_agent() {
	leave_agent
	lab_node prod-db "$(lab_key --tags tag:prod)"
	configure '.secrets.vault = "hunter2-in-the-vault"'
	mkdir -p "$DIR/hooks"
	# An old device of ours makes way, where it may.
	echo 'return function() return "replace_offline" end' >"$DIR/hooks/collision.lua"
	p start good
	# A device that was kept: ours, and offline.
	echo 'return function(ws) return ws.name == "pet" and "keep" or { "logout", "api" } end' >"$DIR/hooks/deregister.lua"
	p start pet
	p delete -y pet
	# From here on what starts has the liar, by a tools volume of its own.
	agent_end
	PERRY_STEP=$BUILD/test/hostile-step agent_again
}
setup_file() {
	make -s -C "${BATS_TEST_DIRNAME}/../.." "$BUILD/test/hostile-step" >&2
	# The device that was kept is offline: its control server is not to drop it meanwhile.
	LAB_EPHEMERAL_TIMEOUT=1h lab_file_setup hostile_agent
}
teardown_file() {
	engine_teardown
	docker volume rm -f workspace-pet-tailscale >/dev/null 2>&1 || : # kept
	lab_file_teardown
}
setup() {
	lab_file_use
	engine_use
}
teardown() {
	[ ! -e "$BATS_FILE_TMPDIR/no-lab" ] || return 0
	p delete -y evil >/dev/null 2>&1 || :
}

# All that is not evil's: devices, containers, volumes, records, files of the agent.
world() {
	lab_nodes | jq -c 'map({id, givenName, tags}) | map(select(.givenName | test("^evil") | not)) | sort_by(.id)[]'
	docker ps -a --filter "label=perry.agent=$(agent_id)" --format '{{.Names}} {{.ID}} {{.State}}' | grep -v evil | sort
	docker volume ls -q --filter "label=perry.agent=$(agent_id)" | grep -v evil | sort
	p info good --json | jq -cS '{name, status, containerId, labels, tailscale: (.tailscale | {hostname, ip, status})}'
	sha256sum "$DIR/config.json" "$DIR"/hooks/*
	p tailnet status --json | jq -cS '.pending[] | select(.workspace == "evil" | not)'
}
unchanged() {
	diff "$BATS_TEST_TMPDIR/before" <(world)
	refute grep -rqF hunter2 "$DIR/agent.log" "$DIR/stdout" "$DIR/stderr"
	[ "$(p exec good -- echo fine)" = fine ]
}
# lies COMMAND LINE...: what evil's perry-step says from its next start on.
lies() {
	local command=$1
	shift
	docker exec workspace-evil mkdir -p /home/workspace/hostile
	printf '%s\n' "$@" | docker exec -i workspace-evil sh -c "cat >/home/workspace/hostile/$command; rm -f /home/workspace/hostile/.count-*"
}
evil() {
	world >"$BATS_TEST_TMPDIR/before"
	p start evil
	ID=$(node_id prod-db)
	IP=$(lab_node_named prod-db | jq -r '.ipAddresses[0]')
}
logged_out='{"did":"nothing","state":"NeedsLogin","error":"logged out","health":[]}'
as() { printf '{"did":"up","state":"Running","dnsName":"%s.ws.test.","ip":"%s","nodeId":"%s","tun":true,"health":[]%s}' "$1" "$2" "$3" "${4:-}"; }

@test "it says that another device is its own: that one stays when it is deleted" {
	evil
	lies join "$logged_out" "$(as prod-db "$IP" "$ID")"
	p restart evil
	[ "$(p info evil --json | jq -r .tailscale.hostname)" = prod-db ] # shown, and no more
	p delete -y evil
	unchanged
	gone evil # the key that we made names it
	p tailnet prune
	unchanged
}

@test "it says as it leaves that another device was its own" {
	evil
	lies leave "{\"left\":true,\"nodeId\":\"$ID\"}"
	p delete -y evil
	unchanged
}

@test "it says that a device of ours, or of others, has its name and is offline" {
	local of
	evil
	for of in good pet prod-db phone; do
		lies join "$logged_out" "$(as evil-1 "$IP" 999 ",\"taken\":{\"nodeId\":\"$(node_id $of)\",\"online\":false}")"
		p restart evil
		unchanged
	done
}

@test "its watch says that it is everybody, and what it will of ports" {
	evil
	lies watch "{\"tailnet\":{\"state\":\"Running\",\"dnsName\":\"phone.ws.test.\",\"ip\":\"$(lab_ip phone)\",\"nodeId\":\"$(node_id phone)\"}}" \
		'{"ports":[{"number":22,"address":"0.0.0.0","loopback":false,"pid":1,"process":"\u001b[31mx"},{"number":7391,"address":"127.0.0.1","loopback":true,"pid":1,"process":"x"}]}' \
		'{"activity":{"cpuUsec":4503599627370497,"agents":[1,2]}}' 'rubbish' '[[[[[['
	p restart evil
	says_phone() { [ "$(p info evil --json | jq -r .tailscale.hostname)" = phone ]; }
	eventually 30 says_phone
	p delete -y evil
	unchanged
}

# generate SEED: a file of lines for each channel, in DIR.
generate() {
	python3 - "$1" "$2" "$(lab_nodes | jq -c '[.[] | {id, name: .givenName, ip: .ipAddresses[0]}]')" <<-'P'
		import json, random, sys
		r, out, nodes = random.Random(int(sys.argv[1])), sys.argv[2], json.loads(sys.argv[3])
		def node(): return r.choice(nodes)
		def text(): return r.choice(["", "evil", "good", "../../etc", "workspace-good", "hunter2", "\x1b[31m", "\u202e", "x" * 5000, node()["name"], node()["ip"], node()["id"], "authkey expired", "already used"])
		def value(depth=0):
		    k = r.randrange(8)
		    if k == 0: return r.choice([None, True, False])
		    if k == 1: return r.choice([-1, 0, 1, 2**53, 1e300, int(node()["id"])])
		    if k < 6 or depth > 2: return text()
		    if k == 6: return [value(depth + 1) for _ in range(r.randrange(4))]
		    return {r.choice(["nodeId", "$secret", "ip", "left", "error", "x"]): value(depth + 1) for _ in range(r.randrange(4))}
		def some(**fields): return {k: (v if r.random() < 0.8 else value()) for k, v in fields.items() if r.random() < 0.9}
		def join():
		    n = node()
		    return some(did=r.choice(["up", "nothing", "login"]), state=r.choice(["Running", "Running", "NeedsLogin", "Stopped"]), dnsName=r.choice([n["name"], "evil", "evil-1"]) + ".ws.test.", ip=n["ip"],
		        nodeId=n["id"], taken=some(nodeId=node()["id"], online=r.choice([True, False])), health=[], **({"error": text()} if r.random() < 0.3 else {}))
		def watch():
		    n = node()
		    return r.choice([{"tailnet": some(state="Running", dnsName=n["name"] + ".ws.test.", ip=n["ip"], nodeId=n["id"], keyExpiry=1)},
		        {"ports": [some(number=r.randrange(70000), address="0.0.0.0", loopback=r.random() < 0.5, pid=1, process=text()) for _ in range(3)]},
		        {"serve": some(tcp=[22], web=[value()], error=text())}, {"activity": some(cpuUsec=2**52, builds=[value()], agents=[text()], processes=[text()])}, {r.choice(["x", "$secret"]): value()}])
		channels = {"join": join, "watch": watch, "leave": lambda: some(left=r.choice([True, False]), nodeId=node()["id"], error=text(), timeout=True), "look": value, "activity": value, "exec": value, "apply": text, "run": value}
		for name, make in channels.items():
		    if name in ("join", "watch", "leave") or r.random() < 0.3:
		        with open(out + "/" + name, "w", errors="surrogatepass") as f:
		            for _ in range(1 + r.randrange(4)):
		                line = json.dumps(make())
		                f.write((line if r.random() < 0.95 else line[: r.randrange(len(line) + 1)]) + "\n")
	P
}

@test "whatever it says" {
	local seed=${HOSTILE_SEED:-1} round says
	for ((round = 0; round < ${HOSTILE_ROUNDS:-8}; round++, seed++)); do
		echo "# seed $seed"
		evil
		says=$BATS_TEST_TMPDIR/$seed
		mkdir "$says"
		generate "$seed" "$says"
		docker exec workspace-evil mkdir -p /home/workspace/hostile
		docker cp -q "$says/." workspace-evil:/home/workspace/hostile/
		p restart evil || :
		p ports evil >/dev/null || :
		timeout 20 "$BUILD/perry" exec evil -- true >/dev/null || :
		p list >/dev/null
		p delete -y evil
		p tailnet prune >/dev/null
		unchanged
		agent_answers
	done
}
