"""Every command that streams or prints, with its descriptors full, closed, slow, not waiting, with signals, and with an agent
that is silent or gone: how it ends. Run by streams.bats: streams.py PART, with PERRY (the program), DIR and PID of an agent
that has the workspace web."""
import fcntl, os, signal, socket, subprocess, sys, tempfile, threading, time

PERRY, DIR, AGENT = os.environ["PERRY"], os.environ["DIR"], int(os.environ["PID"])
LONG = 60
tmp = tempfile.mkdtemp(dir=os.environ["BATS_TEST_TMPDIR"])
bad = []


def check(what, ok, more=""):
    print(("ok " if ok else "BAD ") + what, more if not ok else "")
    if not ok:
        bad.append(what)


def code(rc):
    return rc if rc >= 0 else 128 - rc


class Run:
    def __init__(self, *words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, close=(), program=PERRY):
        def before():
            for s in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(s, signal.SIG_DFL)
            for fd in close:
                os.close(fd)
        self.err = tempfile.TemporaryFile(dir=tmp)
        self.p = subprocess.Popen([program, *words], stdin=stdin, stdout=stdout, stderr=self.err, preexec_fn=before)

    def until(self, text):
        """Reads standard output until a line that is text."""
        for line in iter(self.p.stdout.readline, b""):
            if line.strip() == text:
                return self
        raise SystemExit(f"{self.p.args}: ended before {text}: {self.said()}")

    def send(self, sig):
        self.p.send_signal(sig)
        return self

    def said(self):
        self.err.seek(0)
        return self.err.read().decode(errors="replace")

    def end(self):
        try:
            return code(self.p.wait(LONG))
        except subprocess.TimeoutExpired:
            self.p.kill()
            self.p.wait()
            return "hangs"

    def alive(self):
        return self.p.poll() is None


def wait_for(what, fn):
    end = time.monotonic() + LONG
    while not fn():
        if time.monotonic() > end:
            raise SystemExit("never: " + what)
        time.sleep(0.02)


def expect(what, run, want, text=None):
    got = run.end()
    said = run.said()
    check(what, got == want and (text is None or text in said), f"ended with {got}, expected {want}: {said}")


def unread():
    r, w = os.pipe()
    os.close(r)
    return w


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


MANY = ["exec", "web", "--", "sh", "-c", "yes | head -c 1000000"]
LOGS = ["logs", "web"]
FOLLOW = ["logs", "-f", "web"]
STREAMS = {"exec": MANY, "exec, little": ["exec", "web", "--", "echo", "x"], "shell": ["shell", "web"], "logs": LOGS,
           "logs -f": FOLLOW, "events": ["events"], "events -f": ["events", "-f", "--since", "1h"], "proxy": ["proxy", "web", f"{free_port()}:9"]}


def script():
    r, w = os.pipe()
    os.write(w, b"yes | head -c 1000000\n")
    os.close(w)
    return r


def stdin_of(name):
    return script() if name == "shell" else subprocess.DEVNULL


def printing():
    """Commands that print: what they print must get out."""
    commands = ["list", "list -q", "list --json", "list --json=name", "info", "info web", "info --json", "explain web", "logs web",
                "events", "events --json", "agent status", "agent status --json", "agent show-config", "agent show-token",
                "agent logs", "agent config get port", "config show", "hooks list", "version", "help", "help exec", "--help",
                "completion bash", "exec web -- echo x", "hooks show container"]
    for text in commands:
        words = text.split()
        if Run(*words).end() != 0:
            check(text + ": works at all", False, Run(*words).said())
            continue
        expect(f"{text} >/dev/full", Run(*words, stdout=open("/dev/full", "w")), 1, "cannot write the output: No space left on device")
        expect(f"{text} >&-", Run(*words, close=(1,)), 1, "cannot write the output: Bad file descriptor")
        expect(f"{text} | (nobody)", Run(*words, stdout=unread()), 141)


