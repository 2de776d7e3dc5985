#!/usr/bin/env python3
"""Prints core/agent/screen/width_table.h from Python's Unicode data: which characters take no column, and which two.

scripts/unicode-width.py >core/agent/screen/width_table.h && make fmt"""
import unicodedata


def width(c):
    ch = chr(c)
    if unicodedata.category(ch) in ("Mn", "Me", "Cf") or 0x1160 <= c <= 0x11FF:
        return 0
    if 0xD800 <= c < 0xE000:
        return 1
    # Planes of ideographs and the blocks of emoji, also where nothing is assigned yet.
    if 0x20000 <= c <= 0x2FFFD or 0x30000 <= c <= 0x3FFFD or 0x1FA70 <= c <= 0x1FAFF:
        return 2
    return 2 if unicodedata.east_asian_width(ch) in "WF" else 1


def table(name, wanted):
    ranges, c = [], 0x300
    while c < 0x110000:
        if width(c) == wanted:
            first = c
            while c < 0x110000 and width(c) == wanted:
                c += 1
            ranges.append((first, c - 1))
        c += 1
    print(f"static const struct range {name}[] = {{")
    print(", ".join(f"{{ {first:#x}, {last:#x} }}" for first, last in ranges))
    print("};")


print(f"/* Made by scripts/unicode-width.py; Unicode {unicodedata.unidata_version}. */")
print("#ifndef PERRY_AGENT_SCREEN_WIDTH_TABLE_H\n#define PERRY_AGENT_SCREEN_WIDTH_TABLE_H\n#include <stdint.h>\n")
print("struct range {\n\tuint32_t first, last;\n};")
table("width_none", 0)
table("width_two", 2)
print("\n#endif")
