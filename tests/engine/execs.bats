#!/usr/bin/env bats
# Many execs in a row: nothing adds up in the agent, in the engine or in the workspace. EXECS of them (make test-execs: many). FIGURES: a file for what was seen.
load helper

setup_file() { engine_setup; }
teardown_file() { engine_teardown; }
setup() { engine_use; }

# Who listens on the engine's socket; nothing where that is not a process of this machine that we may look into.
engine_pid() {
	local pid
	pid=$(python3 -c '
import os, socket, struct
host = os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"
s = socket.socket(socket.AF_UNIX)
s.connect(host[len("unix://"):])
print(struct.unpack("3i", s.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0])' 2>/dev/null) || return 0
	[ "$(cat "/proc/$pid/comm" 2>/dev/null)" = dockerd ] && [ -r "/proc/$pid/fd" ] && echo "$pid"
	return 0
}
files() { ls "/proc/$1/fd" | wc -l; } # PID
memory() { sed -n 's/^VmRSS:[[:space:]]*\([0-9]*\) kB/\1/p' "/proc/$1/status"; } # PID
few_files() { [ "$(files "$1")" -le "$2" ]; } # PID MOST
inside() { docker top workspace-many -eo pid | wc -l; }
few_inside() { [ "$(inside)" -le "$1" ]; }
run_execs() { # COUNT
	local i
	for ((i = 0; i < $1; i++)); do
		[ "$(p exec many -- echo "$i")" = "$i" ] || { echo "exec $i of $1 failed" >&2; return 1; }
	done
}
figures() { # WHEN
	[ -z "${FIGURES:-}" ] || echo "$1: agent $(files "$PID") files, $(memory "$PID") kB${engine:+; engine $(files "$engine") files, $(memory "$engine") kB}; $(inside) processes inside" >>"$FIGURES"
}

@test "execs in a row leave no file, no memory and no process behind" {
	local engine many=${EXECS:-300} files files_engine memory inside done
	engine=$(engine_pid)
	p start many
	run_execs 50 # what is kept ready from then on is there
	files=$(files "$PID") memory=$(memory "$PID") inside=$(inside)
	[ -z "$engine" ] || files_engine=$(files "$engine")
	figures "after 50 execs"
	for ((done = 0; done < many; done += 100)); do
		run_execs 100
		[ $((done % 1000)) != 900 ] || figures "after $((done + 150)) execs"
	done
	figures "after $((done + 50)) execs"
	# One file or kilobyte for each exec would be far above; a connection that is kept is not.
	eventually 60 few_files "$PID" $((files + 16))
	[ -z "$engine" ] || eventually 60 few_files "$engine" $((files_engine + 100))
	[ "$(memory "$PID")" -le $((memory + 16384)) ]
	eventually 60 few_inside "$inside"
	[ "$(p exec many -- echo fine)" = fine ]
	p delete -y many
}
