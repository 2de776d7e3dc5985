#!/usr/bin/env bats
# Input that nobody sends by mistake. Each is a clear refusal, and the agent lives.
load helper

setup_file() {
	export DIR PORT PID TOKEN
	agent_start
}
teardown_file() { agent_clean; }

teardown() {
	kill -0 "$PID"
	tcp /health
	expect 200
}

@test "names" {
	for name in ../x a/b -a a- A 'a b' a.b 'é' '.*' a_b '%zz' '\u0000' 'a\nb' '$(id)' ';' "$(printf 'a%.0s' $(seq 64))"; do
		for procedure in workspaces/create workspaces/get workspaces/start workspaces/delete workspaces/logs workspaces/touch; do
			rpc $procedure "{\"name\":\"$name\"}"
			expect_match 400 BAD_REQUEST
		done
	done
}

@test "names of terminals" {
	for name in .. .%2e..%2fx .%2a A a%20b a_b; do
		sock "/rpc/terminal/$name" --path-as-is
		[[ $CODE =~ ^40[04]$ ]]
	done
	sock /rpc/terminal/nope
	expect 404 'Not Found'
	sock /rpc/terminal/%zz
	expect_match 400 percent
	refute grep -qi '<html' <<<"$BODY"
}

@test "wrong types name the field" {
	rpc workspaces/create '{"name":"a","labels":{"x":{}}}'
	expect_match 400 '"path":\["labels","x"\]'
	rpc workspaces/create '{"name":"a","env":[]}'
	expect_match 400 '"path":\["env"\].*expected record, received array'
	rpc workspaces/create '{"name":"a","cpus":"two"}'
	expect_match 400 '"path":\["cpus"\].*expected number, received string'
	rpc workspaces/exec '{"name":"a","command":["ls",5]}'
	expect_match 400 '"command"'
	rpc workspaces/exec '{"name":"a","command":[]}'
	expect_match 400 '"path":\["command"\]'
	rpc workspaces/exec '{"name":"a","command":"true","encoding":"latin1"}'
	expect_match 400 '"path":\["encoding"\]'
	for input in '"text"' 5 true '[]' null; do
		rpc workspaces/get "$input"
		expect_match 400 'expected object, received'
	done
}

@test "64 levels are read, 65 are not" {
	nested() { printf '{"json":{"name":"nope","x":%s%s}}' "$(printf '[%.0s' $(seq "$1"))" "$(printf ']%.0s' $(seq "$1"))"; }
	sock /rpc/workspaces/get -X POST --data-binary "$(nested 62)" -H 'Content-Type: application/json'
	expect 404
	sock /rpc/workspaces/get -X POST --data-binary "$(nested 63)" -H 'Content-Type: application/json'
	expect_match 400 '64 levels'
	head -c 900000 /dev/zero | tr '\0' '[' >"$BATS_TEST_TMPDIR/deep"
	sock /rpc/workspaces/get -X POST --data-binary @"$BATS_TEST_TMPDIR/deep" -H 'Content-Type: application/json'
	expect_match 400 '64 levels'
}

@test "one byte more than 1 MiB" {
	head -c $((1048576 - 20)) /dev/zero | tr '\0' ' ' >"$BATS_TEST_TMPDIR/big"
	printf '{"json":{"name":"n"}}' | head -c 20 >/dev/null
	{ cat "$BATS_TEST_TMPDIR/big"; printf '{"json":null}'; } >"$BATS_TEST_TMPDIR/fits"
	sock /rpc/workspaces/list -X POST --data-binary @"$BATS_TEST_TMPDIR/fits" -H 'Content-Type: application/json'
	expect 200
	head -c 1048577 /dev/zero | tr '\0' ' ' >"$BATS_TEST_TMPDIR/big"
	sock /rpc/workspaces/list -X POST --data-binary @"$BATS_TEST_TMPDIR/big" -H 'Content-Type: application/json'
	expect 413
}

@test "a head of more than 16 KiB" {
	sock /health -H "X-Long: $(head -c 20000 /dev/zero | tr '\0' a)"
	expect 431
}

@test "bytes that are no UTF-8, and a NUL" {
	printf '{"json":{"name":"\xff\xfe"}}' >"$BATS_TEST_TMPDIR/bytes"
	sock /rpc/workspaces/get -X POST --data-binary @"$BATS_TEST_TMPDIR/bytes" -H 'Content-Type: application/json'
	expect_match 400 BAD_REQUEST
	printf '{"json":{"name":"a\0b"}}' >"$BATS_TEST_TMPDIR/bytes"
	sock /rpc/workspaces/get -X POST --data-binary @"$BATS_TEST_TMPDIR/bytes" -H 'Content-Type: application/json'
	expect_match 400 BAD_REQUEST
}

@test "keys that mean something to others" {
	rpc workspaces/get '{"__proto__":{"name":"x"},"constructor":1,"name":"nope"}'
	expect 404
	rpc config/credentials/update '{"env":{"__proto__":"x","a.b":"y","":"z"},"files":{}}'
	[[ $CODE =~ ^(200|400)$ ]]
	rpc config/credentials/update '{"env":{},"files":{}}'
	expect 200
}

@test "a client that sends a byte a second is dropped, others are served" {
	local dropped=$BATS_TEST_TMPDIR/dropped
	(
		trap '' PIPE # the end is to be seen, not died of
		exec 3<>"/dev/tcp/127.0.0.1/$PORT"
		for _ in $(seq 120); do
			printf 'G' >&3 2>/dev/null || { touch "$dropped"; exit; }
			sleep 1
		done
	) 3>&- &
	tcp /health
	expect 200
	eventually 60 test -e "$dropped"
	tcp /health
	expect 200
}

@test "events and query strings" {
	sock '/events?since=yesterday&follow=0'
	expect 400
	sock '/events?workspace=../x'
	expect 400
	sock '/events?after=-1'
	expect 400
}
