#!/usr/bin/env bats
# The agent is killed at every moment of joining and leaving: LEAVE_ROUNDS (8) of each, spread over what the two take. Keys are persistent here, so
# that no timeout of the control server tidies up after us, and the name is always the same, so that an orphan would show as NAME-1.
load helper
load leave_agent

setup_file() { lab_file_setup kill_setup; }
teardown_file() {
	engine_teardown
	lab_file_teardown
}
setup() {
	lab_file_use
	engine_use
}
kill_setup() {
	leave_agent
	mkdir -p "$DIR/hooks"
	printf 'return function() return perry.key.mint { credential = "lab", ephemeral = false } end\n' >"$DIR/hooks/auth_key.lua"
}

known() { p list -q | grep -qx kill; }
unknown() { ! known; }
idle() { [ "$(p info kill --json 2>/dev/null | jq -r .status)" != creating ]; }
# Where the kills met the operations, for the reader of the test's output.
met() { sed -n "s/.*finished the \([a-z]*\) of 'kill' that was interrupted at step '\([^']*\)'.*/\1:\2/p" "$DIR/agent.log" | sort | uniq -c | awk '{n = $1; $1 = ""; printf "%s%s x%d", (NR > 1 ? "," : ""), $0, n}'; }

@test "killed while it joins and while it leaves: no orphan, and nobody is called NAME-1" {
	local i rounds=${LEAVE_ROUNDS:-8} join_ms leave_ms from
	# What the two take when nobody is killed.
	from=$(now_ms)
	p start kill
	join_ms=$(($(now_ms) - from + 300))
	from=$(now_ms)
	p delete -y kill
	leave_ms=$(($(now_ms) - from + 300))
	for i in $(seq "$rounds"); do
		p start --no-wait kill
		sleep "$(awk "BEGIN {print ($i - 0.5) / $rounds * $join_ms / 1000}")"
		agent_killed_and_back
		p start kill
		[ "$(names | sort | tr '\n' ' ')" = "kill phone " ] || { echo "round $i, joining: $(names)"; return 1; }
		p delete -y --no-wait kill
		sleep "$(awk "BEGIN {print ($i - 0.5) / $rounds * $leave_ms / 1000}")"
		agent_killed_and_back
		lab_until 60 unknown
		lab_until 60 gone kill
		lab_until 60 nothing_pending || { echo "round $i, leaving"; p tailnet; return 1; }
		[ "$(names)" = phone ] || { echo "round $i, leaving: $(names)"; return 1; }
	done
	echo "# $rounds rounds; interrupted at: $(met)" >&3
	nothing docker volume ls -q --filter name=workspace-kill
	nothing docker ps -aq --filter name=workspace-kill
}
