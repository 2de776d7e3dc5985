#!/usr/bin/env python3
"""terminal_client.py WHERE NAME LINE [TOKEN]: types LINE into a terminal of the API (/rpc/terminal/NAME) and waits until its shell has ended.
WHERE is the agent's socket or its port. With TOKEN it is shown as the newest clients of the original do it: by the first message. Prints what the
terminal shows; on standard error the code and the reason of the end."""
import os
import socket
import sys


def frame(text):
    data = text.encode()
    head = bytes([0x80 | len(data)]) if len(data) < 126 else b"\xfe" + len(data).to_bytes(2, "big")
    return b"\x81" + head + b"\0\0\0\0" + data  # masked with zeros


def connect(where):
    if not where.isdigit():
        s = socket.socket(socket.AF_UNIX)
        s.connect(where)
        return s
    return socket.create_connection(("127.0.0.1", int(where)))


def main(where, name, line, token=None):
    s = connect(where)
    s.settimeout(60)
    s.sendall((f"GET /rpc/terminal/{name} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
               "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n").encode())
    f = s.makefile("rb")
    status = f.readline()
    if b" 101 " not in status:
        sys.exit(f"no terminal: {status.decode().strip()}")
    while f.readline().strip():
        pass
    if token is not None:
        s.sendall(frame('{"type":"auth","token":"%s"}' % token))
    s.sendall(frame('{"type": "resize", "cols": 80, "rows": 24}') + frame(line + "\n"))
    while True:
        head = f.read(2)
        if len(head) < 2:
            sys.exit("the connection ended without a word")
        n = head[1] & 127
        if n > 125:
            n = int.from_bytes(f.read(2 if n == 126 else 8), "big")
        data = f.read(n)
        if head[0] & 15 == 8:
            os.write(2, f"{int.from_bytes(data[:2], 'big')} ".encode() + data[2:] + b"\n")
            return
        os.write(1, data)


main(*sys.argv[1:])
