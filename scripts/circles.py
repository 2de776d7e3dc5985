#!/usr/bin/env python3
"""Circles of files below core/: x.c and x.h are one file, an include is an arrow. None may be in core/agent or
core/policy: status 1.

circles.py [FOLDER]   the circles (that touch FOLDER), each with the arrows in it
circles.py --counts   files, includes and circles of each room (folder)
"""
import os
import re
import sys

GUARDED = ("core/agent", "core/policy")
INCLUDE = re.compile(r'^#include "([^"]+)"', re.M)


def node(path):
    return os.path.splitext(path)[0]


def read(root):
    """{node: {nodes it includes}}, and how many files and include lines each folder has."""
    arrows, rooms = {}, {}
    for folder, _, names in os.walk(root):
        for name in names:
            if not name.endswith((".c", ".h")):
                continue
            path = os.path.join(folder, name)
            with open(path, encoding="utf-8") as f:
                targets = [os.path.join(root, i) for i in INCLUDE.findall(f.read())]
            here = node(path)
            to = {node(t) for t in targets if os.path.exists(t)}
            arrows.setdefault(here, set()).update(to - {here})
            room = rooms.setdefault(folder, [0, 0])
            room[0] += 1
            room[1] += len(targets)
    return arrows, rooms


def reached(arrows, start):
    seen, todo = set(), [start]
    while todo:
        for n in arrows.get(todo.pop(), ()):
            if n not in seen:
                seen.add(n)
                todo.append(n)
    return seen


def circles(arrows):
    """Sets of files of which each one reaches every other."""
    far = {n: reached(arrows, n) for n in arrows}
    found = {frozenset(m for m in far[n] if n in far.get(m, ())) for n in arrows if n in far[n]}
    return sorted((sorted(c) for c in found), key=lambda c: c[0])


def touches(circle, folder):
    return any(n.startswith(folder + "/") for n in circle)


def print_counts(rooms, found):
    row = "{:24} {:>6} {:>9} {:>8}"
    print(row.format("room", "files", "includes", "circles"))
    for room, (files, includes) in sorted(rooms.items()):
        print(row.format(room, files, includes, sum(any(os.path.dirname(n) == room for n in c) for c in found)))
    print(row.format("all", *map(sum, zip(*rooms.values())), len(found)))


def main():
    os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
    arg = sys.argv[1] if len(sys.argv) > 1 else "core"
    arrows, rooms = read("core")
    found = circles(arrows)
    if arg == "--counts":
        print_counts(rooms, found)
        return 0
    for c in found:
        if touches(c, arg):
            print(f"a circle of {len(c)} files:")
            for n in c:
                print(f"  {n} -> {', '.join(sorted(arrows[n] & set(c)))}")
    return int(any(touches(c, guarded) for c in found for guarded in GUARDED if (guarded + "/").startswith(arg)))


if __name__ == "__main__":
    sys.exit(main())
