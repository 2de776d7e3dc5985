"""A fake: an agent that answers every call with hostile text, which a real one cannot be made to do. Every command is run
against it on a terminal, and what comes out is looked at: no control character but line ends, none that turns the direction
of text, and in tables no line that a field began. The fields are those that the sources of the commands ask for.

hostile_agent.py PERRY SOURCES"""
import base64, glob, hashlib, http.server, io, json, os, pty, re, select, signal, socketserver, struct, subprocess, sys, tarfile, tempfile
import threading, time, unicodedata

PERRY, SOURCES = sys.argv[1:]
EVIL = "a\x1b]0;t\x07\x1b[31m\x9b31m\u009b2J\x7f\x08\u202eb\u2066c\u200fd\u061ce\r\x0bf\nFAKE: line\n\x1b[2Kg"
# What the program itself sends to a terminal: it clears the line of progress and the list that is watched.
OWN = re.compile(r"\r\x1b\[K|\x1b\[H\x1b\[2J")
ASKED = re.compile(r'json_(str|str_or|int_or|bool_or|at)\([^"]*?"([A-Za-z0-9_.]+)"')
EACH = re.compile(r'ArrayForEach\(\w+,\s*(?:json_at|cJSON_GetObjectItemCaseSensitive)\([^"]*"([A-Za-z0-9_.]+)"')


def fields():
    asked, lists = {}, set()
    for path in glob.glob(os.path.join(SOURCES, "*.c")):
        text = open(path).read()
        for kind, name in ASKED.findall(text):
            asked.setdefault(name, set()).add(kind)
        lists.update(EACH.findall(text))
    return asked, lists


ASKED_FOR, LISTS = fields()


def put(obj, path, value):
    *way, last = path.split(".")
    for step in way:
        if not isinstance(obj.get(step), dict):
            obj[step] = {}
        obj = obj[step]
    if not isinstance(obj.get(last), dict) or isinstance(value, (dict, list)):
        obj[last] = value


def evil(depth, numbers):
    obj = {}
    for name in sorted(ASKED_FOR, key=lambda n: n.count(".")):
        kinds = ASKED_FOR[name]
        put(obj, name, EVIL if "str" in kinds or "str_or" in kinds or "at" in kinds else numbers if "int_or" in kinds else bool(numbers))
    for name in LISTS:
        put(obj, name, [evil(depth - 1, numbers) if depth else EVIL, EVIL, {EVIL: EVIL}])
    obj[EVIL] = EVIL
    return obj


EVENTS = b"".join(
    b"data: " + json.dumps(dict(evil(0, 1), kind=kind, status=status, operation="op", state="done")).encode() + b"\n\n"
    for kind, status in (("step", "running"), ("step", "done"), ("step", "error"), ("step", EVIL), ("progress", EVIL), ("notice", EVIL),
                         (EVIL, EVIL), ("operation", EVIL)))


def frame(kind, payload):
    body = bytes([kind]) + struct.pack(">I", 1) + payload
    head = b"\x82" + (bytes([len(body)]) if len(body) < 126 else b"\x7e" + struct.pack(">H", len(body)))
    return head + body


def hostile_tar():
    out = io.BytesIO()
    t = tarfile.open(fileobj=out, mode="w")
    for name, kind, to in (("p", tarfile.DIRTYPE, ""), ("p/" + EVIL, tarfile.SYMTYPE, "/" + EVIL), ("p/x" + EVIL, tarfile.CHRTYPE, "")):
        i = tarfile.TarInfo(name)
        i.type, i.linkname, i.mode = kind, to, 0o755
        t.addfile(i)
    i = tarfile.TarInfo(EVIL)
    t.addfile(i)
    t.close()
    return out.getvalue()


