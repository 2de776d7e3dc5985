#!/usr/bin/env python3
"""Runs a tutorial as it stands: `<!-- file: NAME -->` before a block writes that file into the hooks folder, and each "$ " line of a console block is run
and must print what stands below it. "..." in a line stands for anything; [N] is the exit code when it is not 0; the head of a table, which only a
terminal gets, and the width of its columns do not count.
  tutorial.py FILE CONFIG-DIR"""
import os, re, subprocess, sys

text, config = open(sys.argv[1]).read(), sys.argv[2]
hooks = os.path.join(config, "hooks")
head = re.compile(r"^(FIELD|WORKSPACE|POINT|LAYER)( +[A-Z]+)+$")
ran = 0


def squeeze(line):
    return re.sub(r"\s+", " ", line.replace(hooks, "~/.config/perry/hooks")).strip()


def matches(wanted, got):
    pattern = ".*".join(re.escape(part) for part in wanted.split("..."))
    return re.fullmatch(pattern, got) is not None


def run(command, wanted):
    global ran
    ran += 1
    r = subprocess.run(["sh", "-c", command.replace("~/.config/perry/hooks", hooks)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    got = [squeeze(line) for line in r.stdout.splitlines()]
    if r.returncode:
        got.append(f"[{r.returncode}]")
    want = [squeeze(line) for line in wanted if line and not head.match(line.strip())]
    if len(want) != len(got) or not all(matches(w, g) for w, g in zip(want, got)):
        sys.exit(f"$ {command}\nthe tutorial says:\n  " + "\n  ".join(want) + "\nand it is:\n  " + "\n  ".join(got))


for m in re.finditer(r"(?:<!-- file: (\S+) -->\n)?```(\w+)\n(.*?)```", text, re.S):
    name, kind, body = m.groups()
    if name:
        os.makedirs(hooks, mode=0o700, exist_ok=True)
        with open(os.path.join(hooks, name), "w") as f:
            f.write(body)
        os.chmod(f.name, 0o600)
    if kind != "console":
        continue
    for block in re.split(r"^\$ ", body, flags=re.M)[1:]:
        command, *wanted = block.splitlines()
        run(command, wanted)
print(f"{ran} commands")
