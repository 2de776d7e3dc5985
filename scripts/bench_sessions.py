"""Commands and sessions of a workspace, for scripts/bench.py: each figure beside docker's own, or a raw exec of the engine."""
import json
import os
import socket
import statistics
import struct
import subprocess
import time

OPEN, OPENED, STDIN, STDOUT, EXIT, ERROR, WINDOW = 1, 2, 3, 4, 8, 9, 10
BULK = 256 << 20


class Stream:
    """A connection of docs/streams.md over the agent's socket."""

    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(path)
        self.sock.settimeout(60)
        self.sock.sendall(b"GET /rpc/stream HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                          b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: perry.v1\r\n\r\n")
        self.file = self.sock.makefile("rb", buffering=1 << 18)
        if b" 101 " not in self.file.readline():
            raise RuntimeError("no stream")
        while self.file.readline().strip():
            pass

    def send(self, kind, channel, payload):
        data = struct.pack(">BI", kind, channel) + payload
        head = bytes([0x80 | len(data)]) if len(data) < 126 else b"\xfe" + struct.pack(">H", len(data))
        self.sock.sendall(b"\x82" + head + b"\0\0\0\0" + data)  # masked with zeros

    def open(self, channel, **what):
        self.send(OPEN, channel, json.dumps(what).encode())

    def take(self):
        """The next message: type, channel, payload. Its bytes are granted again at once."""
        while True:
            head = self.file.read(2)
            n = head[1] & 127
            if n > 125:
                n = int.from_bytes(self.file.read(2 if n == 126 else 8), "big")
            data = self.file.read(n)
            if head[0] & 15 == 2:
                break
        kind, channel = struct.unpack(">BI", data[:5])
        if kind == STDOUT:
            self.send(WINDOW, channel, struct.pack(">I", n - 5))
        if kind == ERROR:
            raise RuntimeError(data[5:])
        return kind, channel, data[5:]

    def until(self, kind, text=b""):
        """The messages up to one of this type in which, or together with those before it, this text has come: what came."""
        got = b""
        while True:
            k, _, payload = self.take()
            got += payload if k == STDOUT else b""
            if k == kind and text in got:
                return payload if k != STDOUT else got


def raw_exec(engine, box, *command):
    """A terminal by the Engine API alone: its socket."""
    made = engine("POST", f"/v1.41/containers/{box}/exec", {"AttachStdin": True, "AttachStdout": True, "Tty": True, "Cmd": list(command)})
    s = socket.socket(socket.AF_UNIX)
    s.connect(engine.path)
    s.settimeout(60)
    body = b'{"Detach":false,"Tty":true}'
    s.sendall(b"POST /v1.41/exec/%s/start HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: %d\r\n\r\n"
              % (made["Id"].encode(), len(body)) + body)
    got = b""
    while b"\r\n\r\n" not in got:
        got += s.recv(4096)
    return s


def drained(*command, **how):
    """Seconds until a command has written all of BULK into a pipe."""
    at, n = time.perf_counter(), 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, **how) as p:
        while data := os.read(p.stdout.fileno(), 1 << 20):
            n += len(data)
    if n != BULK:
        raise RuntimeError(f"{n} bytes of {BULK}")
    return time.perf_counter() - at


def measure(agent, engine, perry, pss_mib, row):
    box = "workspace-s1"
    agent.cli("start", "s1")
    agent.cli("start", "s2")
    agent.cli("exec", "s1", "--", "true")

    def took(fn):
        at = time.perf_counter()
        fn()
        return (time.perf_counter() - at) * 1000

    ours, theirs = [], []
    for _ in range(31):
        ours.append(took(lambda: agent.cli("exec", "-n", "s1", "--", "true")))
        theirs.append(took(lambda: subprocess.run(["docker", "exec", box, "true"], check=True)))
    o, t = statistics.median(ours), statistics.median(theirs)
    row("perry exec NAME -- true, whole process, against docker exec", o, t, "ms", o / t, "at most 10 and a sixth", o <= 10 and o <= t / 6)

    rates = []
    for _ in range(5):
        at = time.perf_counter()
        agent.rpc_many("workspaces/exec", {"name": "s1", "command": ["true"]}, 100)
        rates.append(100 / (time.perf_counter() - at))
    r = statistics.median(rates)
    row("execs a second, one after another on one API connection", r, None, "/s", None, "at least 300", r >= 300)

    s, raw = Stream(agent.sock), raw_exec(engine, box, "cat")
    s.open(1, kind="session", name="s1", command=["cat"], cols=80, rows=24)
    s.until(OPENED)
    s.until(STDOUT)

    def echo_session(text):
        s.send(STDIN, 1, text)
        s.until(STDOUT, text)

    def echo_raw(text):
        raw.sendall(text)
        got = b""
        while text not in got:
            got += raw.recv(4096)

    time.sleep(0.5)
    ours, theirs = [], []
    for i in range(201):
        c = bytes([97 + i % 26])
        ours.append(took(lambda c=c: echo_session(c)))
        theirs.append(took(lambda c=c: echo_raw(c)))
        if i % 40 == 39:
            echo_session(b"\r\n")
            echo_raw(b"\r\n")
    o, t = statistics.median(ours), statistics.median(theirs)
    row("echo of a key in a session, against a raw exec of the engine", o, t, "ms", o / t, "at most 2 ms more", o <= t + 2)
    raw.close()

    ours, theirs = [], []
    for _ in range(5):
        ours.append(BULK / (1 << 20) / drained(perry, "exec", "-n", "s1", "--", "head", "-c", str(BULK), "/dev/zero", env=agent.env))
        theirs.append(BULK / (1 << 20) / drained("docker", "exec", box, "head", "-c", str(BULK), "/dev/zero"))
    o, t = statistics.median(ours), statistics.median(theirs)
    row("output through agent and WebSocket into a pipe, against docker exec", o, t, "MiB/s", o / t, "at least 80 %", o >= 0.8 * t)

    s.open(2, kind="session", name="s1", command=["sh", "-c", "i=0; while [ $i -lt 25000 ]; do i=$((i+1)); printf '\\033[3%dm%050d\\033[0m\\n' $((i % 8)) $i; done; echo e-n-d; cat"], cols=200, rows=60)
    full = json.loads(s.until(OPENED))["session"]
    s.until(STDOUT, b"e-n-d")
    s.sock.close()
    attached = []
    for _ in range(11):
        time.sleep(0.2)  # nobody looks any more: what is kept is read anew
        s = Stream(agent.sock)
        at = time.perf_counter()
        s.open(1, kind="attach", name="s1", session=full, cols=200, rows=60)
        s.until(STDOUT, b"e-n-d")
        attached.append((time.perf_counter() - at) * 1000)
        s.sock.close()
    o = statistics.median(attached)
    row("attach to a session with all of its MiB, to its frame", o, None, "ms", None, "at most 150", o <= 150)

    many = [Stream(agent.sock), Stream(agent.sock)]
    for i, s in enumerate(many):
        for k in range(50):
            s.open(k + 1, kind="session", name=f"s{i + 1}", command=["sh", "-c", "seq 1 2000; cat"], cols=80, rows=24)
        opened = 0
        while opened < 50:
            opened += s.take()[0] == OPENED
    time.sleep(5)
    pss = pss_mib(agent.proc.pid)
    row("agent PSS, 100 open terminals", pss, None, "MiB", None, "at most 60", pss <= 60)
    for s in many:
        s.sock.close()
