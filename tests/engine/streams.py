"""Every command that streams or prints, with its descriptors full, closed, slow, not waiting, with signals, and with an agent
that is silent or gone: how it ends. Run by streams.bats: streams.py PART, with PERRY (the program), DIR and PID of an agent
that has the workspace web."""
import fcntl, io, os, signal, socket, ssl, subprocess, sys, tarfile, tempfile, threading, time

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
    def __init__(self, *words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, close=(), program=(PERRY,), env=None):
        def before():
            for s in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(s, signal.SIG_DFL)
            for fd in close:
                os.close(fd)
        self.err = tempfile.TemporaryFile(dir=tmp)
        self.p = subprocess.Popen([*program, *words], stdin=stdin, stdout=stdout, stderr=self.err, preexec_fn=before,
                                  env={**os.environ, **(env or {})})

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

    def end(self, limit=LONG):
        try:
            return code(self.p.wait(limit))
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


def expect(what, run, want, text=None, limit=LONG):
    got = run.end(limit)
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
TAR_OUT = ["cp", "web:/etc", "-"]
STREAMS = {"exec": MANY, "exec -t": ["exec", "-t", *MANY[1:]], "cp out to -": TAR_OUT, "exec, little": ["exec", "web", "--", "echo", "x"], "shell": ["shell", "web"], "logs": LOGS,
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
                "completion bash", "exec web -- echo x", "hooks show container", "start web",
                "tailnet status", "config show --json", "start --dry-run web", "explain web --all"]
    for text in commands:
        words = text.split()
        if Run(*words).end() != 0:
            check(text + ": works at all", False, Run(*words).said())
            continue
        expect(f"{text} >/dev/full", Run(*words, stdout=open("/dev/full", "w")), 1, "cannot write the output: No space left on device")
        expect(f"{text} >&-", Run(*words, close=(1,)), 1, "cannot write the output: Bad file descriptor")
        expect(f"{text} | (nobody)", Run(*words, stdout=unread()), 141)


    for text in ("doctor", "list --watch", "agent logs -f"):  # its own code is not 0, or it does not end
        words = text.split()
        expect(f"{text} >/dev/full", Run(*words, stdout=open("/dev/full", "w")), 1, "cannot write the output: No space left on device")
        expect(f"{text} >&-", Run(*words, close=(1,)), 1, "cannot write the output: Bad file descriptor")
        expect(f"{text} | (nobody)", Run(*words, stdout=unread()), 141)


