#!/usr/bin/env bats
# Commands that run once, whoever asks; files that appear whole.
load helper
bats_require_minimum_version 1.5.0

setup_file() {
	C=$PIM-run
	export C
	new_container "$C"
	step ready
}
teardown_file() { docker rm -f "$C" >/dev/null; }
setup() { inside sh -c 'rm -rf /home/workspace/* /run/perry/env'; }
counter() { inside sh -c 'wc -l </home/workspace/count'; }

@test "output as it comes, code recorded, never run twice" {
	run step run --key a -- sh -c 'echo x >>~/count; echo out; echo err >&2; exit 7'
	[ "$status" = 7 ]
	[ "$output" = $'out\nerr' ]
	run step run --key a -- sh -c 'echo x >>~/count; echo other'
	[ "$status" = 7 ]
	[ "$output" = $'out\nerr' ]
	[ "$(counter)" = 1 ]
}

@test "it outlives its caller; a second call gets all of the output" {
	docker exec "$C" /opt/perry/bin/perry-step run --key re -- sh -c 'echo x >>~/count; for i in 1 2 3 4 5 6; do echo line $i; sleep 0.3; done; exit 5' >"$BATS_TEST_TMPDIR/first" &
	client=$!
	eventually 30 grep -q 'line 2' "$BATS_TEST_TMPDIR/first"
	kill -9 $client
	# the attached process inside too: what an agent that dies, and its engine stream, leave behind
	inside sh -c 'for p in /proc/[0-9]*; do tr "\0" " " <$p/cmdline | grep -q "perry-step run --[k]ey re" && [ "$(readlink $p/fd/1)" != /dev/null ] && kill -9 ${p#/proc/}; done; true'
	run step run --key re -- sh -c 'echo x >>~/count; echo no'
	[ "$status" = 5 ]
	[ "$output" = $'line 1\nline 2\nline 3\nline 4\nline 5\nline 6' ]
	[ "$(counter)" = 1 ]
}

@test "eight callers at once: one run, the same output for each" {
	for i in 1 2 3 4 5 6 7 8; do
		docker exec "$C" /opt/perry/bin/perry-step run --key many -- sh -c 'echo x >>~/count; echo begin; sleep 0.5; echo end; exit 3' >"$BATS_TEST_TMPDIR/o$i" 2>&1 &
		pids[i]=$!
	done
	for i in 1 2 3 4 5 6 7 8; do
		code=0
		wait "${pids[i]}" || code=$?
		[ "$code" = 3 ]
		[ "$(cat "$BATS_TEST_TMPDIR/o$i")" = $'begin\nend' ]
	done
	[ "$(counter)" = 1 ]
}

@test "any bytes, and a lot of them" {
	step run --key bytes -- sh -c 'head -c 5000000 /dev/urandom | tee ~/copy' >"$BATS_TEST_TMPDIR/out"
	inside cat /home/workspace/copy >"$BATS_TEST_TMPDIR/copy"
	cmp "$BATS_TEST_TMPDIR/copy" "$BATS_TEST_TMPDIR/out"
}

@test "output without end is cut and said so; the command goes on" {
	run bash -c "docker exec $C /opt/perry/bin/perry-step run --key flood -- sh -c 'head -c 40000000 /dev/zero; echo through >~/flag; exit 4' | tail -c 100 | tr -d '\0'; exit \${PIPESTATUS[0]}"
	[ "$status" = 4 ]
	[[ $output == *"the rest is not kept"* ]]
	inside test -e /home/workspace/flag
	[ "$(inside stat -c %s /run/perry/steps/flood/out)" -lt 34000000 ]
}

@test "a background process keeps its output and does not hold the end" {
	from=$(now_ms)
	run timeout 60 docker exec "$C" /opt/perry/bin/perry-step run --key bg -- sh -c '(sleep 20; echo late && echo alive >~/late) & echo early'
	[ "$output" = early ]
	[ "$status" = 0 ]
	[ $(($(now_ms) - from)) -lt 20000 ]
	inside test ! -e /home/workspace/late
	eventually 30 inside test -s /home/workspace/late
}

@test "it sees the environment, the user, the folder, and no input" {
	printf "A='a b'\n" | step write /run/perry/env
	inside sh -c 'mkdir -p /home/workspace/w; chown workspace /home/workspace/w'
	run bash -c "echo input | docker exec -i $C /opt/perry/bin/perry-step run --key env --cwd '~/w' -- sh -c 'echo \"\$A \$(id -un) \$PWD [\$(cat)]\"; echo ok >/dev/stdout'"
	[ "$output" = $'a b workspace /home/workspace/w []\nok' ]
	run -127 step run --key none -- no-such-command
	[ "$status" = 127 ]
	run -127 step run --key none -- true
	[ "$status" = 127 ]
}

@test "kill by key ends all of it and is the recorded code" {
	docker exec -d "$C" /opt/perry/bin/perry-step run --key k -- sh -c 'sleep 311 & sleep 311 & wait'
	eventually 30 sleeps_are 311 2
	step kill k --grace 2
	sleeps_are 311 0
	run step run --key k -- true
	[ "$status" = 143 ]
}

