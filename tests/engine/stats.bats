#!/usr/bin/env bats
# What workspaces take of the machine, told to whoever asks for it and to nobody else; and what listens, in the list.
load helper

setup_file() {
	engine_setup
	p start st1
}
teardown_file() { engine_teardown; }
setup() { engine_use; }
teardown() {
	[ -z "${READER:-}" ] || kill "$READER" 2>/dev/null || :
	p exec st1 -- sh -c 'for i in /proc/[0-9]*; do [ "$(cat $i/comm 2>/dev/null)" = perl ] && kill -9 ${i#/proc/}; done; :'
}

samples() { sed -n 's/^data: //p' "$BATS_TEST_TMPDIR/events" | jq -c 'select(.kind == "stats")'; } # what has come of them
some() { samples | jq -es "[.[] | select($1)] | length > 0" >/dev/null; }
threads_are() { [ "$(cat "/proc/$PID/task/"*/comm | grep -c '^stats$')" = "$1" ]; }

@test "a workspace that computes is seen to, and its memory" {
	follow_events "$BATS_TEST_TMPDIR/events" "/events?stats=1"
	eventually 30 some '.workspace == "st1" and .memory > 100000'
	samples | head -n 1 | jq -e '(has("cpu") or has("id")) | not'
	docker exec -d -u workspace workspace-st1 perl -e '1 while 1'
	eventually 60 some '.cpu > 0.1 and .cpu < 64'
	docker exec -d -u workspace workspace-st1 perl -e '$x = "x" x 200000000; sleep 1000'
	eventually 60 some '.memory > 200000000'
}

@test "nothing else comes where nothing else is asked for, and nothing of it where it is not" {
	follow_events "$BATS_TEST_TMPDIR/events" "/events?stats=only"
	eventually 30 some '.memory > 0'
	p exec st1 -- true
	p restart st1
	eventually 30 some '.cpu != null'
	[ "$(sed -n 's/^data: //p' "$BATS_TEST_TMPDIR/events" | jq -r .kind | sort -u)" = stats ]
	sock "/events?since=1h&follow=0"
	[[ $BODY == *'"operation"'* && $BODY != *'"stats"'* ]]
	sock "/events?stats=maybe"
	expect 400
}

@test "with nobody who asks there is no thread for it" {
	eventually 30 threads_are 0
	follow_events "$BATS_TEST_TMPDIR/events" "/events?stats=only"
	eventually 30 some '.memory > 0'
	threads_are 1
	kill "$READER"
	READER=
	eventually 30 threads_are 0
	# And it comes again.
	follow_events "$BATS_TEST_TMPDIR/events" "/events?stats=only&workspace=st1"
	eventually 30 some '.memory > 0'
}

listed() { rpc workspaces/list && [ "$(jq -c '.json[] | select(.name == "st1") | [.listeners[]? | [.port, .process]]' <<<"$BODY")" = "$1" ]; }

@test "the list says what listens" {
	listed '[]'
	docker exec -d -u workspace workspace-st1 perl -MSocket -e 'socket(S, PF_INET, SOCK_STREAM, 0); bind(S, sockaddr_in(5173, INADDR_ANY)) or die; listen(S, 5); sleep 1000'
	eventually 30 listed '[[5173,"perl"]]'
	rpc workspaces/get '{"name":"st1"}'
	local one=$BODY
	rpc workspaces/list
	[ "$(jq -c '.json[0].listeners' <<<"$BODY")" = "$(jq -c .json.listeners <<<"$one")" ]
	p stop st1
	listed '[]'
	p start st1
}
