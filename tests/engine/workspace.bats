#!/usr/bin/env bats
# A workspace's life through the command line, on the real engine.
bats_require_minimum_version 1.5.0
load helper

setup_file() {
	engine_setup
	# Somebody may log in over SSH, whatever keys this machine has.
	ssh-keygen -q -t ed25519 -N '' -f "$BATS_FILE_TMPDIR/somebody"
	p agent config set ssh.global.authorize "[\"$BATS_FILE_TMPDIR/somebody.pub\"]"
}
teardown_file() { engine_teardown; }
setup() { engine_use; }

@test "start makes a workspace, prints its address, and runs" {
	run p start web
	[ "$status" = 0 ]
	[[ "$output" =~ ssh\ -p\ [0-9]+\ workspace@127.0.0.1 ]]
	status_is web running
	[ "$(docker inspect -f '{{.HostConfig.Privileged}}' workspace-web)" = false ]
	[ "$(docker inspect -f '{{.HostConfig.RestartPolicy.Name}}' workspace-web)" = no ]
	docker volume inspect workspace-web >/dev/null
}

@test "its SSH port is bound to 127.0.0.1 only" {
	run docker inspect -f '{{range $p, $b := .HostConfig.PortBindings}}{{range $b}}{{.HostIp}} {{end}}{{end}}' workspace-web
	[ "$output" = "127.0.0.1 " ]
}

@test "start of a running workspace changes nothing" {
	local id
	id=$(docker inspect -f '{{.Id}}' workspace-web)
	p start web
	[ "$(docker inspect -f '{{.Id}}' workspace-web)" = "$id" ]
}

@test "exec passes input, output, error and exit code, byte for byte" {
	run p exec web -- sh -c 'exit 7'
	[ "$status" = 7 ]
	run -127 p exec web -- /no/such
	[ "$status" = 127 ]
	[ "$(p exec web -- whoami)" = workspace ]
	[ "$(p exec web -- sh -c 'echo err >&2' 2>&1 >/dev/null)" = err ]
	head -c 3000000 /dev/urandom >"$BATS_TEST_TMPDIR/in"
	p exec web -- cat <"$BATS_TEST_TMPDIR/in" >"$BATS_TEST_TMPDIR/out"
	cmp "$BATS_TEST_TMPDIR/in" "$BATS_TEST_TMPDIR/out"
}

@test "shell without a terminal reads a script, and passes its exit code" {
	run bash -c 'echo "echo hi from \$(whoami); exit 5" | "$0"/perry shell web' "$BUILD"
	[ "$status" = 5 ]
	[[ "$output" == *"hi from workspace"* ]]
}

@test "cp carries trees both ways" {
	mkdir -p "$BATS_TEST_TMPDIR/tree/sub"
	echo one >"$BATS_TEST_TMPDIR/tree/a b"
	head -c 100000 /dev/urandom >"$BATS_TEST_TMPDIR/tree/sub/x"
	ln -s "a b" "$BATS_TEST_TMPDIR/tree/link"
	p cp "$BATS_TEST_TMPDIR/tree" web:copy
	[ "$(p exec web -- stat -c %U copy/sub/x)" = workspace ]
	p cp web:copy "$BATS_TEST_TMPDIR/back"
	diff -r "$BATS_TEST_TMPDIR/tree" "$BATS_TEST_TMPDIR/back"
	run p cp web:/no/such "$BATS_TEST_TMPDIR/y"
	[ "$status" = 5 ]
}

@test "stop and start keep the home and what was installed" {
	p exec web -- sh -c 'echo kept > ~/file; sudo touch /opt/installed'
	p stop web
	status_is web stopped
	run p exec web -- true
	[ "$status" = 6 ]
	p start web
	[ "$(p exec web -- cat file)" = kept ]
	p exec web -- test -e /opt/installed
}

@test "a stop made behind our back is seen within a second, without asking the engine" {
	docker kill workspace-web >/dev/null
	eventually 30 status_is web stopped
	p start web
}

@test "a container removed behind our back is mended by start, home intact" {
	docker rm -f workspace-web >/dev/null
	sleep 1
	[ "$(status_of web)" != running ]
	p start web
	[ "$(p exec web -- cat file)" = kept ]
}

@test "two starts at once are one; another workspace runs side by side" {
	p start twin & local a=$!
	p start twin & local b=$!
	p start other & local c=$!
	wait $a && wait $b && wait $c
	[ "$(docker ps -q --filter name=^workspace-twin$ | wc -l)" = 1 ]
	p delete -y twin other
}

@test "environment is in exec, login shells and SSH sessions, and nowhere in docker inspect" {
	# As an editor on Windows leaves it, and with a value of two lines.
	printf '\357\273\277SECRET_WORD=hunter2-value\nTWO="with space"\nLINES_="one\ntwo"\n' >"$BATS_TEST_TMPDIR/env"
	p start envy --env A=1 --env-file "$BATS_TEST_TMPDIR/env"
	[ "$(p exec envy -- sh -c 'echo $SECRET_WORD $A $TWO')" = "hunter2-value 1 with space" ]
	[ "$(p exec envy -- sh -c 'echo "$LINES_"')" = "$(printf 'one\ntwo')" ]
	[ "$(echo 'echo $SECRET_WORD' | p shell envy)" = hunter2-value ]
	refute grep -q hunter2 <(docker inspect workspace-envy)
	refute grep -rq hunter2 "$DIR" --include=agent.log --include=stdout --include=stderr
	p delete -y envy
}

