#!/usr/bin/env bats
# Terminals that live in their workspace: they outlive whoever looks at them, the client, the network and the agent (docs/streams.md "Sessions").
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
teardown() {
	terminal_teardown
	[ -z "${DIR:-}" ] || ! status_is web running || end_all
}

sessions() { p shell web -l --json; }
end_all() {
	local id
	for id in $(sessions | jq -r '.[].id'); do rpc terminals/end "{\"name\":\"web\",\"session\":\"$id\"}"; done
	[ "$(sessions)" = '[]' ]
}
session_is() { sessions | jq -e "any(.[]; $1)" >/dev/null; } # JQ CONDITION
runs() { [ "$(count_inside "^sleep $1")" = 1 ]; }
# Somebody looks at it in a new terminal: what was there is on its screen, and what ran goes on.
goes_on() { # NAME MARK SLEEP
	tm kill-session -t t 2>/dev/null || :
	terminal_new t 100 30
	type_line "clear; perry shell web -a $1"
	eventually 30 sees "^$2"
	runs "$3"
	keys C-c
	eventually 30 none_inside "^sleep $3"
	type_line 'echo typed $((40 + 2))'
	eventually 30 sees '^typed 42'
}
begin() { # NAME MARK SLEEP
	shell_open -t "$1"
	type_line "clear; echo $2; sleep $3"
	eventually 30 sees "^$2"
	eventually 30 runs "$3"
}

@test "a closed window leaves the session as it is" {
	begin hung mark-1 7101
	tm kill-session -t t
	eventually 30 session_is '.name == "hung" and .attached == 0 and .busy'
	goes_on hung mark-1 7101
}

@test "kill -9 of the client leaves the session as it is" {
	begin killed mark-2 7102
	kill -9 "$(client)"
	eventually 30 session_is '.name == "killed" and .attached == 0'
	goes_on killed mark-2 7102
}

@test "kill -9 of the agent leaves sessions as they are, and the client says how to get back" {
	begin alone mark-3 7103
	kill -9 "$PID"
	eventually 30 sees 'perry shell web -a'
	type_line 'echo code=$?'
	eventually 30 sees '^code=1'
	agent_again
	eventually 30 session_is '.name == "alone" and .busy and .program == "sleep"'
	goes_on alone mark-3 7103
}

@test "shell -l, its JSON, -a by id, by name and the one typed in last, names" {
	run p shell web -l
	[ "$status" = 0 ]
	[ -z "$output" ]
	[ "$(sessions)" = '[]' ]
	begin first mark-4 7104
	session_is '.name == "first" and (.id | test("^[a-z0-9]+$")) and .command == "" and .program == "sleep" and .cols == 100 and .rows == 30 and .attached == 1'
	terminal_new u 80 24
	T=u
	type_line 'clear; perry shell web -t second -- sh -c "echo mark-5; cat"'
	eventually 30 sees '^mark-5'
	run p shell web -l
	[ "${#lines[@]}" = 2 ]
	grep -qP '^[a-z0-9]+\tfirst\tsleep\tbusy\tyes\t' <<<"$output"
	grep -qP '^[a-z0-9]+\tsecond\tsh\tbusy\tyes\t' <<<"$output"
	# a name is one session's
	terminal_new v 80 24
	T=v
	type_line 'clear; perry shell web -t second -- true; echo code=$?'
	eventually 30 sees '^code=[1-9]'
	sees 'another session has this name'
	type_line "clear; perry shell web -a $(sessions | jq -r '.[] | select(.name == "second").id')"
	eventually 30 sees '^mark-5'
	keys Enter
	keys -l '~.'
	eventually 30 ends '[$#] *$'
	sleep 1 # the times of typing are whole seconds
	T=t keys Enter
	eventually 30 session_is '.name == "first" and .input > .created'
	last_typed() { sessions | jq -e 'max_by(.input).name == "first"' >/dev/null; }
	eventually 30 last_typed
	type_line 'clear; perry shell web -a'
	eventually 30 sees '^mark-4'
	keys Enter
	keys -l '~.'
	eventually 30 ends '[$#] *$'
	type_line 'clear; perry shell web -a nobody; echo code=$?'
	eventually 30 sees '^code=5'
	sees 'perry shell web -l'
	run p shell web -a first
	[ "$status" = 2 ]
	run p shell web word
	[ "$status" = 2 ]
	[[ $output == *"perry shell NAME -a word"* ]]
}

@test "Enter ~ . leaves the session, ~~ types one, and what is typed otherwise passes" {
	type_line 'clear; perry shell web -t tilde -- sh -c "stty -echo; echo ready; exec cat"'
	eventually 30 sees '^ready'
	type_line 'a~.b'
	eventually 30 sees '^a~.b'
	keys -l '~~x'
	keys Enter
	eventually 30 sees '^~x'
	keys -l '~y'
	keys Enter
	eventually 30 sees '^~y'
	keys -l '~.'
	eventually 30 sees 'The session goes on: perry shell web -a'
	type_line 'echo code=$?; stty -a | grep -o "[-]*icanon"'
	eventually 30 sees '^code=0'
	eventually 30 sees '^icanon'
	eventually 30 session_is '.name == "tilde" and .program == "cat" and .attached == 0'
}