@test "the supervisor killed: the command is ended and not run again" {
	docker exec -d "$C" /opt/perry/bin/perry-step run --key sup -- sh -c 'echo x >>~/count; echo begun; sleep 312; echo more'
	eventually 30 sleeps_are 312 1
	inside sh -c 'for p in /proc/[0-9]*; do tr "\0" " " <$p/cmdline | grep -q "perry-step run --[k]ey sup" && kill -9 ${p#/proc/}; done; true'
	run timeout 20 docker exec "$C" /opt/perry/bin/perry-step run --key sup -- sh -c 'echo x >>~/count'
	[ "$status" = 137 ]
	[[ $output == *begun*"was killed"* ]]
	sleeps_are 312 0
	[ "$(counter)" = 1 ]
}

@test "a key is no path" {
	run step run --key ../x -- true
	[ "$status" = 2 ]
	run step run --key '' -- true
	[ "$status" = 2 ]
	run step run --key ok
	[ "$status" = 2 ]
}

@test "write: mode, owner, folders on the way" {
	printf 'secret\0bytes' | step write /home/workspace/.config/a/b --owner workspace
	[ "$(inside stat -c '%a %U %G %s' /home/workspace/.config/a/b)" = "600 workspace workspace 12" ]
	[ "$(inside stat -c '%U' /home/workspace/.config/a)" = workspace ]
	echo x | step write /etc/perry-test --mode 0644
	[ "$(inside stat -c '%a %U' /etc/perry-test)" = "644 root" ]
	echo y | step write '~/z' --owner workspace --mode 0750
	[ "$(inside stat -c '%a %U' /home/workspace/z)" = "750 workspace" ]
	run bash -c "echo | docker exec -i $C /opt/perry/bin/perry-step write relative"
	[ "$status" = 2 ]
	run bash -c "echo | docker exec -i $C /opt/perry/bin/perry-step write /etc"
	[ "$status" = 1 ]
}

@test "write: a reader sees the old or the new, never a part; a cut input changes nothing" {
	echo old | step write /home/workspace/f --owner workspace
	docker exec -d "$C" sh -c 'n=0; while [ ! -e /tmp/stop ]; do s=$(stat -c %s /home/workspace/f); case $s in 4|1000000) ;; *) echo $s >>/tmp/bad;; esac; done; touch /tmp/stopped'
	for i in 1 2 3; do
		head -c 1000000 /dev/zero | step write /home/workspace/f --owner workspace
		echo old | step write /home/workspace/f --owner workspace
	done
	inside touch /tmp/stop
	eventually 30 inside test -e /tmp/stopped
	run inside test -e /tmp/bad
	[ "$status" = 1 ]
	run bash -c "printf short | docker exec -i $C /opt/perry/bin/perry-step write /home/workspace/f --owner workspace --size 6"
	[ "$status" = 1 ]
	[[ $output == *"5 bytes came where 6 were announced"* ]]
	[ "$(inside cat /home/workspace/f)" = old ]
	[ "$(inside sh -c 'ls -A /home/workspace | grep "^\.f\." | wc -l')" = 0 ]
}

@test "write: a link in the home leads root nowhere" {
	inside sh -c 'ln -s /etc /home/workspace/link; chown -h workspace /home/workspace/link'
	run bash -c "echo evil | docker exec -i $C /opt/perry/bin/perry-step write /home/workspace/link/owned --owner workspace"
	[ "$status" = 1 ]
	run inside test -e /etc/owned
	[ "$status" = 1 ]
}

@test "--quiet: one that makes no progress is ended, with all that it started" {
	run step run --key q1 --quiet 2 -- sh -c 'echo begun; trap "" TERM; sleep 4321 & exec sleep 4321'
	[ "$status" = 124 ]
	[ "$output" = begun ]
	eventually 30 sleeps_are 4321 0
	run step run --key q1 --quiet 2 -- true
	[ "$status" = 124 ]
	run step run --key q2 --quiet 0 -- true
	[ "$status" = 2 ]
}

@test "--quiet: output, or bytes that are read, are progress" {
	# Longer than its deadline, with a pause far below it.
	run step run --key q3 --quiet 6 -- sh -c 'for i in 1 2 3 4 5 6 7 8; do sleep 1; echo $i; done; exit 7'
	[ "$status" = 7 ]
	run step run --key q4 --quiet 6 -- perl -e 'open(my $f, "<", "/dev/zero"); for (1 .. 8) { select(undef, undef, undef, 1); sysread($f, $_, 10) } exit 7'
	[ "$status" = 7 ]
	[ -z "$output" ]
}

@test "--quiet: the time that a workspace is paused does not count" {
	docker exec "$C" /opt/perry/bin/perry-step run --key q5 --quiet 6 -- sleep 9 &
	local pid=$! code=0
	eventually 30 sleeps_are 9 1
	docker pause "$C" >/dev/null
	sleep 7
	docker unpause "$C" >/dev/null
	wait $pid || code=$?
	[ "$code" = 0 ]
}