@test "workspaces cannot reach each other" {
	p start peer
	local ip
	ip=$(docker inspect -f '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' workspace-peer)
	p exec peer -- sh -c 'command -v sshd >/dev/null || test -x /usr/sbin/sshd'
	run p exec web -- timeout 3 bash -c "exec 3<>/dev/tcp/$ip/22"
	[ "$status" != 0 ]
	p delete -y peer
}

@test "delete removes container, volume, network and port; --keep-home keeps the volume" {
	p start gone
	local net
	net=$(docker inspect -f '{{range $n, $_ := .NetworkSettings.Networks}}{{$n}}{{end}}' workspace-gone)
	run p delete gone </dev/null
	[ "$status" = 2 ]
	p delete -y gone
	refute docker container inspect workspace-gone
	refute docker volume inspect workspace-gone
	p start kept
	p exec kept -- sh -c 'echo still > here'
	p delete -y --keep-home kept
	docker volume inspect workspace-kept >/dev/null
	p start kept
	[ "$(p exec kept -- cat here)" = still ]
	p delete -y kept
}

@test "a clone URL that does not exist is the step's error, and the workspace can be looked at" {
	run p start badclone --clone https://127.0.0.1:1/nothing.git
	[[ $output == *"next: "* ]]
	[ "$status" != 0 ]
	[[ "$output" == *"127.0.0.1"* ]]
	p delete -y badclone
}

@test "a token in a clone URL is refused, and stands nowhere" {
	run p start leak --clone https://me:hunter3-token@127.0.0.1:1/x.git
	[ "$status" != 0 ]
	[[ "$output" == *clone:* ]]
	[[ "$output" != *hunter3* ]]
	refute grep -rq hunter3-token "$DIR"
	run p info leak
	[ "$status" = 5 ]
}

@test "an image that is not there says so" {
	run p start noimage --image nowhere.invalid/none:1
	[ "$status" != 0 ]
	[[ "$output" == *none* ]]
	run p info noimage
	[ "$status" = 5 ]
	refute docker volume inspect workspace-noimage
}

@test "hostile names are refused and named" {
	local n
	for n in ../x @host "a b" ü UPPER -x "$(printf 'a%.0s' $(seq 64))"; do
		run p start -- "$n"
		[ "$status" != 0 ]
	done
	run p info nosuch
	[ "$status" = 5 ]
}

@test "logs show the services' output" {
	run p logs web -n 50
	[ "$status" = 0 ]
	[[ "$output" == *perry* ]]
}

@test "list has names alone, chosen fields, and an error for a field that is not there" {
	[ "$(p list -q)" = web ]
	[ "$(p list --json=name,status)" = '[{"name":"web","status":"running"}]' ]
	run p list --json=nmae
	[ "$status" = 2 ]
	[[ "$output" == *"name"* ]]
}

@test "clone copies the home" {
	p clone web web-2
	[ "$(p exec web-2 -- cat file)" = kept ]
	p delete -y web-2
}

@test "prune finds what belongs to nobody, and --dry-run touches nothing" {
	local id
	id=$(agent_id)
	docker volume create --label "perry.agent=$id" --label perry.workspace=orphan workspace-orphan-docker >/dev/null
	[[ "$(p prune --dry-run)" == *workspace-orphan-docker* ]]
	docker volume inspect workspace-orphan-docker >/dev/null
	p prune
	refute docker volume inspect workspace-orphan-docker
}

@test "SSH works with the owner's key, and no password is taken" {
	local port
	port=$(p list --json=ports | jq -r '.[0].ports.ssh')
	run ssh -p "$port" -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o PreferredAuthentications=password \
		-o ConnectTimeout=5 workspace@127.0.0.1 true
	[ "$status" != 0 ]
	[[ "$output" != *"password:"* ]]
	ssh-keygen -q -t ed25519 -N '' -f "$BATS_TEST_TMPDIR/key"
	p agent config set ssh.global.authorize "[\"$(cat "$BATS_TEST_TMPDIR/key.pub")\"]"
	eventually 30 p sync web
	[ "$(ssh -i "$BATS_TEST_TMPDIR/key" -p "$port" -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR \
		workspace@127.0.0.1 'echo ssh $USER')" = "ssh workspace" ]
}

@test "values of --env are the owner's to see: other callers of the API get them masked" {
	p start envy --env WORD=zebra-value
	[[ $(p explain envy --json) == *zebra-value* ]]
	p auth disable -y
	local proc
	for proc in explain workspaces/inspect workspaces/get; do
		tcp "/rpc/$proc" -X POST -H 'Content-Type: application/json' --data-binary '{"json":{"name":"envy"}}'
		[ "$CODE" = 200 ]
		refute grep -q zebra-value <<<"$BODY"
	done
	tcp /rpc/operations/list -X POST -H 'Content-Type: application/json' --data-binary '{"json":{"workspace":"envy"}}'
	[ "$CODE" = 200 ]
	[[ $BODY == *WORD* ]]
	refute grep -q zebra-value <<<"$BODY"
	p auth generate >/dev/null
	p delete -y envy
}
