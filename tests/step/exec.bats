#!/usr/bin/env bats
# Commands: environment, user, exit codes, terminals, ending them.
load helper
bats_require_minimum_version 1.5.0

setup_file() {
	C=$PIM-exec
	export C
	new_container "$C" -e FROM_IMAGE=1
	step ready
}
teardown_file() { docker rm -f "$C" >/dev/null; }
setup() { inside sh -c 'rm -rf /run/perry/env /home/workspace/*'; }

@test "values with newlines, quotes and bytes that are no text arrive as they are" {
	value=$'a\nb \'single\' "double" $HOME `x` \\ \t \xff\xfe\x01 end\n'
	quoted=${value//\'/\'\\\'\'}
	printf "A='%s'\nEMPTY=''\n# a remark\nB='2'\nPLAIN=3\n" "$quoted" | step write /run/perry/env --owner workspace
	printf '%s' "$value" >"$BATS_TEST_TMPDIR/want"
	step exec --id a -- sh -c 'printf %s "$A"' >"$BATS_TEST_TMPDIR/got"
	cmp "$BATS_TEST_TMPDIR/want" "$BATS_TEST_TMPDIR/got"
	run step exec --id a -- sh -c 'echo "[$EMPTY]$B$PLAIN$FROM_IMAGE"'
	[ "$output" = "[]231" ]
	# and a shell that sources the file sees the same
	step exec --id a -- env -i sh -c '. /run/perry/env; printf %s "$A"' >"$BATS_TEST_TMPDIR/sourced"
	cmp "$BATS_TEST_TMPDIR/want" "$BATS_TEST_TMPDIR/sourced"
}

@test "a broken environment is refused with file and line" {
	printf "A='1\n2'\nB='open\n" | step write /run/perry/env
	run step exec --id a -- true
	[ "$status" = 125 ]
	[ "$output" = "perry-step: /run/perry/env:3: a quote is not closed" ]
	printf "A='1\n2'\n1B='x'\n" | step write /run/perry/env
	run step exec --id a -- true
	[[ $output == *"/run/perry/env:3: expected NAME='value'" ]]
	printf "A='1'\nB='\0'\n" | step write /run/perry/env
	run step exec --id a -- true
	[[ $output == *"/run/perry/env:2: a NUL byte" ]]
}

@test "who one is does not come from the file, the path does" {
	printf "HOME='/evil'\nUSER='root'\nPATH='/usr/bin:/bin'\n" | step write /run/perry/env
	run step exec --id a -- sh -c 'echo "$HOME $USER $LOGNAME $PATH $PWD"'
	[ "$output" = "/home/workspace workspace workspace /usr/bin:/bin /home/workspace" ]
}

@test "the user comes with its groups and without root's" {
	inside sh -c 'getent group extra >/dev/null || groupadd -g 4321 extra; usermod -aG extra workspace'
	run step exec --id a -- sh -c 'id -u; id -G; grep -E "^(CapEff|CapPrm)" /proc/self/status'
	[ "$output" = $'1000\n1000 4321\nCapPrm:\t0000000000000000\nCapEff:\t0000000000000000' ]
	run step exec --id a --user root -- sh -c 'id -u; echo $HOME'
	[ "$output" = $'0\n/root' ]
	run step exec --id a --user nobody-here -- true
	[ "$status" = 125 ]
	run step exec --id a --user 4242 -- id -u
	[ "$output" = 4242 ]
}

@test "exit codes are the command's, 126 and 127 as a shell has them" {
	run step exec --id a -- sh -c 'exit 42'
	[ "$status" = 42 ]
	run step exec --id a -- sh -c 'kill -9 $$'
	[ "$status" = 137 ]
	run -127 step exec --id a -- no-such-command
	[ "$status" = 127 ]
	[ "$output" = "perry-step: no-such-command: command not found" ]
	run -127 step exec --id a -- /no/such
	[ "$status" = 127 ]
	run step exec --id a -- /etc/passwd
	[ "$status" = 126 ]
	run step exec --id a -- /etc
	[ "$status" = 126 ]
	printf '#!/no/interpreter\n' | step write /home/workspace/s --mode 755 --owner workspace
	run step exec --id a -- ./s
	[ "$status" = 126 ]
	printf 'echo no first line "$1"\n' | step write /home/workspace/s --mode 755 --owner workspace
	run step exec --id a -- ./s arg
	[ "$output" = "no first line arg" ]
	run step exec --id a --cwd /no/such -- true
	[ "$status" = 126 ]
	run step exec --id a --cwd /root -- true
	[ "$status" = 126 ]
	run step exec --id ../a -- true
	[ "$status" = 2 ]
	run step exec --id a
	[ "$status" = 2 ]
	run step nonsense
	[ "$status" = 2 ]
}

@test "a value longer than the kernel takes is 126, not a crash" {
	{ printf "A='"; head -c 200000 /dev/zero | tr '\0' x; printf "'\n"; } | step write /run/perry/env
	run step exec --id a -- true
	[ "$status" = 126 ]
	[[ $output == *"Argument list too long"* ]]
}

@test "--cwd takes ~, a relative and an absolute folder" {
	inside sh -c 'mkdir -p /home/workspace/p/q; chown -R workspace /home/workspace/p'
	run step exec --id a --cwd '~/p' -- pwd
	[ "$output" = /home/workspace/p ]
	run step exec --id a --cwd p/q -- pwd
	[ "$output" = /home/workspace/p/q ]
	run step exec --id a --cwd /tmp -- pwd
	[ "$output" = /tmp ]
}

@test "input, output and errors pass any byte" {
	head -c 3000000 /dev/urandom >"$BATS_TEST_TMPDIR/in"
	step exec --id a -- cat <"$BATS_TEST_TMPDIR/in" >"$BATS_TEST_TMPDIR/out"
	cmp "$BATS_TEST_TMPDIR/in" "$BATS_TEST_TMPDIR/out"
	run bash -c "docker exec -i $C /opt/perry/bin/perry-step exec --id a -- sh -c 'echo e >/dev/stderr; echo o >/dev/stdout' 2>&1 >/dev/null"
	[ "$output" = e ]
}

@test "a login shell and a command in one" {
	run bash -c "echo 'shopt -q login_shell && echo login; echo \$0' | docker exec -i $C /opt/perry/bin/perry-step exec --id a --login"
	[ "$output" = $'login\n-bash' ]
	run step exec --id a --login --shell /bin/sh -- sh -c 'echo "$SHELL $1"' x "a  b"
	[ "$output" = "/bin/sh a  b" ]
	run bash -c "echo 'echo \$0' | docker exec -i $C /opt/perry/bin/perry-step exec --id a --login --shell /no/shell"
	[ "$output" = -bash ]
}

@test "on a terminal: own session, job control, its name can be opened, size changes arrive" {
	cat >"$BATS_TEST_TMPDIR/terminal.py" <<'PY'
import fcntl, os, pty, select, struct, sys, termios, time
pid, fd = pty.fork()
if pid == 0:
    os.execvp("docker", ["docker", "exec", "-it", sys.argv[1], "/opt/perry/bin/perry-step", "exec", "--id", "tt", "--login"])
seen = b""
def until(what):
    global seen
    end = time.time() + 10
    while what not in seen:
        if time.time() > end: print(seen); sys.exit("no " + repr(what))
        if select.select([fd], [], [], 0.1)[0]:
            try: seen += os.read(fd, 65536)
            except OSError: break
    seen = seen[seen.index(what) + len(what):] if what in seen else b""
until(b"$")
os.write(fd, b"[ $(cut -d' ' -f6 /proc/$$/stat) = $$ ] && echo LEAD''OK; (: >$(tty)) && echo OPEN''OK; case $- in *m*) echo JOB''OK;; esac\n")
until(b"LEADOK"); until(b"OPENOK"); until(b"JOBOK")
os.write(fd, b"trap 'stty size' WINCH; echo TR''AP\n"); until(b"TRAP")
fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 77, 0, 0))
time.sleep(0.5); os.write(fd, b"\n")
until(b"33 77")
os.write(fd, b"sleep 1000\n"); time.sleep(0.4); os.write(fd, b"\x03"); time.sleep(0.2)
os.write(fd, b"echo co''de=$?\n"); until(b"code=130")
os.write(fd, b"exit 7\n")
_, st = os.waitpid(pid, 0)
sys.exit(0 if os.WEXITSTATUS(st) == 7 else "code %d" % os.WEXITSTATUS(st))
PY
	timeout 60 python3 "$BATS_TEST_TMPDIR/terminal.py" "$C"
}