def outputs():
    for name in ("exec", "exec, little", "shell", "logs", "logs -f", "events", "events -f"):
        words = STREAMS[name]
        expect(f"{name}: full", Run(*words, stdin=stdin_of(name), stdout=open("/dev/full", "w")), 1, "No space left on device")
        expect(f"{name}: closed", Run(*words, stdin=stdin_of(name), close=(1,)), 1, "cannot write the output")
        expect(f"{name}: nobody reads", Run(*words, stdin=stdin_of(name), stdout=unread()), 141)
    for name in ("exec", "shell"):
        for kind in ("pipe", "socket"):
            if kind == "pipe":
                r, w = os.pipe()
                fcntl.fcntl(w, 1031, 4096)  # F_SETPIPE_SZ
            else:
                a, b = socket.socketpair()
                r, w = a.detach(), b.detach()
            os.set_blocking(w, False)
            run = Run(*STREAMS[name], stdin=stdin_of(name), stdout=w)
            os.close(w)
            n = 0
            while piece := os.read(r, 3000):
                n += len(piece)
                if n < 60000:
                    time.sleep(0.01)
            os.close(r)
            check(f"{name}: a {kind} that does not wait, and is slow", (run.end(), n) == (0, 1000000), f"{n} bytes: {run.said()}")
    r, w = os.pipe()
    fcntl.fcntl(w, 1031, 4096)
    os.set_blocking(w, False)
    run = Run("completion", "fish", stdout=w)
    os.close(w)
    n, whole = 0, len(subprocess.run([PERRY, "completion", "fish"], stdout=subprocess.PIPE).stdout)
    time.sleep(0.2)
    while piece := os.read(r, 1000):
        n += len(piece)
    check("completion: a pipe that does not wait", run.end() == 0 and n == whole and whole > 4096, f"{n} of {whole}")
    r, w = os.pipe()
    run = Run(*MANY, stdout=w)
    os.close(w)
    wait_for("a full pipe", lambda: len_of(r) >= 61440 or not run.alive())
    time.sleep(0.5)
    run.send(signal.SIGINT)
    time.sleep(0.5)
    run.send(signal.SIGINT)
    expect("exec: INT while nobody reads", run, 130)


def len_of(r):
    import struct, termios
    return struct.unpack("i", fcntl.ioctl(r, termios.FIONREAD, b"\0" * 4))[0]


def inputs():
    for name, kw in {"closed": {"close": (0,)}, "empty": {}}.items():
        run = Run("exec", "web", "--", "cat", **kw)
        expect(f"exec: stdin {name}", run, 0)
        expect(f"shell: stdin {name}", Run("shell", "web", **kw), 0)
        expect(f"list: stdin {name}", Run("list", **kw), 0)
    run = Run("exec", "web", "--", "head", "-c", "100", stdin=open("/dev/zero"))
    expect("exec: stdin endless", run, 0)
    run = Run("exec", "web", "--", "sh", "-c", "cat | wc -c", stdin=os.open(tmp, os.O_RDONLY))
    expect("exec: stdin a folder", run, 1, "cannot read the input: Is a directory")
    expect("exec: nothing open", Run("exec", "web", "--", "true", close=(0, 1, 2)), 0)
    many = Run("exec", "web", "--", "sh", "-c", "echo $#", "sh", *["a"] * 200000)
    out = many.p.stdout.read()
    check("exec: a command of 400 kB", (many.end(), out.strip()) == (0, b"200000"), many.said())
    name = os.fsdecode(b"caf\xe9")
    for words in (["exec", "web", "--", "echo", name], ["exec", "-w", name, "web", "--", "true"], ["exec", name, "--", "true"],
                  ["start", "-e", "A=" + name, "web"], ["cp", tmp, "web:" + name], ["cp", "web:" + name, tmp]):
        expect("no UTF-8: " + repr(words), Run(*words), 2, "caf\\xe9")
    for verb in ("start", "stop", "restart", "delete"):
        expect(f"{verb} My_App", Run(verb, *(["-y"] if verb == "delete" else []), "My_App"), 2, "Use lowercase letters")
    expect("start 'a b&c'", Run("start", "a b&c"), 2, "Use lowercase letters")


SLEEP = ["exec", "web", "--", "sh", "-c", "echo up; sleep 600"]
DEAF = ["exec", "web", "--", "sh", "-c", "trap 'echo int' INT; echo up; while :; do sleep 0.1; done"]
SIGNALS = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}


def big_file():
    subprocess.run([PERRY, "exec", "web", "--", "sh", "-c", "test -f big || head -c 300M /dev/zero >big"], check=True)