def outputs():
    expect("proxy: full", Run(*STREAMS["proxy"], stdout=open("/dev/full", "w")), 1, "No space left on device")
    expect("proxy: closed", Run(*STREAMS["proxy"], close=(1,)), 1, "cannot write the output")
    expect("proxy: nobody reads", Run(*STREAMS["proxy"], stdout=unread()), 141)
    for name in ("exec", "exec, little", "exec -t", "cp out to -", "shell", "logs", "logs -f", "events", "events -f"):
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
    for name, kw in {"closed": {"close": (0,)}, "empty": {}, "a file that is none": {"stdin": open("/etc/passwd")},
                     "endless and none": {"stdin": open("/dev/urandom")}, "endless zeros": {"stdin": open("/dev/zero")}}.items():
        expect(f"cp - in: stdin {name}", Run("cp", "-", "web:.", **kw), 1)
    # A member without end has to say a size: what no disk has is refused at once, and nothing of it is there.
    head = bytearray(tarfile.TarInfo("endless").tobuf(tarfile.GNU_FORMAT))
    head[124:136] = b"\x80" + (1 << 60).to_bytes(11, "big")
    head[148:156] = b"%06o\0 " % (256 + sum(head[:148]) + sum(head[156:]))
    with open(tmp + "/endless", "wb") as f:
        f.write(head)
    feed = subprocess.Popen(["cat", tmp + "/endless", "/dev/zero"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    expect("cp - in: an endless member", Run("cp", "-", "web:.", stdin=feed.stdout), 1, "no room for the copy")
    feed.stdout.close()
    feed.wait()
    expect("cp - in: nothing of an endless member", Run("exec", "web", "--", "test", "!", "-e", "endless"), 0)
    run = Run("exec", "-n", "web", "--", "wc", "-c", stdin=open("/dev/zero"))
    check("exec -n: stdin endless", (run.p.stdout.read().strip(), run.end()) == (b"0", 0), run.said())
    for what, typed, said in (("empty", b"", b""), ("a line", b"line\n", b"line\r\n"), ("the begin of one", b"line", b"line")):
        r, w = os.pipe()
        os.write(w, typed)
        os.close(w)
        run = Run("exec", "-t", "web", "--", "sh", "-c", "stty -echo; tty; cat; exit 7", stdin=r)
        os.close(r)
        out = run.p.stdout.read()
        check(f"exec -t: stdin {what}", (run.end(), b"/dev/pts/" in out, out.endswith(said)) == (7, True, True), out)
    expect("exec -t -n", Run("exec", "-tn", "web", "--", "sh", "-c", "test -t 0 && test -t 1 && exit 5", stdin=open("/dev/zero")), 5)
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


def read_some(s):
    s.settimeout(LONG)
    return s.recv(100)


def gone():
    port = free_port()
    proxy = Run("proxy", "web", f"{port}:22")
    proxy.p.stdout.readline()
    s = socket.create_connection(("127.0.0.1", port))
    check("proxy: a connection", read_some(s).startswith(b"SSH-"))
    runs = {"exec -t": Run("exec", "-t", *SLEEP[1:]).until(b"up"), "cp in": Run("cp", "-", "web:.", stdin=os.pipe()[0]), "exec": Run(*SLEEP).until(b"up"), "logs -f": Run(*FOLLOW), "events -f": Run(*STREAMS["events -f"]),
            "list --watch": Run("list", "--watch")}
    runs["shell"], w = follow_shell()
    for name in ("logs -f", "events -f", "list --watch"):
        runs[name].p.stdout.readline()
    os.kill(AGENT, signal.SIGKILL)
    wait_for("the end of its socket", refused)
    for name, run in runs.items():
        expect(f"{name}: the agent is killed", run, 1, "agent")
    check("proxy: its connection ends", read_some(s) == b"")
    wait_for("what proxy says", lambda: "the agent went away" in proxy.said())
    check("proxy: goes on", proxy.alive())
    expect("proxy: then TERM", proxy.send(signal.SIGTERM), 143)
    for name, words in {"exec": SLEEP, "logs -f": FOLLOW, "list": ["list"], "cp": ["cp", tmp, "web:x"]}.items():
        expect(f"{name}: no agent", Run(*words), 3)


class Door:
    """An agent that is reached over a network: a port of its own, which leads to the agent's; with TLS or without."""

    def __init__(self, address, tls=None):
        self.tls, self.listener = tls, socket.create_server((address, 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            threading.Thread(target=self.lead, args=(self.listener.accept()[0],), daemon=True).start()

    def lead(self, a):
        try:
            if self.tls:
                a = self.tls.wrap_socket(a, server_side=True)
            b = socket.create_connection(("127.0.0.1", int(os.environ["PORT"])))
        except OSError:
            return
        threading.Thread(target=self.pump, args=(b, a), daemon=True).start()
        self.pump(a, b)

    def pump(self, a, b):
        try:
            while bytes_ := a.recv(65536):
                b.sendall(bytes_)
            b.shutdown(socket.SHUT_WR)
        except OSError:
            pass


class Visitor:
    """A client of a proxy in another network namespace: what the server says first, then whether its connection ends."""

    def __init__(self, ns, port):
        script = f"exec 3<>/dev/tcp/127.0.0.1/{port} && head -c 4 <&3 && cat <&3 >/dev/null"
        self.p = subprocess.Popen(["ip", "netns", "exec", ns, "bash", "-c", script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)

    def greeted(self):
        return self.p.stdout.read(4) == b"SSH-"

    def ended(self):
        try:
            self.p.wait(300)
        except subprocess.TimeoutExpired:
            self.p.kill()
            return False
        return True


def cut():
    """Clients in a network namespace of their own, whose packets are not answered any more from one moment on."""
    ns, here, there = os.environ["NS"], os.environ["HERE"], os.environ["THERE"]
    key = tmp + "/key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", key + ".crt",
                    "-subj", "/CN=x", "-addext", "subjectAltName=IP:" + here], check=True, stderr=subprocess.DEVNULL)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(key + ".crt", key)
    big_file()
    # A tar whose one file goes on for as long as anybody takes it, slowly.
    member = tarfile.TarInfo("slow")
    member.size = 4 << 30
    with open(tmp + "/slow", "wb") as f:
        f.write(member.tobuf(tarfile.GNU_FORMAT))
    runs, proxies, feeds = {}, {}, []
    for scheme, door in {"http": Door(here), "https": Door(here, tls)}.items():
        env = {"PERRY_AGENT": f"{scheme}://{here}:{door.port}", "PERRY_TOKEN": os.environ["TOKEN"], "SSL_CERT_FILE": key + ".crt"}

        def remote(*words, **kw):
            return Run(*words, program=("ip", "netns", "exec", ns, PERRY), env=env, **kw)
        out = remote(*MANY)
        n = len(out.p.stdout.read())
        check(f"{scheme}: exec is whole", (out.end(), n) == (0, 1000000), out.said())
        port = free_port()
        proxy = remote("proxy", "web", f"{port}:22")
        proxy.p.stdout.readline()
        inside = Visitor(ns, port)
        check(f"{scheme}: proxy: a connection", inside.greeted(), proxy.said())
        proxies[scheme] = proxy, port, inside
        slow = subprocess.Popen(["sh", "-c", f"cat {tmp}/slow; while head -c 100000 /dev/zero; do sleep 0.1; done"], stdout=subprocess.PIPE,
                                stderr=subprocess.DEVNULL)
        feeds.append(slow)
        r, w = os.pipe()
        os.write(w, b"echo up; sleep 600\n")
        more = {"exec": remote(*SLEEP).until(b"up"), "shell": remote("shell", "web", stdin=r).until(b"up"), "logs -f": remote(*FOLLOW),
                "events -f": remote(*STREAMS["events -f"]), "list --watch": remote("list", "--watch"),
                "exec, much in": remote("exec", "web", "--", "sh", "-c", "echo up; cat >/dev/null", stdin=open("/dev/zero")).until(b"up"),
                "exec, much out": remote("exec", "web", "--", "yes"), "cp out": remote("cp", "web:big", "-"),
                "cp in": remote("cp", "-", "web:.", stdin=slow.stdout)}
        for name in ("logs -f", "events -f", "list --watch"):
            more[name].p.stdout.readline()
        more["start"] = remote("start", f"cut-{scheme}")
        wait_for("the start", lambda: f"cut-{scheme}" in subprocess.run([PERRY, "list", "-q"], stdout=subprocess.PIPE, text=True).stdout)
        runs.update({f"{scheme}: {name}": run for name, run in more.items()})
        runs[f"{scheme}: no way there"] = lambda remote=remote: remote("list")
    subprocess.run(["ip", "route", "add", "blackhole", there + "/32"], check=True)
    for name, run in runs.items():
        if callable(run):
            expect(name, run(), 3, "cannot reach the agent")
        else:
            threading.Thread(target=run.p.stdout.read, daemon=True).start()
    for name, run in runs.items():
        if not callable(run):
            # Who asks once more finds none.
            expect(name, run, 3 if name.endswith(("start", "list --watch")) else 1, "agent", limit=300)
    for scheme, (proxy, port, inside) in proxies.items():
        check(f"{scheme}: proxy: its connection ends", inside.ended())
        wait_for("what proxy says", lambda proxy=proxy: "agent" in proxy.said())
        late = Visitor(ns, port)
        check(f"{scheme}: proxy: a connection without the network ends", not late.greeted() and late.ended())
        wait_for("what proxy says of that", lambda proxy=proxy: "cannot reach the agent" in proxy.said())
    subprocess.run(["ip", "route", "del", "blackhole", there + "/32"], check=True)
    for scheme, (proxy, port, inside) in proxies.items():
        again = Visitor(ns, port)
        check(f"{scheme}: proxy: a connection once the network is back", again.greeted(), proxy.said())
        expect(f"{scheme}: proxy: then TERM", proxy.send(signal.SIGTERM), 143)
        check(f"{scheme}: proxy: its connections end with it", again.ended())
    for feed in feeds:
        feed.kill()
        feed.stdout.close()
        feed.wait()


def tars():
    """cp with - : what tar makes and takes, as docker cp has it."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as t:
        for name, text in {"d/one": b"1\n", "d/e/two": b"2\n"}.items():
            info = tarfile.TarInfo(name)
            info.size = len(text)
            t.addfile(info, io.BytesIO(text))
    r, w = os.pipe()
    threading.Thread(target=lambda: (os.write(w, data.getvalue()), os.close(w))).start()
    expect("cp - in", Run("cp", "-", "web:.", stdin=r), 0)
    out = Run("exec", "web", "--", "sh", "-c", "cat d/one d/e/two && stat -c %U d/one")
    check("cp - in: what is there", out.p.stdout.read() == b"1\n2\nworkspace\n", out.said())
    out = Run("cp", "web:d", "-")
    with tarfile.open(fileobj=io.BytesIO(out.p.stdout.read())) as t:
        check("cp out to -", {m.name.rstrip("/") for m in t} == {"d", "d/one", "d/e", "d/e/two"} and t.extractfile("d/e/two").read() == b"2\n", t.getnames())
    check("cp out to -: its code", out.end() == 0, out.said())
    expect("cp - into no folder", Run("cp", "-", "web:nowhere"), 5, "no such folder")
    expect("cp - into a file", Run("cp", "-", "web:d/one"), 6, "no such folder")
    expect("cp of nothing to -", Run("cp", "web:nowhere", "-"), 5, "no such file")
    expect("cp - -", Run("cp", "-", "-"), 2, "one side must be in a workspace")
    os.chdir(tmp)
    os.close(os.open("-", os.O_CREAT))
    expect("cp ./-", Run("cp", "./-", "web:dash"), 0)
    for words in (["cp", "-", "web:."], ["cp", "web:d", "-"]):
        master, slave = os.openpty()
        expect("on a terminal: " + " ".join(words), Run(*words, stdin=slave, stdout=slave), 2, "terminal")


globals()[sys.argv[1]]()
sys.exit(1 if bad else 0)