class Agent(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    shape = "object"

    def log_message(self, *_):
        pass

    def address_string(self):
        return "fake"

    def answer(self, status, obj, kind="application/json"):
        body = json.dumps(obj).encode() if kind == "application/json" else obj
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True

    def error(self):
        data = dict(evil(1, 1), issues=[{"path": [EVIL, 1], "message": EVIL}], file=EVIL, line=3)
        self.answer(400, {"json": {"code": EVIL, "status": 400, "message": EVIL, "data": data}})

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path == "/rpc/operations/get":
            state = "done" if self.shape != "failed" else "failed"
            return self.answer(200, {"json": {"state": state, "result": evil(2, 1), "error": {"code": "CONFLICT", "message": EVIL, "data": evil(1, 1)}}})
        if self.shape == "error":
            return self.error()
        if self.headers.get("Prefer"):
            return self.answer(202, {"json": {"operation": "op"}})
        one = evil(2, 0 if self.shape == "zeros" else 1)
        self.answer(200, {"json": [one, one] if self.shape == "array" else one})

    def do_GET(self):
        if self.path.startswith("/rpc/stream"):
            return self.stream()
        if self.shape == "error":
            return self.error()
        if not self.path.startswith("/events"):
            return self.answer(200, dict(evil(1, 1), status="ok"))
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(EVENTS)
        self.close_connection = True

    def read_open(self):
        head = self.rfile.read(2)
        n = head[1] & 127
        n = struct.unpack(">H", self.rfile.read(2))[0] if n == 126 else n
        mask = self.rfile.read(4)
        body = bytes(b ^ mask[i % 4] for i, b in enumerate(self.rfile.read(n)))
        return json.loads(body[5:])

    def stream(self):
        accept = base64.b64encode(hashlib.sha1((self.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest())
        self.wfile.write(b"HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + accept + b"\r\n\r\n")
        kind = self.read_open()["kind"]
        if self.shape == "error" or kind in ("exec", "logs"):
            self.wfile.write(frame(9, json.dumps({"code": EVIL, "message": EVIL, "data": {"file": EVIL, "issues": [{"path": [EVIL], "message": EVIL}]}}).encode()))
        elif kind == "look":
            self.wfile.write(frame(4, json.dumps({"path": "/" + EVIL, "type": "folder" if self.shape != "zeros" else EVIL}).encode()))
            self.wfile.write(frame(8, b'{"code":0}'))
        else:
            self.wfile.write(frame(4, hostile_tar()) + frame(8, b'{"code":0}'))
        self.close_connection = True


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True

    def handle_error(self, *_):
        pass  # a command that has read enough


def on_terminal(words, env, cwd):
    """What a command writes to a terminal; ended when it takes long (those that follow)."""
    master, slave = pty.openpty()
    p = subprocess.Popen([PERRY, *words], stdin=subprocess.DEVNULL, stdout=slave, stderr=slave, env=env, cwd=cwd, start_new_session=True)
    os.close(slave)
    out, end = b"", time.monotonic() + 30
    while time.monotonic() < end:
        if select.select([master], [], [], 0.1)[0]:
            try:
                piece = os.read(master, 65536)
            except OSError:
                break
            if not piece:
                break
            out += piece
        elif p.poll() is not None or (words[0] == "proxy" and out):
            break
    else:
        print("hangs:", words)
    if p.poll() is None:
        os.killpg(p.pid, signal.SIGKILL)
    p.wait()
    os.close(master)
    if p.returncode < 0 and p.returncode != -signal.SIGKILL:
        out += b"\x1b crashed: %d" % p.returncode
    return out.decode("utf-8", "surrogateescape")


def look(words, shape, text):
    rest = OWN.sub("", text).replace("\r\n", "\n")
    wrong = sorted({c for c in rest if c not in "\n\t" and (unicodedata.category(c) in ("Cc", "Cf", "Cs"))})
    faked = [line for line in rest.split("\n") if line.startswith("FAKE")]
    if wrong or faked:
        print(f"{' '.join(words)} ({shape}): {[hex(ord(c)) for c in wrong]} {faked[:3]}\n{rest[:400]!r}")
    return bool(wrong or faked)


COMMANDS = """start web|start --no-wait web|start --dry-run web|stop web|restart web|delete -y web|prune|prune --dry-run|list|list -q|list --json|
list --watch|list --size|info|info web|info --json|info web --json|logs web|events|events -f|events --json|shell web|exec web -- true|
cp web:p out|cp web:p/. out2|cp in web:x|clone web b|ports web|ports web --json|ports web 3000|ports web --clear|proxy web|proxy web 0|sync web|
explain web|explain web container.memory|explain web --all|hooks list|hooks list --json|hooks preview|config show|access list|access add a@b|
access remove a@b|agent status|agent status --json|tailnet status|tailnet|tailnet devices|tailnet prune|tailnet prune --dry-run|
tailnet serve web 3000|build|open --print|doctor|doctor --fix|doctor --json""".replace("\n", "").split("|")


SHAPES = ("object", "array", "zeros", "failed", "error")


def main():
    folder = tempfile.mkdtemp(prefix="perry-hostile-")
    open(folder + "/in", "w").close()
    server = Server(folder + "/agent.sock", Agent)
    server.get_request_orig = server.get_request
    server.get_request = lambda: (server.get_request_orig()[0], ("fake", 0))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    env = {k: v for k, v in os.environ.items() if not k.startswith(("PERRY_", "XDG_"))}
    env.update(PERRY_CONFIG_DIR=folder, HOME=folder, TERM="xterm")
    bad = seen = 0
    for shape in SHAPES:
        Agent.shape = shape
        for command in COMMANDS:
            text = on_terminal(command.split(), env, folder)
            seen += "31m" in text
            bad += look(command.split(), shape, text)
    print(f"{bad} of {len(SHAPES) * len(COMMANDS)} runs let something through; hostile text was shown in {seen}")
    # Else nothing of it was looked at.
    return 1 if bad or seen < 2 * len(COMMANDS) else 0


sys.exit(main())
