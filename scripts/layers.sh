#!/bin/sh
# Dependencies point one way: fails when a file includes a header of a module or a room (a folder of a module) that it
# must not know.
set -eu
cd "$(dirname "$0")/.."

# Every folder below core/, with the other modules that it may include and, in its own module, the rooms and files
# beside itself ("." is every file of the module's own folder).
table() {
	cat <<'T'
base            |                                                        |
net             | base                                                   |
docker          | net base                                               |
tailscale       | net base                                               |
store           | base                                                   |
config          | base                                                   |
ops             | docker tailscale store config net base                 |
lua             | ops policy docker tailscale store config net base      |
step            | base                                                   |

policy          | config net base                                        | contract child pack
policy/contract | base                                                   |
policy/child    | base                                                   | contract
policy/pack     | config base                                            | contract setup
policy/tool     | base                                                   | contract pack .

agent           | lua ops policy docker tailscale store config net base  | channel http idle rpc stats stream tailnet watch who
agent/proc      | lua ops policy docker tailscale store config net base  | . channel rpc stream tailnet watch who
agent/rpc       | ops docker net base                                    | . http who
agent/http      | ops docker store net base                              | . stats stream tailnet who
agent/who       | lua ops policy tailscale store config base             | internal config stream tailnet
agent/tailnet   | tailscale net base                                     | internal config who/auth
agent/channel   | docker base                                            | loop
agent/stats     | ops docker base                                        |
agent/screen    | base                                                   |
agent/stream    | docker net base                                        | channel loop screen who/auth
agent/watch     | ops docker base                                        | channel loop jobs
agent/idle      | base                                                   |

cli             | config net base                                        |
cli/full        | policy config net base                                 | .
cli/setup       | config net base                                        | .
T
}
bad=0
find core -mindepth 1 -type d | sort | sed 's,^core/,,' | while read -r room; do
	table | grep -q "^$room *|" || { echo "core/$room: unknown room: give it a row in scripts/layers.sh"; exit 1; }
done || bad=1
{ table; grep -rn --include='*.[ch]' '^#include "' core | sort -t: -k1,1 -k2,2n; } | awk '
function has(list, word,   n, a, i) {
	n = split(list, a, " ")
	for (i = 1; i <= n; i++)
		if (a[i] == word)
			return 1
	return 0
}
function folder(path) { return path ~ /\// ? substr(path, 1, match(path, /\/[^\/]*$/) - 1) : "" }
!/^core\// {
	if (split($0, cell, "|") == 3) {
		gsub(/ /, "", cell[1])
		known[cell[1]] = 1; others[cell[1]] = cell[2]; own[cell[1]] = cell[3]
	}
	next
}
{
	split($0, part, ":")
	split($0, quoted, "\"")
	header = quoted[2]
	room = folder(substr(part[1], 6))
	module = room; sub(/\/.*/, "", module)
	to = folder(header)
	target = to; sub(/\/.*/, "", target)
	if (room == "" || !(room in known))
		next
	if (to == "")
		why = "include \"" header "\" by its folder"
	else if (target != module)
		why = has(others[room], target) ? "" : room " must not include " header
	else {
		name = substr(header, length(module) + 2); sub(/\.h$/, "", name)
		inner = to == module ? "." : substr(to, length(module) + 2)
		why = to == room || has(own[room], inner) || has(own[room], name) ? "" : room " must not include " header
	}
	if (why != "") { print part[1] ":" part[2] ": " why; bad = 1 }
}
END { exit bad }' || bad=1
# One includer each: whoever needs the library goes through that module.
only() { # header, allowed files (extended pattern)
	for f in $(grep -rl "#include <$1>" core || true); do
		echo "$f" | grep -Eq "$2" || { echo "$f: only $2 may include <$1>"; bad=1; }
	done
}
only curl/curl.h '^core/net/http'
only microhttpd.h '^core/net/(server|sse)'
only wslay/wslay.h '^core/net/ws'
only sqlite3.h '^core/store/'
only archive.h '^core/docker/'
only qrencode.h '^core/cli/full/open_qr'
only lua.h '^core/(policy/child|lua)/'
only seccomp.h '^core/policy/child/'
for module in core/agent core/policy; do
	scripts/circles.py "$module" || bad=1
done
exit $bad