def copying_out(where):
    os.makedirs(where)
    run = Run("cp", "web:big", where + "/big")
    wait_for("the copy", lambda: os.listdir(where) or not run.alive())
    return run


def follow_shell():
    r, w = os.pipe()
    os.write(w, b"echo up; sleep 600\n")
    return Run("shell", "web", stdin=r).until(b"up"), w


def signals():
    big_file()
    for sig, want in SIGNALS.items():
        expect(f"exec: {sig.name}", Run(*SLEEP).until(b"up").send(sig), want)
        run, w = follow_shell()
        expect(f"shell: {sig.name}", run.send(sig), want)
        os.close(w)
        run = Run(*FOLLOW)
        run.p.stdout.readline()
        expect(f"logs -f: {sig.name}", run.send(sig), want)
        run = Run(*STREAMS["events -f"])
        run.p.stdout.readline()
        expect(f"events -f: {sig.name}", run.send(sig), want)
        run = Run(*STREAMS["proxy"])
        run.p.stdout.readline()
        expect(f"proxy: {sig.name}", run.send(sig), want)
        where = f"{tmp}/out{sig}"
        run = copying_out(where)
        expect(f"cp out: {sig.name}", run.send(sig), want)
        check(f"cp out: {sig.name} leaves nothing", os.listdir(where) == [], os.listdir(where))
    run = Run(*DEAF).until(b"up").send(signal.SIGINT).until(b"int")
    time.sleep(0.3)
    run.send(signal.SIGINT).until(b"int")
    check("exec: INT twice is the command's when it takes it", run.alive())
    expect("exec: then HUP", run.send(signal.SIGHUP), 129)
    for words in (FOLLOW, SLEEP):
        run = subprocess.Popen(["nohup", PERRY, *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        run.stdout.readline()
        run.send_signal(signal.SIGHUP)
        time.sleep(0.5)
        check(f"nohup {words[0]}: HUP", run.poll() is None)
        run.terminate()
        check(f"nohup {words[0]}: TERM", run.wait(LONG) == 143, run.returncode)


class Silent:
    def __enter__(self):
        os.kill(AGENT, signal.SIGSTOP)

    def __exit__(self, *_):
        os.kill(AGENT, signal.SIGCONT)


def silent():
    big_file()
    for sig, want in SIGNALS.items():
        runs = {"exec": Run(*SLEEP).until(b"up"), "exec, twice": Run(*SLEEP).until(b"up"), "logs -f": Run(*FOLLOW),
                "events -f": Run(*STREAMS["events -f"]), "proxy": Run(*STREAMS["proxy"])}
        runs["shell"], w = follow_shell()
        for name in ("logs -f", "events -f", "proxy"):
            runs[name].p.stdout.readline()
        where = f"{tmp}/silent{sig}"
        runs["cp out"] = copying_out(where)
        with Silent():
            runs["list"], runs["cp in"], runs["start"] = Run("list"), Run("cp", tmp, "web:in"), Run("start", "web")
            time.sleep(0.5)
            for name, run in runs.items():
                run.send(sig)
                if name in ("exec, twice", "start"):
                    time.sleep(0.3)
                    if run.alive():
                        run.send(sig)
            for name, run in runs.items():
                # A copy of this size may have been whole already.
                expect(f"{name}: {sig.name} with a silent agent", run, want)
        os.close(w)


def refused():
    with socket.socket(socket.AF_UNIX) as s:
        try:
            s.connect(DIR + "/agent.sock")
        except ConnectionRefusedError:
            return True
    return False


def gone():
    runs = {"exec": Run(*SLEEP).until(b"up"), "logs -f": Run(*FOLLOW), "events -f": Run(*STREAMS["events -f"]),
            "list --watch": Run("list", "--watch")}
    runs["shell"], w = follow_shell()
    for name in ("logs -f", "events -f", "list --watch"):
        runs[name].p.stdout.readline()
    os.kill(AGENT, signal.SIGKILL)
    wait_for("the end of its socket", refused)
    for name, run in runs.items():
        expect(f"{name}: the agent is killed", run, 1, "agent")
    for name, words in {"exec": SLEEP, "logs -f": FOLLOW, "list": ["list"], "cp": ["cp", tmp, "web:x"]}.items():
        expect(f"{name}: no agent", Run(*words), 3)


globals()[sys.argv[1]]()
sys.exit(1 if bad else 0)