@test "shell -r looks, and nothing that is typed passes" {
	shell_open -t shown
	terminal_new u 80 24
	T=u
	type_line 'clear; perry shell web -a shown -r'
	eventually 30 ends 'workspace@.*[$#] *$'
	type_line 'touch /tmp/typed-by-a-reader'
	keys C-d
	T=t type_line 'echo from-the-other'
	eventually 30 sees '^from-the-other'
	refute sees touch
	session_is '.name == "shown" and .cols == 100 and .rows == 30'
	run -1 inside test -e /tmp/typed-by-a-reader
	keys Enter
	keys -l '~.'
	eventually 30 sees 'The session goes on'
}

@test "screen prints it as text, without control characters" {
	run p screen web
	[ "$status" = 5 ]
	[[ $output == *"perry shell web"* ]]
	shell_open -t drawn
	type_line "clear; printf '\\033[31mred\\033[0m \\303\\274\\033]0;title\\a\\a\\n'; tput cup 9 4; echo there"
	eventually 30 sees '^    there'
	p screen web >"$BATS_TEST_TMPDIR/screen"
	grep -q '^red ü' "$BATS_TEST_TMPDIR/screen"
	grep -q '^    there' "$BATS_TEST_TMPDIR/screen"
	refute grep -q '[[:cntrl:]]' "$BATS_TEST_TMPDIR/screen"
	diff "$BATS_TEST_TMPDIR/screen" <(p screen web drawn)
	p screen web drawn --json | jq -e '.text | contains("there")' >/dev/null
	run p screen web nobody
	[ "$status" = 5 ]
	run p screen none
	[ "$status" = 5 ]
}

@test "the program's exit code is shell's" {
	type_line 'clear; perry shell web -- sh -c "exit 7"; echo code=$?'
	eventually 30 sees '^code=7'
	type_line 'clear; perry shell web -- /no/such; echo code=$?'
	eventually 30 sees '^code=127'
	shell_open
	type_line 'exit 3'
	eventually 30 ends '[^@]*[$#] *$'
	type_line 'clear; echo code=$?'
	[ "$(sessions)" = '[]' ]
}

@test "two viewers: both see all, and the size is that of who types" {
	shell_open -t both
	terminal_new u 80 24
	T=u
	type_line 'clear; perry shell web -a both'
	eventually 30 ends 'workspace@.*[$#] *$'
	T=u type_line 'stty size'
	T=u eventually 30 sees '^24 80'
	T=t eventually 30 sees '^24 80'
	T=t type_line 'stty size'
	T=t eventually 30 sees '^30 100'
	T=u eventually 30 sees '^30 100'
	T=t tm resize-window -t t -x 90 -y 20
	resized() { session_is '.name == "both" and .cols == 90 and .rows == 20'; }
	eventually 30 resized
	T=t type_line 'exit'
	T=t eventually 30 ends '[$#] *$'
	T=u type_line 'echo code=$?'
	T=u eventually 30 sees '^code=0'
}

@test "a viewer that does not read holds up neither the program nor another viewer, and has the screen once it reads again" {
	local stopped
	shell_open -t slow
	terminal_new u 100 30
	T=u
	type_line 'clear; sh -c "perry shell web -a slow; :"' # a shell without jobs: it does not take the terminal back
	eventually 30 ends 'workspace@.*[$#] *$'
	stopped=$(pgrep -P "$(pgrep -P "$(tm display-message -p -t u '#{pane_pid}')")")
	kill -STOP "$stopped"
	T=t type_line 'clear; seq 1 2000000; echo done-$((40 + 2))'
	T=t eventually 60 sees '^done-42'
	refute sees '^done-42'
	kill -CONT "$stopped"
	eventually 30 sees '^done-42'
	sees '^2000000'
	type_line 'echo and-on'
	eventually 30 sees '^and-on'
	T=t eventually 30 sees '^and-on'
}

@test "terminals/end ends the session and whoever looks at it" {
	begin over mark-6 7106
	rpc terminals/end "{\"name\":\"web\",\"session\":\"$(sessions | jq -r '.[0].id')\"}"
	expect 200
	none_inside '^sleep 7106'
	[ "$(sessions)" = '[]' ]
	type_line 'echo code=$?'
	eventually 30 sees '^code=129'
}

@test "a stop of the workspace ends its sessions, and viewers are told" {
	begin stopped mark-7 7107
	p stop web
	eventually 30 ends '[$#] *$'
	type_line 'echo code=$?; stty -a | grep -o "[-]*icanon"'
	eventually 30 sees '^icanon'
	sees '^code=6'
	sees 'Workspace stopped'
	p start web
	eventually 30 sessions
	[ "$(sessions)" = '[]' ]
}

@test "a terminal that the API begins runs the preferred shell, as one of perry shell does" {
	p agent config set terminal.preferredShell /bin/sh
	rpc terminals/start '{"name":"web","title":"asked"}'
	p agent config set terminal.preferredShell /bin/bash
	rpc terminals/start '{"name":"web","title":"asked again"}'
	both_run() { [ "$(sessions | jq -c 'map({key: .name, value: .program}) | from_entries | [.asked, .["asked again"]]')" = '["sh","bash"]' ]; }
	eventually 30 both_run
}
