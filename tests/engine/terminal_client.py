#!/usr/bin/env python3
"""terminal_client.py SOCKET WORKSPACE LINE: types LINE into a terminal of the API (/rpc/terminal/WORKSPACE) and waits until its shell has ended."""
import os
import socket
import sys


def frame(text):
    data = text.encode()
    return bytes([0x81, 0x80 | len(data)]) + b"\0\0\0\0" + data  # of less than 126 bytes, masked with zeros


def main(path, name, line):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(60)
    s.connect(path)
    s.sendall((f"GET /rpc/terminal/{name} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
               "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n").encode())
    f = s.makefile("rb")
    if b" 101 " not in f.readline():
        sys.exit("no terminal")
    while f.readline().strip():
        pass
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
            os.write(2, data[2:] + b"\n")
            return


main(*sys.argv[1:])
