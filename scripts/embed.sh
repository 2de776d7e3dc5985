#!/bin/sh
# Writes C source that holds the given files (paths relative to the project) and a table of them, for core/base/embed.h.
# NAME=FILE is a file that the table calls NAME.
set -eu
n=0
printf '%s\n' '#include "base/embed.h"'
for f in "$@"; do
	cat <<C
__asm__(".section .rodata\n.global embed_$n\nembed_$n:\n.incbin \"${f#*=}\"\n.global embed_end_$n\nembed_end_$n:\n.byte 0\n.previous");
extern const char embed_${n}[], embed_end_${n}[];
C
	n=$((n + 1))
done
echo 'const struct embedded embed_files[] = {'
i=0
for f in "$@"; do
	echo "	{ \"${f%%=*}\", embed_$i, embed_end_$i },"
	i=$((i + 1))
done
echo '	{ 0, 0, 0 }'
echo '};'
