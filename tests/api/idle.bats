#!/usr/bin/env bats
# An agent with nothing to do, connected to a real engine.
load helper

setup() { unset DIR PORT PID TOKEN; }
teardown() { agent_clean; }

# What goes away with the process: pages that it shares with the agent are the agent's anyhow.
private() { awk '/^Private_/ { n += $2 } END { print n }' "/proc/$1/smaps_rollup"; }
pss() { awk '/^Pss:/ { n += $2 } END { print n }' "/proc/$1/smaps_rollup"; }
switches() { cat /proc/"$PID"/task/*/status | awk '/^(non)?voluntary_ctxt_switches/ { n += $2 } END { print n }'; }

@test "it holds at most 10 MiB, its policy process 1 MiB, and no thread wakes" {
	need_engine
	sanitized && skip "a sanitizer takes more, and its own thread wakes"
	engine_agent
	sleep 6 # the start's memory is given back when its last thread has gone home
	local child before after zygote=0
	for child in $(cat /proc/"$PID"/task/*/children); do zygote=$((zygote + $(private "$child"))); done
	before=$(switches)
	sleep 3
	after=$(switches)
	echo "# agent $(pss "$PID") KiB, policy process $zygote KiB, $((after - before)) context switches in 3 s" >&3
	local own
	own=$(pss "$PID")
	remove_workspaces
	[ "$own" -le 10240 ]
	[ "$zygote" -le 1024 ]
	[ $((after - before)) -le 12 ]
}
