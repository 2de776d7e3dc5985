#!/usr/bin/env python3
"""Many who follow the events: subscribers.py ADDRESS COUNT [TOKEN]. ADDRESS: a port of this machine, or the path of a unix socket. Each asks as a program
does (connect, write, read); prints "OPEN REFUSED STRANGE" and the first strange answer once all were answered, holds the open ones until its standard
input has a line, and then prints how many of them got an event since."""
import select
import socket
import sys

address, count, token = sys.argv[1], int(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else None
head = "GET /events HTTP/1.1\r\nHost: localhost\r\n" + (f"Authorization: Bearer {token}\r\n" if token else "") + "\r\n"


def answer(s):
    got = b""
    while b"\r\n\r\n" not in got:
        more = s.recv(65536)
        if not more:
            return got
        got += more
    if got.startswith(b"HTTP/1.1 503"):
        while more := s.recv(65536):
            got += more
    return got


held, refused, strange = [], 0, []
for _ in range(count):
    s = socket.socket(socket.AF_UNIX if address.startswith("/") else socket.AF_INET)
    s.settimeout(120)
    try:
        s.connect(address if address.startswith("/") else ("127.0.0.1", int(address)))
        s.sendall(head.encode())
        got = answer(s)
    except OSError as e:
        got = repr(e).encode()
    if got.startswith(b"HTTP/1.1 200"):
        held.append(s)
    elif got.startswith(b"HTTP/1.1 503") and b"Retry-After: " in got and got.rstrip().endswith(b'{"error":"too many connections"}'):
        refused += 1
    else:
        strange.append(got)
print(len(held), refused, len(strange), *strange[:1], flush=True)
sys.stdin.readline()
told = 0
for s in held:
    if select.select([s], [], [], 60)[0] and b"data:" in s.recv(65536):
        told += 1
print(told, flush=True)
