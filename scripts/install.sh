#!/usr/bin/env bash
# What goes beside the executables: hook files, Lua types, man pages, completions, the systemd unit. With --remove takes all of it away again,
# the executables too. Files that have not changed are left alone.
set -euo pipefail
cd "$(dirname "$0")/.."
PREFIX=${PREFIX:-/usr/local}
BUILD=${BUILD:-build}
to=${DESTDIR:-}$PREFIX

if [ "${1:-}" = --remove ]; then
	rm -rf "$to/libexec/perry" "$to/share/perry"
	rm -f "$to/bin/perry" "$to/lib/systemd/user/perry.service" "$to"/share/man/man[1578]/perry{,-*}.[1578] \
		"$to/share/bash-completion/completions/perry" "$to/share/zsh/site-functions/_perry" "$to/share/fish/vendor_completions.d/perry.fish"
	rmdir "$to/lib/systemd/user" "$to/lib/systemd" 2>/dev/null || :
	exit 0
fi
put() { install -C -D -m 644 "$1" "$2"; }
put_text() { # PATH, text on standard input
	local tmp
	tmp=$(mktemp)
	cat >"$tmp"
	[ ! -s "$tmp" ] || put "$tmp" "$1"
	rm -f "$tmp"
}
while IFS= read -r f; do
	put "$f" "$to/share/perry/$f"
done < <(find hooks -type f -name '*.lua' ! -name '*_test.lua' 2>/dev/null)
for f in lua/types/*.lua; do
	[ ! -e "$f" ] || put "$f" "$to/share/perry/types/${f##*/}"
done
for f in docs/man/*.[1578]; do
	[ ! -e "$f" ] || put "$f" "$to/share/man/man${f##*.}/${f##*/}"
done
perry=$BUILD/perry
put_text "$to/share/bash-completion/completions/perry" < <("$perry" completion bash 2>/dev/null || :)
put_text "$to/share/zsh/site-functions/_perry" < <("$perry" completion zsh 2>/dev/null || :)
put_text "$to/share/fish/vendor_completions.d/perry.fish" < <("$perry" completion fish 2>/dev/null || :)
put_text "$to/lib/systemd/user/perry.service" < <(sed "s|@PREFIX@|$PREFIX|" share/perry.service)
