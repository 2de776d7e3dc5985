"""typist.py [-x SIZE] PROGRAM [ARG...] < SCRIPT: runs the program on a terminal of 80x24 and types as the script says.

A line of the script: "TEXT<TAB>KEYS" waits until TEXT stands on the screen, behind what it waited for last, then types KEYS (with \\r, \\x03 ...);
"=COMMAND" runs a command of the shell. Then waits for the end. Prints all that the program wrote; exits as it did, 99 when a text did not come.
"""
import os, pty, select, signal, struct, subprocess, sys, termios, fcntl, time

script = [line.rstrip("\n") for line in sys.stdin]
pid, fd = pty.fork()
if pid == 0:
    os.execvp(sys.argv[1], sys.argv[1:])
fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
out, seen = b"", 0


def more(seconds):
    global out
    if not select.select([fd], [], [], seconds)[0]:
        return True
    try:
        got = os.read(fd, 65536)
    except OSError:
        return False
    out += got
    return bool(got)


def leave(code):
    sys.stdout.write(out.decode(errors="replace").replace("\r\n", "\n"))
    sys.stdout.flush()
    sys.exit(code)


open_ = True
for line in script:
    if line.startswith("="):
        subprocess.run(line[1:], shell=True, check=False)
        continue
    text, _, keys = line.partition("\t")
    end = time.monotonic() + 60
    while text.encode() not in out[seen:]:
        open_ = open_ and more(1)
        if not open_ or time.monotonic() > end:
            sys.stdout.write("never came: %s\n" % text)
            os.kill(pid, signal.SIGKILL)
            leave(99)
    seen += out[seen:].index(text.encode()) + len(text.encode())
    if keys == "HANGUP":
        os.close(fd)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        leave(code if code >= 0 else 128 - code)
    os.write(fd, keys.encode().decode("unicode_escape").encode("latin-1"))
end = time.monotonic() + 60
while more(1):
    if time.monotonic() > end:
        os.kill(pid, signal.SIGKILL)
        leave(98)
code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
leave(code if code >= 0 else 128 - code)
