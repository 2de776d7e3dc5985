#!/usr/bin/env bats
# channel: the holder, and every kind of stream that it knows (docs/channel.md).
load helper

setup_file() {
	load helper
	C=$PIM-channel
	export C
	new_container "$C" -e FROM_IMAGE=1
	step ready
	eventually 30 docker exec "$C" test -e /run/perry/up
}
teardown_file() { docker rm -f "$C" >/dev/null; }

# A client's lines come on standard input; it begins with a channel ch into the container.
py() {
	{ printf 'import os, sys, time, threading\nfrom channel_client import *\nC = os.environ["C"]\nch = Channel(C)\n'; cat; } >"$BATS_TEST_TMPDIR/client.py"
	PYTHONPATH="$BATS_TEST_DIRNAME/../lib" timeout 300 python3 "$BATS_TEST_TMPDIR/client.py"
}
holders() { inside sh -c 'n=0; for p in /proc/[0-9]*; do [ "$(cat $p/comm 2>/dev/null)" = perry-holder ] && n=$((n+1)); done; echo $n'; }

@test "a channel begins with what the holder is; its end is the end of the process that opened it" {
	py <<'P'
assert ch.hello["version"] == 1 and ch.hello["step"] == inside(C, STEP, "version").strip(), ch.hello
ch.end()
assert ch.process.returncode == 0 and ch.ended
P
	[ "$(holders)" = 1 ]
	[ "$(inside stat -c '%a %U' /run/perry/holder)" = "600 root" ]
}

@test "many channels that begin at once find one holder" {
	inside sh -c 'kill -9 $(grep -lx perry-holder /proc/[0-9]*/comm | tr -dc "0-9\n"); :'
	py <<'P'
six = [None] * 6
def begin(i): six[i] = Channel(C)
threads = [threading.Thread(target=begin, args=(i,)) for i in range(6)]
for t in threads: t.start()
for t in threads: t.join()
assert all(c.hello for c in six)
for c in six: assert c.run("echo", "x").out == b"x\n"
P
	[ "$(holders)" = 1 ]
}

