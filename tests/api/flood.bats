#!/usr/bin/env bats
# Any program of this machine may connect to the agent's port, and none may keep its owner out. Without limits of time and memory: scripts/bench.py has those.
load helper

setup_file() {
	export DIR PORT PID TOKEN
	agent_start
}
teardown_file() { agent_clean; }

flood_start() { # KIND
	mkfifo "$BATS_TEST_TMPDIR/end"
	python3 "$BATS_TEST_DIRNAME/../lib/flood.py" "$PORT" "$1" 640 <"$BATS_TEST_TMPDIR/end" >"$BATS_TEST_TMPDIR/flood" 3>&- &
	FLOOD=$!
	exec 7>"$BATS_TEST_TMPDIR/end"
	eventually 60 grep -q up "$BATS_TEST_TMPDIR/flood"
}
teardown() {
	[ -z "${FLOOD:-}" ] || { exec 7>&-; wait "$FLOOD" || true; }
}

@test "floods: the owner's command line works all the while, and a browser with the token" {
	local kind _
	for kind in idle heads kept small bodies; do
		rm -f "$BATS_TEST_TMPDIR/end"
		flood_start $kind
		for _ in $(seq 20); do
			PERRY_CONFIG_DIR=$DIR "$BUILD/perry" list
		done
		kill -0 "$FLOOD"
		get_in() { tcp /rpc/workspaces/list -X POST -H "Authorization: Bearer $TOKEN" && [ "$CODE" = 200 ]; }
		eventually 60 get_in
		exec 7>&-
		wait "$FLOOD"
		FLOOD=
	done
}

@test "a long body without the token is refused by its head" {
	head -c 1000000 /dev/zero | tr '\0' ' ' >"$BATS_TEST_TMPDIR/body"
	# The last byte never comes: an agent that waits for it answers nothing. What the floods have held is let go of little by little.
	refused_by_its_head() {
		run python3 - "$PORT" <<-'P'
			import socket, sys
			s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
			s.settimeout(300)
			s.sendall(b"POST /rpc/workspaces/list HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 1000000\r\n\r\n")
			print(s.recv(65536).split(b"\r\n")[0].decode())
		P
		echo "$output"
		[ "$output" = 'HTTP/1.1 401 Unauthorized' ]
	}
	eventually 60 refused_by_its_head
	tcp /rpc/workspaces/list -X POST --data-binary "@$BATS_TEST_TMPDIR/body"
	expect 401 Unauthorized
	tcp /login -X POST --data-binary "@$BATS_TEST_TMPDIR/body"
	expect 401 Unauthorized
	tcp /rpc/workspaces/list -X POST --data-binary "@$BATS_TEST_TMPDIR/body" -H 'Host: evil.example'
	expect_match 403 allowedHosts
	tcp /rpc/workspaces/list -X POST --data-binary "@$BATS_TEST_TMPDIR/body" -H 'Origin: http://evil.example'
	expect_match 403 allowedOrigins
	tcp /rpc/workspaces/list -X POST --data-binary "@$BATS_TEST_TMPDIR/body" -H "Authorization: Bearer $TOKEN"
	[ "$CODE" != 401 ]
}
