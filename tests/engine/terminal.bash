# A real terminal (tmux) for files of tests: setup() begins one of 100x30 with a shell, in which perry is this agent's.
# shellcheck shell=bash
BUILD_ABS=$(realpath "$BUILD")

terminal_setup() {
	command -v tmux >/dev/null || skip "tmux is not installed"
	SOCK=$BATS_TEST_TMPDIR/tmux
	terminal_new t 100 30
}
# One more, of that size; T says which one is typed in and looked at.
terminal_new() { # NAME COLUMNS ROWS
	local T=$1
	tm -f /dev/null new-session -d -x "$2" -y "$3" -s "$1" "env PERRY_CONFIG_DIR=$DIR PATH=$BUILD_ABS:$PATH TERM=xterm-256color bash --norc --noprofile"
	tm set-option -g remain-on-exit on
	eventually 30 sees '[$#] *$'
}
terminal_teardown() { tm kill-server 2>/dev/null || true; }

T=t
tm() { tmux -u -S "$SOCK" "$@" 3>&-; }
screen() { tm capture-pane -p -t "$T"; }
sees() { screen | grep -q -- "$1"; }
# The last line that is not empty.
last() { screen | grep -v '^$' | tail -1; }
ends() { last | grep -q -- "$1"; }
keys() { tm send-keys -t "$T" "$@"; }
type_line() { tm send-keys -t "$T" -l "$1" && tm send-keys -t "$T" Enter; }
# The perry that runs in it: its process.
client() { pgrep -P "$(tm display-message -p -t "$T" '#{pane_pid}')" -f "$BUILD_ABS/perry|^perry"; }
shell_open() { # [OPTIONS...]
	type_line "clear; perry shell web $*"
	eventually 30 ends 'workspace@.*[$#] *$'
}
inside() { docker exec workspace-web "$@"; }
# How many processes whose command line matches run in the workspace.
count_inside() { inside pgrep -fc "$1" || true; }
none_inside() { [ "$(count_inside "$1")" = 0 ]; }
some_inside() { [ "$(count_inside "$1")" != 0 ]; }