@test "exec is as perry-step exec: environment, user, folder, codes, reasons" {
	printf "A='1\n2'\n" | step write /run/perry/env --owner workspace
	py <<'P'
import subprocess
def both(code, *command, **how):
    options = [x for k, v in how.items() if k != "login" for x in ("--" + k, v)] + (["--login"] if how.get("login") else [])
    p = subprocess.run(["docker", "exec", "-i", C, STEP, "exec", "--id", "twin", *options, "--", *command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    s = ch.run(*command, **how)
    assert (s.code, s.out, s.err) == (p.returncode, p.stdout, p.stderr), (command, s.code, s.out, s.err, p)
    assert s.code == code, (command, s.code)
env = 'echo "$A|$HOME|$USER|$LOGNAME|$SHELL|$PWD|$PATH|$FROM_IMAGE|$TERM|$PERRY_LIFE"; id; ulimit -a; umask; grep -E "^(Sig[^Q]|Cap|Groups|NoNewPrivs)" /proc/self/status'
both(0, "sh", "-c", env)
both(0, "sh", "-c", env, user="root")
both(0, "id", "-u", user="4242")
both(125, "true", user="nobody-here")
both(42, "sh", "-c", "exit 42")
both(137, "sh", "-c", "kill -9 $$")
both(127, "no-such-command")
both(127, "/no/such")
both(126, "/etc/passwd")
both(126, "/etc")
both(126, "true", cwd="/no/such")
both(126, "true", cwd="/root")
both(0, "pwd", cwd="~/")
both(0, "pwd", cwd="/tmp")
both(0, "sh", "-c", 'echo "$SHELL $1"', "x", "a  b", login=True, shell="/bin/sh")
s = ch.open("exec", id="login")
s.type(b"shopt -q login_shell && echo login; echo $0; exit 6\n")
assert (s.wait(), s.out) == (6, b"login\n-bash\n"), s.out
P
	printf "B='open\n" | step write /run/perry/env
	py <<'P'
s = ch.run("true")
assert (s.code, s.err) == (125, b"perry-step: /run/perry/env:1: a quote is not closed\n"), s.err
assert ch.open("exec", id="../a", command=["true"]).fails() == "BAD_REQUEST"
assert ch.open("exec", command=["true"]).fails() == "BAD_REQUEST"
assert ch.open("exec", id="a", command="true").fails() == "BAD_REQUEST"
assert ch.open("exec", id="a", command=["true", 1]).fails() == "BAD_REQUEST"
assert ch.open("nonsense").fails() == "BAD_REQUEST"
P
	inside rm /run/perry/env
}

@test "input, output and errors pass any byte, apart, 10 MB and more; input may end first" {
	py <<'P'
data = os.urandom(10 << 20)
s = ch.run("cat", stdin=data)
assert s.out == data and s.code == 0
s = ch.run("sh", "-c", "cat; echo e >/dev/stderr; echo o >/dev/stdout", stdin=b"in\n")
assert (s.out, s.err) == (b"in\no\n", b"e\n"), (s.out, s.err)
s = ch.run("head", "-c", "20000000", "/dev/zero")
assert s.got == 20000000
# one that does not read what it gets ends all the same, and so does one that closes it
assert ch.run("sh", "-c", "exit 5", stdin=os.urandom(1 << 20)).code == 5
assert ch.run("sh", "-c", "exec <&-; sleep 1; exit 4", stdin=os.urandom(1 << 20)).code == 4
# what a command wrote last comes before its EXIT; one that it left behind keeps nobody
s = ch.run("sh", "-c", "head -c 300000 /dev/zero; sleep 305 >/dev/null 2>&1 & exit 3")
assert (s.code, s.got) == (3, 300000)
s = ch.run("sh", "-c", "sleep 305 & echo last; exit 3")
assert (s.code, s.out) == (3, b"last\n")
inside(C, "sh", "-c", "for p in /proc/[0-9]*; do grep -qx sleep $p/comm 2>/dev/null && kill ${p#/proc/}; done")
P
}

@test "a terminal: session, job control, size, its name, what is typed" {
	py <<'P'
s = ch.open("exec", id="tt", tty=True, cols=91, rows=31)
s.says(b"$")
s.type(b"stty size; echo $TERM\n"); s.says(b"31 91\r\nxterm-256color\r\n")
s.type(b"[ $(cut -d' ' -f6 /proc/$$/stat) = $$ ] && echo LEAD''OK; (: >$(tty)) && echo OPEN''OK; case $- in *m*) echo JOB''OK;; esac\n")
s.says(b"LEADOK"); s.says(b"OPENOK"); s.says(b"JOBOK")
s.type(b"trap 'stty size' WINCH; echo TR''AP\n"); s.says(b"TRAP")
s.resize(77, 33); s.says(b"33 77")
s.type(b"sleep 1000\n"); eventually(lambda: "sleep 1000 " in inside(C, "sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '"))
s.type(b"\x03"); s.says(b"^C"); s.type(b"exit 7\n")
assert s.wait() == 7
s = ch.run("sh", "-c", "head -c 2000000 /dev/zero; echo end; sleep 306 & exit 2", tty=True, term="vt100")
assert s.code == 2 and s.got == 2000005, s.got
P
	inside sh -c 'for p in /proc/[0-9]*; do grep -qx sleep $p/comm 2>/dev/null && kill ${p#/proc/}; done; :'
}

@test "windows: nobody gets more than he has room for, and nothing is lost" {
	py <<'P'
s = ch.open("exec", grant=False, id="w1", command=["head", "-c", "1000000", "/dev/zero"])
s.until(lambda s: s.got == AHEAD)
assert ch.run("echo", "others").out == b"others\n"  # they go on
assert s.got == AHEAD and not s.over()
s.window(10); s.until(lambda s: s.got == AHEAD + 10)
s.window(1 << 20)
assert s.wait() == 0 and s.got == 1000000
# input that is not read is not granted again; what is more than the window ends the channel
s = ch.open("exec", id="w2", command=["sh", "-c", "sleep 307"])
other = Channel(C)
s.type(os.urandom(AHEAD))
assert ch.run("echo", "others").out == b"others\n"
assert s.room < 1 << 17, s.room
for i in range(5): ch.try_send(frame(STDIN, s.number, b"x" * 65536))
ch.until(lambda: ch.ended)
assert other.run("echo", "on").out == b"on\n"
P
	eventually 30 sleeps_are 307 0
}

@test "frames that are malformed end their channel, and no other" {
	py <<'P'
other = Channel(C)
keep = other.open("exec", id="keep", command=["cat"])
bad = [frame(0, 1), frame(13, 1), frame(STDOUT, 1, b"x"), frame(OPENED, 1, b"{}"), frame(EXIT, 1, b"{}"), frame(STDERR, 1), frame(ERROR, 1),
       frame(OPEN, 0, b'{"kind":"watch"}'), frame(CLOSE, 0), frame(STDIN, 1, b"x" * 65537), b"\0\0\0\0\x03", b"\xff\xff\xff\xff\x01", b"\0\0\0\x04\x03abc\0",
       frame(WINDOW, 1, b"abc"), frame(WINDOW, 1, b"\xff\xff\xff\xff"), frame(OPEN, 1, b'{"kind":"sessions"}'), b"GET / HTTP/1.1\r\n\r\n"]
for b in bad:
    c = Channel(C)
    s = c.open("sessions")
    s.begun()
    c.try_send(b)
    c.until(lambda: c.ended)
    c.process.wait(LIMIT)
# no JSON, JSON of another kind, too deep, and numbers that are none: an answer
for text in (b"", b"{", b"[]", b'"exec"', b"[" * 100000, b'{"kind":1}', b"\0"):
    number = ch.next; ch.next += 1
    s = ch.streams[number] = Stream(ch, number, True)
    ch.send(frame(OPEN, number, text))
    assert s.fails() == "BAD_REQUEST"
for number in (999, 4294967295):
    for b in (frame(STDIN, number, b"x"), frame(EOF, number), frame(CLOSE, number), frame(RESIZE, number, b"{"), frame(SIGNAL, number, b"1"), frame(WINDOW, number, b"\0\0\0\1")):
        ch.send(b)
s = ch.open("exec", id="odd", command=["cat"], tty=True, cols=-1, rows="x")
ch.send(frame(RESIZE, s.number, b'{"cols":0,"rows":99999999999}') + frame(SIGNAL, s.number, b'{"signal":"NONE"}'))
s.close(); s.wait()
keep.type(b"still\n"); keep.says(b"still\n")
P
}

@test "SIGNAL goes to the whole session, CLOSE ends it, at last by force; kill finds it by its id" {
	py <<'P'
s = ch.open("exec", id="sig", command=["bash", "-c", "trap 'exit 9' INT; set -m; sleep 308 & echo armed; while :; do sleep 0.05; done"])
s.says(b"armed"); s.signal("INT")
assert s.wait() == 9
s = ch.open("exec", id="stop", command=["sh", "-c", "echo armed; sleep 308"])
s.says(b"armed"); s.signal("STOP"); s.close()
assert s.wait() == 129
s = ch.open("exec", id="hard", command=["sh", "-c", "trap '' HUP TERM; (while :; do sleep 308; done) & echo armed; while :; do echo on; sleep 308; done"])
s.says(b"armed"); s.close()
assert s.wait() == 137
s = ch.open("exec", id="byid", command=["sh", "-c", "echo armed; sleep 308"])
s.says(b"armed")
assert ch.open("exec", id="byid", command=["true"]).fails() == "CONFLICT"
inside(C, STEP, "kill", "byid", "--grace", "5")
assert s.wait() == 143
assert ch.run("true", id="byid").code == 0
assert inside(C, "ls", "/run/perry/exec") == "", inside(C, "ls", "/run/perry/exec")
P
	eventually 30 sleeps_are 308 0
}

@test "a channel that is cut ends its commands; sessions go on; the next one attaches" {
	py <<'P'
def begin(c):
    s = c.open("exec", id=f"cut{id(c)}", command=["sh", "-c", "trap '' HUP; sleep 309 & echo armed; while :; do sleep 309; done"])
    s.says(b"armed")
    c.open("watch").says(b"ports")
begin(ch)
made = ch.open("session", name="survivor", command=["sh", "-c", "echo before; read x; echo after $x; sleep 310"])
made.wait()
a = ch.open("attach", session=made.opened["session"]); a.says(b"before")
# the process that opened it is killed
pid = inside(C, "sh", "-c", "for p in /proc/[0-9]*; do tr '\\0' ' ' <$p/cmdline 2>/dev/null | grep -q 'perry-step channel' && [ $(cat $p/comm) = perry-step ] && echo ${p#/proc/}; done").split()
inside(C, "sh", "-c", "kill -9 " + " ".join(pid))
ch.until(lambda: ch.ended)
two = Channel(C)
begin(two)
two.end()  # its input ends
three = Channel(C)
b = three.open("attach", session=made.opened["session"]); b.says(b"before")
b.type(b"all\n"); b.says(b"after all")
assert [s["name"] for s in three.sessions()] == ["survivor"]
e = three.open("end", session=made.opened["session"])
assert e.wait() == 0 and b.wait() == 129
P
	eventually 30 sleeps_are 309 0
	sleeps_are 310 0
}

@test "connect: both directions, halves that end, a server on whichever address, none" {
	cat >"$BATS_TEST_TMPDIR/server" <<'P'
use Socket; my ($port, $host) = @ARGV;
socket(my $s, PF_INET, SOCK_STREAM, 0); setsockopt($s, SOL_SOCKET, SO_REUSEADDR, 1);
bind($s, sockaddr_in($port, inet_aton($host))) or die; listen($s, 9);
while (accept(my $c, $s)) { next if fork; my ($n, $b) = (0); $n += length $b while sysread($c, $b, 65536); syswrite($c, "got $n\n"); exit }
P
	step write /tmp/server <"$BATS_TEST_TMPDIR/server"
	docker exec -d "$C" perl /tmp/server 7001 127.0.0.1
	docker exec -d "$C" sh -c 'perl /tmp/server 7002 $(hostname -i)'
	eventually 30 docker exec "$C" sh -c 'grep -q ":1B59 0" /proc/net/tcp && grep -q ":1B5A 0" /proc/net/tcp'
	py <<'P'
for port in (7001, 7002):
    s = ch.open("connect", port=port)
    s.type(os.urandom(5000000)); s.eof()
    assert s.wait() == 0 and s.out == b"got 5000000\n", s.out
many = [ch.open("connect", port=7001) for i in range(20)]
for s in many: s.type(b"xyz")
for s in many: s.eof()
for s in many: assert s.wait() == 0 and s.out == b"got 3\n"
s = ch.open("connect", port=7001); s.begun(); s.close(); assert s.wait() == 0
s = ch.open("connect", port=9)
assert s.wait() == 1 and s.err == b"perry-step: nothing answers on port 9: Connection refused\n" and s.opened is None, s.err
assert ch.open("connect", port=0).fails() == "BAD_REQUEST"
assert ch.open("connect").fails() == "BAD_REQUEST"
P
	inside sh -c 'for p in /proc/[0-9]*; do grep -qx perl $p/comm 2>/dev/null && kill ${p#/proc/}; done; :'
}

@test "watch: what perry-step watch says and takes, with the life of its own agent" {
	docker exec -d "$C" /opt/perry/bin/perry-step exec --id otherlife-1 -- sleep 311
	docker exec -d "$C" /opt/perry/bin/perry-step exec --id mylife-1 -- sleep 312
	eventually 30 sleeps_are 311 1
	eventually 30 sleeps_are 312 1
	py <<'P'
mine = Channel(C, life="mylife")
w = mine.open("watch")
w.says(b'{"ports":'); w.type(b'{"activity":true}\n'); w.says(b'{"activity":')
eventually(lambda: "otherlife-1" not in inside(C, "ls", "/run/perry/exec"))
assert "mylife-1" in inside(C, "ls", "/run/perry/exec")
w.close(); w.wait()
# not even the holder has the life of the one who began it
assert mine.run("sh", "-c", "echo $PERRY_LIFE").out == b"\n"
P
	eventually 30 sleeps_are 311 0
	step kill mylife-1 --grace 5
}

@test "a session: names, its list, several who look, sizes, what is in the foreground, bells" {
	py <<'P'
def begin(**how):
    s = ch.open("session", **how); s.wait(); return s.opened["session"]
one, two = begin(name="one", cols=90, rows=20), begin(command=["cat", "-u"])
for name in ("one", "cat", "", "x" * 65, "a\tb", "a\x07", "\u0085", "\u202e", "a\u200b"):
    s = ch.open("session", name=name, command=["true"]) if name else ch.open("rename", session=one, name=name)
    assert s.fails() in ("BAD_REQUEST", "CONFLICT"), name
assert ch.open("rename", session=two, name="one").fails() == "CONFLICT"
assert ch.open("rename", session=two, name="\u00e4 \U0001f600").wait() == 0
assert ch.open("rename", session="none", name="y").fails() == "NOT_FOUND"
assert ch.open("attach", session="none").fails() == "NOT_FOUND"
assert ch.open("end").fails() == "NOT_FOUND"
l = ch.open("sessions")
def now(): return {s["name"]: s for s in json.loads(l.out.strip().split(b"\n")[-1])["sessions"]} if l.out.endswith(b"\n") else {}
def row(**want):
    l.until(lambda l: any(all(s[k] == v for k, v in want.items()) for s in now().values()))
row(id=one, name="one", command="", cols=90, rows=20, attached=0, busy=False, program="bash", bell=0)
row(id=two, name="\u00e4 \U0001f600", command="cat -u", cols=80, rows=24, busy=True, program="cat")
a, b = ch.open("attach", session=one), Channel(C).open("attach", session=one)
a.says(b"$"); b.says(b"$")
row(id=one, attached=2)
a.type(b"sleep 313\n"); row(id=one, busy=True, program="sleep")
b.type(b"\x03"); a.says(b"^C"); row(id=one, busy=False, program="bash")
b.type(b"printf '\\033]0;title\\a\\a.\\a\\033]8;;x\\033\\\\\\a'; echo ru''ng\n"); a.says(b"rung"); b.says(b"rung"); row(id=one, bell=3)
a.resize(100, 40); row(id=one, cols=100, rows=40)
b.resize(60, 30); row(id=one, cols=60, rows=30)
b.type(b"stty size\n"); a.says(b"30 60")
a.close(); assert a.wait() == 0; row(id=one, attached=1)
a = ch.open("attach", session=one); a.begun()
assert (a.opened["cols"], a.opened["rows"]) == (60, 30)
a.until(lambda s: s.got >= s.opened["kept"]); assert b"rung" in a.out and a.got == a.opened["kept"]
b.type(b"exit 4\n"); assert a.wait() == 4 and b.wait() == 4
l.until(lambda l: list(now()) == ["\u00e4 \U0001f600"])
assert ch.open("attach", session=one).fails() == "NOT_FOUND"
assert ch.open("end", session=two).wait() == 0 and ch.sessions() == []
# one that cannot run says why to the first who attaches
s = ch.open("attach", session=begin(command=["no-such-command"]))
assert s.wait() == 127 and b"command not found" in s.out
# one that ignores HUP, with its children
hard = begin(command=["sh", "-c", "trap '' HUP; (trap '' HUP; while :; do sleep 314; done) & echo armed; while :; do sleep 314; done"])
a = ch.open("attach", session=hard); a.says(b"armed")
assert ch.open("end", session=hard).wait() == 0 and a.wait() == 137
P
	sleeps_are 314 0
}

@test "a session keeps its latest MiB, waits for nobody, and tells who is too slow" {
	py <<'P'
made = ch.open("session", name="much", command=["sh", "-c", "stty -opost; read x; seq 1 1500000; echo end; read x; seq 1 1500000; echo END; read x; exit 3"])
made.wait(); sid = made.opened["session"]
want = b"\r\n" + b"".join(b"%d\n" % i for i in range(1, 1500001)) + b"end\n"
assert len(want) > 10 << 20
slow = ch.open("attach", grant=False, session=sid); slow.begun()
fast = ch.open("attach", session=sid); fast.begun()
fast.type(b"\n")
fast.until(lambda s: s.out.endswith(b"end\n") or s.over())
lost = fast.over()
assert fast.fails() == "CONFLICT" if lost else fast.out.lstrip(b"\r\n") == want.lstrip(b"\r\n")
slow.window(1 << 20)
assert slow.fails() == "CONFLICT" and slow.error["message"] == "too slow" and slow.got <= AHEAD
def latest():
    a = ch.open("attach", session=sid)
    a.until(lambda s: s.over() or s.opened and s.got >= s.opened["kept"])
    a.close(); a.until(lambda s: s.over())
    return a
eventually(lambda: latest().out.endswith(b"end\n"))
late = latest()
assert late.opened["kept"] == 1 << 20 == late.got and want.endswith(late.out), late.out[-50:]
# with nobody there it goes on as well
c = Channel(C); c.open("attach", session=sid).type(b"\n"); c.run("true"); c.end()
eventually(lambda: latest().out.endswith(b"END\n"))
a = ch.open("attach", session=sid); a.until(lambda s: s.opened and s.got >= s.opened["kept"])
a.type(b"\n"); assert a.wait() == 3
P
}

@test "a session that is only a prompt ends when nobody looks; one in which something runs, or that is looked at, stays" {
	py <<'P'
def begin(name, **how):
    s = ch.open("session", name=name, **how); s.wait(); return s.opened["session"]
def names(): return sorted(s["name"] for s in ch.sessions())
begin("prompt", idle=1); begin("command", idle=1, command=["sleep", "316"]); begin("stays", idle=0); begin("unsaid")
begin("wrong", idle="1")
seen = ch.open("attach", session=begin("seen", idle=1)); seen.says(b"$")
for name, line in (("busy", b"sleep 316\n"), ("behind", b"sleep 316 & echo is-$((40 + 2))\n")):
    a = ch.open("attach", session=begin(name, idle=1)); a.says(b"$"); a.type(line)
    a.says(b"is-42" if name == "behind" else b"sleep 316"); a.close(); a.wait()
begin("late", idle=1)
eventually(lambda: "prompt" not in names() and "late" not in names())
# those that stay had as long
assert names() == ["behind", "busy", "command", "seen", "stays", "unsaid", "wrong"], names()
seen.close(); seen.wait()
eventually(lambda: "seen" not in names())
for s in ch.sessions(): assert ch.open("end", session=s["id"]).wait() == 0
P
	sleeps_are 316 0
}

@test "bounds: sessions, streams, channels; beyond them a clear error" {
	py <<'P'
made = [ch.open("session", name=f"n{i}", command=["sleep", "315"]) for i in range(64)]
for s in made: assert s.wait() == 0
s = ch.open("session", name="more", command=["sleep", "315"])
assert s.fails() == "SERVICE_UNAVAILABLE" and "64" in s.error["message"]
l = ch.sessions(); assert len(l) == 64
ends = [ch.open("end", session=s["id"]) for s in l]
for e in ends: assert e.wait() == 0
assert ch.sessions() == []
cats = [ch.open("exec", id=f"c{i}", command=["cat"]) for i in range(256)]
for s in cats: s.begun()
assert ch.open("exec", id="c256", command=["cat"]).fails() == "SERVICE_UNAVAILABLE"
for i, s in enumerate(cats): s.type(b"%d" % i); s.eof()
for i, s in enumerate(cats): assert s.wait() == 0 and s.out == b"%d" % i
assert ch.run("echo", "again").out == b"again\n"
more = [Channel(C) for i in range(7)]
nine = Channel(C)
assert nine.ended and nine.refused["code"] == "SERVICE_UNAVAILABLE"
assert ch.run("echo", "again").out == b"again\n"
more[0].end(); eventually(lambda: Channel(C).hello)
P
	sleeps_are 315 0
}

@test "an agent that reads nothing costs what waits, not more" {
	py <<'P'
import subprocess
c = subprocess.Popen(["docker", "exec", "-i", C, STEP, "channel"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
os.set_blocking(c.stdin.fileno(), False)
sent, piece, end = 0, frame(OPEN, 5, b'{"kind":"nonsense"}') * 500, time.monotonic() + 2
while sent < 400 << 20 and time.monotonic() < end:  # until nobody has taken any for a while
    try: sent += os.write(c.stdin.fileno(), piece[sent % len(piece):]); end = time.monotonic() + 2
    except BlockingIOError: time.sleep(0.01)
assert sent < 400 << 20, "it takes any number of questions"
assert ch.run("echo", "others").out == b"others\n"
pss = int(inside(C, "sh", "-c", "for p in /proc/[0-9]*; do [ $(cat $p/comm 2>/dev/null) = perry-holder ] && grep ^VmRSS $p/status; done").split()[1])
assert pss < 16384, pss
c.kill(); c.wait()
P
}

@test "activity does not count the holder, and sees what is typed into a session" {
	py <<'P'
made = ch.open("session", name="a"); made.wait()
a = ch.open("attach", session=made.opened["session"]); a.says(b"$"); a.type(b"echo x''y\n"); a.says(b"xy")
facts = json.loads(inside(C, STEP, "activity"))["activity"]
assert not any(n.startswith("perry") for n in facts["processes"]), facts["processes"]
assert facts["typed"] < 60 and facts["printed"] < 60 and "bash" in facts["processes"], facts
assert ch.open("end", session=made.opened["session"]).wait() == 0
P
}

@test "a stop ends shells in sessions and the holder at once" {
	docker rm -f "$C-stop" >/dev/null 2>&1 || :
	new_container "$C-stop"
	docker exec "$C-stop" /opt/perry/bin/perry-step ready
	C=$C-stop py <<'P'
for i in range(3):
    made = ch.open("session", name=f"s{i}"); made.wait()
    a = ch.open("attach", session=made.opened["session"]); a.says(b"$")
t = ch.open("exec", id="t", command=["sh", "-c", "trap 'echo bye; exit 8' TERM; echo armed; while :; do sleep 0.05; done"]); t.says(b"armed")
ch.open("watch").says(b"ports")
import subprocess
subprocess.run(["docker", "stop", "-t", "60", C], stdout=subprocess.DEVNULL, check=True)
assert t.wait() == 8 and t.out.endswith(b"bye\n"), t.out
assert a.wait() in (0, 129), a.code
P
	run docker logs "$C-stop"
	[[ $output == *stopped && $output != *"did not end in time"* ]]
	[ "$(docker inspect -f '{{.State.ExitCode}}' "$C-stop")" = 0 ]
	# the same workspace, started again, has a new holder
	docker start "$C-stop" >/dev/null
	C=$C-stop py <<'P'
assert ch.sessions() == [] and ch.run("echo", "x").out == b"x\n"
P
	docker rm -f "$C-stop" >/dev/null
}
