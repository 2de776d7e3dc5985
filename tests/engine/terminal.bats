#!/usr/bin/env bats
# A real terminal (tmux) around the command line: what typing, resizing, Ctrl-C and a closed window do inside a workspace.
bats_require_minimum_version 1.5.0
load helper
load terminal

setup_file() {
	engine_setup
	if command -v tmux >/dev/null; then p start web; fi
}
teardown_file() { engine_teardown; }
setup() {
	engine_use
	terminal_setup
}
teardown() { terminal_teardown; }

@test "shell: a prompt, typing, the size, and the exit code" {
	shell_open
	type_line 'echo typed $((40 + 2)) as $(whoami)'
	eventually 30 sees '^typed 42 as workspace'
	type_line 'stty size'
	eventually 30 sees '^30 100'
	tm resize-window -t t -x 120 -y 41
	sleep 0.2
	type_line 'stty size'
	eventually 30 sees '^41 120'
	type_line 'exit 3'
	sleep 0.3
	type_line 'echo code=$?'
	eventually 30 sees '^code=3'
}

@test "shell: Ctrl-C reaches the program, Ctrl-D ends the shell, and the terminal is as before" {
	shell_open
	type_line 'sleep 7654'
	eventually 30 some_inside '^sleep 7654'
	tm send-keys -t t C-c
	eventually 30 none_inside '^sleep 7654'
	type_line 'echo after=$?'
	eventually 30 sees '^after=130'
	tm send-keys -t t C-d
	sleep 0.3
	type_line 'stty -a | grep -o "[-]*icanon\|[-]*echo " | tr "\n" " "; echo ok'
	eventually 30 sees '^icanon echo  *ok'
}

@test "shell: full-screen programs and bytes that are not ASCII" {
	shell_open
	type_line 'printf "\\303\\274ml\\303\\244ut \\342\\234\\223\\n"'
	eventually 30 sees '^ümläut ✓'
	tm send-keys -t t -l 'echo é→x'
	tm send-keys -t t Enter
	eventually 30 sees '^é→x'
	type_line 'echo $TERM'
	eventually 30 sees '^xterm-256color'
	type_line 'seq 1 20000 | tail -2; exit'
	eventually 30 sees '^20000'
}

@test "closing the window ends what exec -t runs in it within three seconds" {
	type_line 'perry exec -t web -- sh -c "sleep 8765 & sleep 9876"'
	eventually 30 some_inside '^sleep 9876'
	some_inside '^sleep 8765'
	tm kill-session -t t
	gone() { none_inside '^sleep 8765' && none_inside '^sleep 9876'; }
	eventually 30 gone
}

@test "exec -t: TERM to the client ends the command inside, and the terminal is as before" {
	type_line 'perry exec -t web -- sleep 6789'
	eventually 30 some_inside '^sleep 6789'
	kill "$(client)"
	eventually 30 none_inside '^sleep 6789'
	type_line 'echo code=$?; stty -a | grep -o "[-]*icanon"'
	eventually 30 sees '^code=143'
	eventually 30 sees '^icanon'
}

@test "shell: TERM to the client leaves the session, and the terminal is as before" {
	shell_open -t left
	type_line 'sleep 6788'
	eventually 30 some_inside '^sleep 6788'
	kill "$(client)"
	type_line 'clear; echo code=$?; stty -a | grep -o "[-]*icanon"'
	eventually 30 sees '^icanon'
	some_inside '^sleep 6788'
	p exec web -- pkill -f '^sleep 6788'
}

@test "exec: 150 MB of output leave the agent as small as it was" {
	local before after peak=0
	rss() { awk '/^VmRSS/ { print $2 }' "/proc/$PID/status"; }
	p exec web -- true
	before=$(rss)
	p exec web -- head -c 150M /dev/zero >"$BATS_TEST_TMPDIR/out" 3>&- &
	while kill -0 $! 2>/dev/null; do
		after=$(rss)
		[ "$after" -le "$peak" ] || peak=$after
		sleep 0.05
	done
	wait $!
	[ "$(stat -c %s "$BATS_TEST_TMPDIR/out")" = $((150 << 20)) ]
	rm "$BATS_TEST_TMPDIR/out"
	echo "# agent $before KiB before, at most $peak KiB meanwhile" >&3
	[ $((peak - before)) -lt 20480 ]
}

@test "exec into a reader that is slow or gone holds nothing back" {
	local before after
	before=$(awk '/^VmRSS/ { print $2 }' "/proc/$PID/status")
	p exec web -- sh -c 'head -c 150M /dev/zero; sleep 6543' 3>&- | { sleep 1; head -c 1000000 >/dev/null; }
	after=$(awk '/^VmRSS/ { print $2 }' "/proc/$PID/status")
	[ $((after - before)) -lt 20480 ]
	eventually 30 none_inside 'sleep 6543'
}

@test "list --watch shows a change, and events -f too" {
	p start seen
	type_line 'clear; perry list --watch'
	eventually 30 sees '^seen *running'
	tm split-window -t t -l 12 "env PERRY_CONFIG_DIR=$DIR $BUILD_ABS/perry events -f >$BATS_TEST_TMPDIR/events"
	sleep 0.5
	docker kill workspace-seen >/dev/null
	changed() { tm capture-pane -p -t t.0 | grep -q '^seen *stopped'; }
	told() { grep -q 'seen.*stopped' "$BATS_TEST_TMPDIR/events"; }
	eventually 30 changed || { screen; return 1; }
	eventually 30 told
	tm send-keys -t t.0 C-c
	p delete -y seen
}

@test "Ctrl-C during start asks; d detaches, and it goes on" {
	slow_start() { # NAME
		p agent config set scripts.post_start '["'"$BATS_TEST_TMPDIR/slow"'"]'
		printf '#!/bin/sh\nsleep 4\n' >"$BATS_TEST_TMPDIR/slow"
		chmod +x "$BATS_TEST_TMPDIR/slow"
		type_line "clear; perry start $1"
		eventually 30 some_in "$1"
		tm send-keys -t t C-c
		eventually 30 sees 'Detach (it goes on) or cancel it?'
	}
	some_in() { docker exec "workspace-$1" pgrep -fc '^sleep 4' >/dev/null; }
	slow_start det
	type_line d
	eventually 30 sees 'detached; it goes on'
	eventually 30 status_is det running
	p delete -y det
	slow_start can
	type_line c
	eventually 30 sees 'cancelled'
	type_line 'echo code=$?'
	eventually 30 sees 'code=130'
	eventually 30 sh -c "! docker exec workspace-can pgrep -f '^sleep 4' >/dev/null 2>&1"
	p agent config unset scripts.post_start
	p delete -y can
}
