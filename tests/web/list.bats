#!/usr/bin/env bats
# The list of workspaces in a browser, and what is done from it.
load helper

setup_file() { engine_setup; }
teardown_file() { engine_teardown; }
setup() { need_browser && engine_use; }
teardown() { all_gone; }

@test "the token signs in, keeps to its place, and no half of a session is one" { browse list "sign-in by token"; }
@test "what the network drops is asked for again" { browse list "dropped"; }
@test "a link signs in once, and leaves nothing in the address" { browse list "sign-in by link"; }
@test "without workspaces the page says how to make one" { browse list "no workspaces"; }
@test "a workspace is made, stopped, started, restarted and deleted by keys and buttons" { browse list "life from the page"; }
@test "what failed is shown with its step and message, and a refusal in its dialog" { browse list "a failure"; }
@test "what others do shows by itself, and a page that is left alone asks nothing" { browse list "live without asking"; }
@test "names, labels and processes that look like markup are text" { browse list "hostile text"; }

@test "fifty workspaces: filtered, moved through and opened by keys" {
	local i pids=()
	for i in $(seq 50); do
		p start "ff$i" >/dev/null 2>&1 &
		pids+=($!)
		((i % 10)) || wait "${pids[@]}"
	done
	p stop ff50
	browse list "fifty"
}
