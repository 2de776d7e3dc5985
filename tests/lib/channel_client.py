"""A client of the channel into a workspace (docs/channel.md), for tests: Channel(CONTAINER) begins one by an exec of the engine."""
import json
import os
import struct
import subprocess
import sys
import threading
import time

OPEN, OPENED, STDIN, STDOUT, STDERR, EOF, RESIZE, EXIT, ERROR, WINDOW, SIGNAL, CLOSE = range(1, 13)
AHEAD = 256 << 10
LIMIT = 60
STEP = "/opt/perry/bin/perry-step"


def frame(kind, stream, payload=b""):
    return struct.pack(">IBI", len(payload) + 5, kind, stream) + payload


class Stream:
    """What a stream has said so far; changes under its channel's condition."""

    def __init__(self, channel, number, grant):
        self.channel, self.number, self.grant = channel, number, grant
        self.out = self.err = b""
        self.opened = self.code = self.error = None
        self.room, self.got = AHEAD, 0

    def over(self):
        return self.code is not None or self.error is not None

    def until(self, what):
        return self.channel.until(lambda: what(self))

    def begun(self):
        self.until(lambda s: s.opened is not None or s.over())
        assert self.opened is not None, self.error

    def says(self, text):
        """Until text has come; what came before it is forgotten."""
        self.until(lambda s: text in s.out or s.over())
        assert text in self.out, f"no {text!r} in {self.out[-2000:]!r} {self.code} {self.error}"
        self.out = self.out[self.out.index(text) + len(text):]

    def wait(self):
        self.until(lambda s: s.over())
        assert self.error is None, self.error
        return self.code

    def fails(self):
        self.until(lambda s: s.over())
        assert self.error is not None, (self.code, self.out, self.err)
        return self.error["code"]

    def type(self, data):
        """Sends all of it, as there is room."""
        while data:
            self.until(lambda s: s.room > 0 or s.over())
            if self.over():
                return
            n = min(self.room, 65536, len(data))
            self.room -= n
            self.channel.send(frame(STDIN, self.number, data[:n]))
            data = data[n:]

    def window(self, n):
        self.channel.send(frame(WINDOW, self.number, struct.pack(">I", n)))

    def eof(self):
        self.channel.send(frame(EOF, self.number))

    def close(self):
        self.channel.send(frame(CLOSE, self.number))

    def signal(self, name):
        self.channel.send(frame(SIGNAL, self.number, json.dumps({"signal": name}).encode()))

    def resize(self, cols, rows):
        self.channel.send(frame(RESIZE, self.number, json.dumps({"cols": cols, "rows": rows}).encode()))


class Channel:
    def __init__(self, container, life=None, program=None):
        how = ["-e", "PERRY_LIFE=" + life] if life else []
        self.process = subprocess.Popen(program or ["docker", "exec", "-i", *how, container, STEP, "channel"],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
        self.changed = threading.Condition()
        self.streams, self.hello, self.refused, self.ended, self.next = {}, None, None, False, 1
        self.sending = threading.Lock()
        threading.Thread(target=self.listen, daemon=True).start()
        self.until(lambda: self.hello or self.ended)

    def until(self, what):
        with self.changed:
            if not self.changed.wait_for(what, LIMIT):
                raise AssertionError("waited too long: " + "; ".join(
                    f"{s.number}: {s.opened} {s.code} {s.error} out {s.out[-300:]!r} err {s.err[-300:]!r}"
                    for s in self.streams.values()))

    def send(self, data):
        with self.sending:
            view = memoryview(data)
            while view:
                view = view[os.write(self.process.stdin.fileno(), view):]

    def try_send(self, data):
        """What may end the channel before all of it is sent."""
        try:
            self.send(data)
        except OSError:
            pass

    def open(self, kind, grant=True, **members):
        stream = Stream(self, self.next, grant)
        self.next += 1
        self.streams[stream.number] = stream
        self.send(frame(OPEN, stream.number, json.dumps({"kind": kind, **members}).encode()))
        return stream

    def run(self, *command, stdin=None, **members):
        """A command from its beginning to its end."""
        s = self.open("exec", id=members.pop("id", f"x{self.next}-{os.getpid()}"), command=list(command), **members)
        if stdin is not None:
            s.type(stdin)
        s.eof()
        s.wait()
        return s

    def listen(self):
        f = open(self.process.stdout.fileno(), "rb", buffering=1 << 18, closefd=False)
        while True:
            head = f.read(9)
            if len(head) < 9:
                break
            length, kind, number = struct.unpack(">IBI", head)
            assert 5 <= length <= 65536 + 5
            payload = f.read(length - 5)
            self.take(kind, number, payload)
        with self.changed:
            self.ended = True
            self.changed.notify_all()

    def take(self, kind, number, payload):
        s = self.streams.get(number)
        with self.changed:
            if number == 0 and kind == OPENED:
                self.hello = json.loads(payload)
            elif number == 0 and kind == ERROR:
                self.refused = json.loads(payload)
            elif kind in (STDOUT, STDERR):
                s.got += len(payload)
                if kind == STDOUT:
                    s.out += payload
                else:
                    s.err += payload
            elif kind == OPENED:
                s.opened = json.loads(payload)
            elif kind == EXIT:
                assert not s.over()
                s.code = json.loads(payload)["code"]
            elif kind == ERROR:
                assert not s.over()
                s.error = json.loads(payload)
            elif kind == WINDOW:
                s.room += struct.unpack(">I", payload)[0]
                assert s.room <= AHEAD
            else:
                raise AssertionError(f"a frame of type {kind}")
            self.changed.notify_all()
        if kind in (STDOUT, STDERR) and s.grant and not s.over():
            try:
                s.window(len(payload))
            except (OSError, ValueError):
                pass  # our end of it is closed

    def sessions(self):
        s = self.open("sessions")
        s.until(lambda s: b"\n" in s.out or s.over())
        s.close()
        return json.loads(s.out.split(b"\n")[0])["sessions"]

    def end(self):
        self.process.stdin.close()
        self.process.wait(LIMIT)


def inside(container, *command):
    return subprocess.run(["docker", "exec", container, *command], stdout=subprocess.PIPE, check=False).stdout.decode()


def eventually(what, limit=LIMIT):
    end = time.monotonic() + limit
    while not what():
        if time.monotonic() > end:
            sys.exit(f"never: {what.__doc__ or what}")
        time.sleep(0.1)
