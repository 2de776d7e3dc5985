#!/bin/sh
# Dependencies point one way: fails when a file includes a header of a layer that it must not know.
set -eu
cd "$(dirname "$0")/.."
allowed() {
	case $1 in
	base) echo base ;;
	net) echo "net base" ;;
	docker) echo "docker net base" ;;
	tailscale) echo "tailscale net base" ;;
	store) echo "store base" ;;
	config) echo "config base" ;;
	policy) echo "policy config net base" ;;
	ops) echo "ops docker tailscale store config net base" ;;
	lua) echo "lua ops policy docker tailscale store config net base" ;;
	agent) echo "agent lua ops policy docker tailscale store config net base" ;;
	# The full executable's part of the CLI (full/) runs hooks without an agent.
	cli) echo "cli config net base" ;;
	# What it takes of base is linked statically, by libc alone: STEP_BASE in the Makefile.
	step) echo "step base" ;;
	esac
}
bad=0
for module in base net docker tailscale store config policy ops lua agent cli step; do
	ok=" $(allowed $module) "
	for f in core/"$module"/*.[ch] core/"$module"/*/*.[ch]; do
		[ -e "$f" ] || continue
		while IFS=: read -r line inc; do
			[ -n "$inc" ] || continue
			dir=${inc%%/*}
			case $inc in */*) ;; *) echo "$f:$line: include \"$inc\" by its folder"; bad=1; continue ;; esac
			case "$ok" in *" $dir "*) ;; *)
				case $f:$dir in core/cli/full/*:policy) continue ;; esac
				echo "$f:$line: $module must not include $inc"
				bad=1
				;;
			esac
		done <<-EOF
			$(grep -n '^#include "' "$f" | sed 's/^\([0-9]*\):#include "\([^"]*\)".*/\1:\2/')
		EOF
	done
done
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
only lua.h '^core/(policy|lua)/'
only seccomp.h '^core/policy/'
scripts/circles.py core/agent || bad=1
exit $bad
