#!/usr/bin/env bats
# Settings > Configuration in a browser.
load helper

setup_file() { engine_setup; }
teardown_file() { engine_teardown; }
setup() { need_browser && engine_use; }
teardown() { all_gone; }

@test "Networking: key, prefix and switch are checked, saved and never shown again" { browse settings networking DIR="$DIR"; }
@test "the other settings are saved, one leaves the other alone, and a mask is no value" { browse settings "the others" DIR="$DIR"; }
@test "signing out ends both halves of the session" { browse settings "sign out" DIR="$DIR"; }
@test "the first visit's wizard is skipped or finished, and then gone" { browse settings wizard; }
@test "it can be installed, and says so when the agent is away" {
	browse settings installable AGENT_PID="$PID"
	agent_again
}
