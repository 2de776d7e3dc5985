#!/usr/bin/env bash
# Fails when a document or a comment names a file of this tree that is gone, or when a relative link in a document leads nowhere.
# Looked at are *.md whole, and the comments of everything else. A path may be a pattern (with * or {a,b}) or a folder; below core/ that may be left away. What a sentence needs (NAME, X, <...>) is written with capitals or signs, which no path here has.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
bad=0
files() { git ls-files -co --exclude-standard -- "$@"; }
there() { # PATH or pattern: braces are for the shell to expand
	local p
	[[ $1 =~ ^[A-Za-z0-9_.,/*{}-]+$ ]] || return 0
	eval "set -- $1" # nothing in it but the characters above
	for p; do compgen -G "${p%/}" >/dev/null || return 1; done
}
named() { # lines "FILE:LINE:PATH"
	local f l p
	while IFS=: read -r f l p; do
		p=$(sed -E 's/[.,]+$//; s/\{[^}]*$//' <<<"$p") # the sentence's own
		[[ $p != *[A-Z][A-Z]* && $p != */X[./]* && $p != */X_* ]] || continue
		there "$p" || there "core/$p" || { echo "$f:$l: there is no $p"; bad=1; }
	done
}
roots='(core|lua|tests|scripts|docs|examples)/[A-Za-z0-9_.{},*/-]*'
modules="($(printf '%s|' core/*/ | sed 's|core/||g; s|/||g; s/|$//'))/[A-Za-z0-9_.{},*/-]*\\.[ch]\\b"
before='(?<![A-Za-z0-9_./$~}*<>%"-])'
named < <(files '*.md' | tr '\n' '\0' | xargs -0 grep -noPH "$before($roots|$modules)")
# Of code: what stands in a comment.
comments() { # PATTERN, FILES...: "FILE:LINE:TEXT"
	files "${@:2}" | sort -u | tr '\n' '\0' | xargs -0 grep -noPHI "$1"
}
named < <({
	comments '/\*.*|^\s*(\*|//).*' '*.c' '*.h'
	comments '^\s*--.*' '*.lua' .luacheckrc
	comments '^\s*#.*' '*.sh' '*.bash' '*.bats' '*.py' Makefile packages.txt .editorconfig .clang-format scripts tests/lua/run tests/engine image .ci
} | PATHS="$before($roots|$modules)" perl -ne 'next unless s/^([^:]*:\d+:)//; my $at = $1; while (/$ENV{PATHS}/g) { print "$at$&\n" }')
# Links: relative ones, their anchors set aside.
while IFS=: read -r f l link; do
	link=${link#](}
	link=${link%%#*}
	[ -z "$link" ] || [ -e "$(dirname "$f")/$link" ] || { echo "$f:$l: the link to $link leads nowhere"; bad=1; }
done < <(files '*.md' | tr '\n' '\0' | xargs -0 grep -noPH '\]\((?![a-z]+:)[^)\s]+' )
exit $bad
