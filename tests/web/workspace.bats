#!/usr/bin/env bats
# A workspace's page and its terminal in a browser.
load helper

setup_file() { engine_setup; }
teardown_file() { engine_teardown; }
setup() { need_browser && engine_use; }
teardown() { all_gone; }

@test "a terminal: typed, sized, pasted into, searched, and what it shows is text" { browse workspace terminal; }
@test "terminals: begun, named, rung for, come back to and ended" { browse workspace sessions; }
@test "two viewers of a terminal: the size follows who types, and who only looks types nothing" { browse workspace "two viewers"; }
@test "a program that has the whole screen is shown as it is after a reload" { browse workspace "full screen"; }
@test "ten megabytes leave the page at work, and the screen right" { browse workspace "ten megabytes"; }
@test "links in a terminal lead to the workspace, never to the reader's machine" { browse workspace links; }
@test "a log that follows" { browse workspace logs; }
@test "a phone has the keys that it lacks" { browse workspace phone; }
@test "a clone is made from the page" { browse workspace clone; }
@test "CPU and memory, asked for while they are shown" { browse workspace resources AGENT_PID="$PID"; }
@test "files by drop, paste and choice land in the workspace under a free name" { browse workspace files; }
@test "what is pasted into a terminal or dropped on it lands in the workspace, and its path is typed" { browse workspace "terminal files"; }
@test "the page in both sizes and themes" { browse workspace looks; }

@test "an agent that was killed: the page says so, and its terminal is there at once when it is back" {
	local code=0
	mkfifo "$BATS_TEST_TMPDIR/go"
	browse workspace "agent away" AGENT_PID="$PID" <>"$BATS_TEST_TMPDIR/go" >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
	local browser=$!
	eventually 60 grep -q AWAY "$BATS_TEST_TMPDIR/out"
	agent_again
	echo >"$BATS_TEST_TMPDIR/go"
	wait $browser || code=$?
	cat "$BATS_TEST_TMPDIR/out"
	[ $code = 0 ]
}
