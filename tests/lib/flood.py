#!/usr/bin/env python3
"""What any user of this machine can do to the agent's port: flood.py PORT KIND [COUNT]. Holds COUNT connections of a kind, from ten of the loopback's
addresses, and makes each anew when it is closed. Prints "up" once all were made, and goes on until its standard input ends.

Kinds: idle (say nothing), heads (a byte of a head each second), kept (a request, then silence), bodies (all but the last byte of 1 MiB, without a token),
small (all but the last byte of 4000)."""
import selectors
import socket
import sys
import time

port, kind, count = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 640


def post(size):
    return b"POST /rpc/workspaces/list HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % size + b" " * (size - 1)


first = {"idle": b"", "heads": b"G", "kept": b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n", "bodies": post(1 << 20), "small": post(4000)}[kind]
sel = selectors.DefaultSelector()
sel.register(sys.stdin, selectors.EVENT_READ)
open_ones, made = {}, 0


def make(n):
    s = socket.socket()
    s.bind((f"127.0.0.{2 + n % 10}", 0))
    s.setblocking(False)
    s.connect_ex(("127.0.0.1", port))
    open_ones[s] = [n, first]
    sel.register(s, selectors.EVENT_READ | (selectors.EVENT_WRITE if first else 0))


def again(s):
    n = open_ones.pop(s)[0]
    sel.unregister(s)
    s.close()
    waiting.append((time.monotonic() + 0.05, n))


waiting, said, ticked = [(0, n) for n in range(count)], False, time.monotonic()
while True:
    now = time.monotonic()
    for _ in range(64):  # not all at once: the flood's own processor time is no part of what is measured
        if not waiting or waiting[0][0] > now:
            break
        make(waiting.pop(0)[1])
        made += 1
    if made >= count and not said:
        said = print("up", flush=True) or True
    if kind == "heads" and now - ticked > 1:
        ticked = now
        for s in list(open_ones):
            try:
                s.send(b"G")
            except OSError:
                pass
    for key, mask in sel.select(0.05):
        s = key.fileobj
        if s is sys.stdin:
            if not sys.stdin.buffer.read1(1):
                sys.exit(0)
            continue
        try:
            if mask & selectors.EVENT_WRITE:
                left = open_ones[s][1]
                left = left[s.send(left):]
                open_ones[s][1] = left
                if not left:
                    sel.modify(s, selectors.EVENT_READ)
            if mask & selectors.EVENT_READ and not s.recv(65536):
                again(s)
        except BlockingIOError:
            pass
        except OSError:
            again(s)