@test "the record goes when the command ends, and one id is one command" {
	docker exec -d "$C" /opt/perry/bin/perry-step exec --id one -- sleep 200
	eventually 30 inside test -e /run/perry/exec/one
	run step exec --id one -- true
	[ "$status" = 125 ]
	[[ $output == *"id one is running"* ]]
	step kill one --grace 2
	gone() { [ "$(inside sh -c 'test -e /run/perry/exec/one || echo gone')" = gone ]; }
	eventually 30 gone
	run step kill one
	[ "$status" = 3 ]
	[[ $output == *"nothing runs with the id one"* ]]
	# a record left by a supervisor that was killed, its pid in use by another process
	inside sh -c 'echo "1 1" >/run/perry/exec/one'
	run step kill one --grace 1
	[ "$status" = 3 ]
	step exec --id one -- true
}

@test "kill ends grandchildren and background jobs" {
	docker exec -d "$C" /opt/perry/bin/perry-step exec --id tree -- bash -c 'set -m; sleep 301 & (sleep 301 & sh -c "sleep 301; :") & nohup sleep 301 >/dev/null 2>&1 & wait'
	eventually 30 sleeps_are 301 4
	step kill tree --signal TERM --grace 2
	sleeps_are 301 0
}

@test "kill with a grace is hard at its end" {
	docker exec -d "$C" /opt/perry/bin/perry-step exec --id hard -- sh -c 'trap "" TERM HUP; touch ~/armed; while :; do sleep 302; done'
	eventually 30 inside test -e /home/workspace/armed
	step kill hard --signal HUP
	run step exec --id x -- true
	from=$(now_ms)
	step kill hard --signal HUP --grace 0.5
	took=$(($(now_ms) - from))
	[ "$took" -ge 500 ]
	[ "$took" -lt 20000 ]
	sleeps_are 302 0
}

@test "kill reaches one that is stopped, and a signal by name or number" {
	docker exec -d "$C" /opt/perry/bin/perry-step exec --id st -- sleep 303
	eventually 30 sleeps_are 303 1
	step kill st --signal STOP
	step kill st --signal 15 --grace 2
	sleeps_are 303 0
	run step kill st --signal NOSUCH
	[ "$status" = 2 ]
}

@test "INT goes to the command as Ctrl-C does" {
	docker exec "$C" /opt/perry/bin/perry-step exec --id int -- sh -c 'trap "exit 9" INT; touch ~/armed; while :; do sleep 0.05; done' &
	client=$!
	eventually 30 inside test -e /home/workspace/armed
	step kill int --signal INT
	code=0
	wait $client || code=$?
	[ "$code" = 9 ]
}

@test "a command that leaves a background process ends when it ends itself" {
	timeout 60 docker exec "$C" /opt/perry/bin/perry-step exec --id bg -- sh -c 'sleep 304 >/dev/null 2>&1 & echo done'
	sleeps_are 304 1
	inside sh -c 'for p in /proc/[0-9]*; do grep -q "^sleep" $p/cmdline 2>/dev/null && kill ${p#/proc/}; done; true'
}
