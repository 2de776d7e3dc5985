#!/usr/bin/env bats
# Packs by the command line: git repositories and folders, approval, updates, and what must be refused. No engine is needed.
# shellcheck source=tests/api/helper.bash
load "${BATS_TEST_DIRNAME:-.}/../api/helper.bash"

setup() {
	T=$(mktemp -d /tmp/perry-packs-XXXXXX)
	BUILD=$(realpath "$BUILD")
	export HOME=$T PERRY_CONFIG_DIR=$T/conf TMPDIR=$T/tmp GIT_CONFIG_NOSYSTEM=1
	export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@x GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@x
	unset PERRY_AGENT PERRY_TOKEN XDG_CONFIG_HOME XDG_RUNTIME_DIR
	mkdir "$T/tmp" "$T/conf"
}
teardown() {
	agent_end
	# Nothing of a fetch stays behind, whatever became of it.
	nothing ls -A "$T/tmp"
	rm -rf "$T"
}
p() { "$BUILD/perry" "$@"; }
# On a terminal, with these answers typed.
typed() { # ANSWERS COMMAND...
	local answers=$1
	shift
	python3 - "$answers" "$@" <<-'P'
		import os, pty, sys
		answers = sys.argv[1].encode() + b"\n"
		pid, fd = pty.fork()
		if pid == 0:
		    os.execvp(sys.argv[2], sys.argv[2:])
		sent = False
		while True:
		    try:
		        data = os.read(fd, 4096)
		    except OSError:
		        break
		    if not data:
		        break
		    sys.stdout.buffer.write(data)
		    if b"[y/N]" in data and not sent:
		        os.write(fd, answers)
		        sent = True
		sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
	P
}
repo() { # NAME: a repository with a pack in it
	p hooks pack init "$T/$1" 2>/dev/null
	git -C "$T/$1" init -q -b main
	commit "$1" one
}
commit() { git -C "$T/$1" add -A && git -C "$T/$1" commit -q -m "$2"; }
hash_of() { p hooks pack hash "$T/$1"; }
installed() { ls -d "$T"/conf/packs/"$1"-*; }
lock() { jq -r ".packs[] | $1" "$T/conf/hooks.lock"; }

@test "a folder: shown, asked, approved; -y is no approval, --expect is" {
	p hooks pack init "$T/acme"
	run p hooks add "$T/acme" -y
	[ "$status" = 2 ]
	[[ "$output" == *"hostname       decision  hooks/hostname.lua"* && "$output" == *"-y does not say to which content"* ]]
	[ ! -e "$T/conf/hooks.lock" ]
	run p hooks add "$T/acme"
	[ "$status" = 2 ]
	[[ "$output" == *"there is no terminal to ask on"*"--expect sha256:"* ]]
	run p hooks add "$T/acme" --expect sha256:0000
	[ "$status" = 6 ]
	[ ! -e "$T/conf/hooks.lock" ]
	run typed n "$BUILD/perry" hooks add "$T/acme"
	[ "$status" = 1 ]
	[[ "$output" == *"Approve it? [y/N]"*"Nothing is approved."* ]]
	[ ! -e "$T/conf/hooks.lock" ]
	run typed y "$BUILD/perry" hooks add "$T/acme"
	[ "$status" = 0 ]
	[ "$(lock .hash)" = "$(hash_of acme)" ]
	[ "$(jq -c .hookPacks "$T/conf/config.json")" = "[\"$T/acme\"]" ]
	# once a source: the same again asks nothing
	run p hooks add "$T/acme"
	[ "$status" = 0 ]
	[[ "$output" == *"approved and up to date"* ]]
}

@test "--json gives the entry and nothing else" {
	p hooks pack init "$T/acme"
	[ "$(p hooks add "$T/acme" --expect "$(hash_of acme)" --json 2>/dev/null | jq -r .name)" = acme ]
}

@test "a git repository: branch, tag, commit, local path; the lock has url, ref, commit and hash" {
	repo acme
	git -C "$T/acme" tag v1
	local one two
	one=$(git -C "$T/acme" rev-parse HEAD)
	p hooks add "file://$T/acme" --ref v1 --expect "$(hash_of acme)"
	[ "$(lock .url)" = "file://$T/acme" ]
	[ "$(lock .ref)" = v1 ]
	[ "$(lock .commit)" = "$one" ]
	[ "$(jq -c .hookPacks "$T/conf/config.json")" = "[{\"url\":\"file://$T/acme\",\"ref\":\"v1\"}]" ]
	echo two >>"$T/acme/README.md"
	commit acme two
	two=$(git -C "$T/acme" rev-parse HEAD)
	# the tag stays, the branch went on
	run p hooks outdated
	[[ "$output" == *"as they were approved"* ]]
	p hooks add "$T/acme" --ref main --expect "$(hash_of acme)"
	[ "$(lock .commit)" = "$two" ]
	[ "$(jq -c .hookPacks "$T/conf/config.json")" = "[{\"url\":\"file://$T/acme\",\"ref\":\"main\"}]" ]
	[ "$(installed acme | wc -l)" = 1 ]
	p hooks remove acme
	p hooks add "$T/acme" --ref "$one" --expect "$(git -C "$T/acme" checkout -q v1 && hash_of acme)"
	[ "$(lock .commit)" = "$one" ]
	[ "$(p hooks outdated --json | jq '.[0].outdated')" = false ]
	run p hooks add "$T/acme" --ref nowhere
	[ "$status" = 1 ]
	[[ "$output" == *"couldn't find remote ref nowhere"* ]]
}

@test "a bare repository, and one over ssh" {
	repo acme
	git clone -q --bare "$T/acme" "$T/acme.git"
	p hooks add "$T/acme.git" --expect "$(hash_of acme)"
	[ "$(lock .url)" = "file://$T/acme.git" ]
	p hooks remove acme
	# ssh itself is git's business: a command in its place runs what it was asked to run
	printf '#!/bin/sh\necho "$@" >%s/ssh.args\nshift $(($# - 1))\nexec sh -c "$1"\n' "$T" >"$T/ssh"
	chmod +x "$T/ssh"
	GIT_SSH="$T/ssh" GIT_SSH_VARIANT=simple p hooks add "git@git.example.com:$T/acme.git" --ref main --expect "$(hash_of acme)"
	[[ "$(cat "$T/ssh.args")" == "git@git.example.com git-upload-pack"* ]]
	[ "$(lock .url)" = "git@git.example.com:$T/acme.git" ]
}

@test "update shows what changed and asks again; needs that are new are said" {
	repo acme
	p hooks add "$T/acme" --ref main --expect "$(hash_of acme)"
	sed -i 's/"needs": {}/"needs": {"network": ["hooks.example.com"]}/' "$T/acme/pack.json"
	commit acme two
	run p hooks outdated
	[ "$status" = 0 ]
	[[ "$output" == *acme*main* ]]
	run p hooks update
	[ "$status" = 2 ]
	[[ "$output" == *'-  "needs": {}'*'+  "needs": {"network": ["hooks.example.com"]}'*"It needs something else than before"*"hooks.example.com"* ]]
	[[ "$output" != *"rewritten"* ]]
	run typed y "$BUILD/perry" hooks update acme
	[ "$status" = 0 ]
	[ "$(lock .hash)" = "$(hash_of acme)" ]
	[ "$(lock '.needs.network[0]')" = hooks.example.com ]
	run p hooks update
	[ "$status" = 0 ]
	[[ "$output" == *"up to date"* ]]
}

@test "a history that was rewritten is said" {
	repo acme
	p hooks add "$T/acme" --ref main --expect "$(hash_of acme)"
	echo evil >>"$T/acme/README.md"
	git -C "$T/acme" commit -q -a --amend -m other
	git -C "$T/acme" reflog expire --expire=now --all
	git -C "$T/acme" gc -q --prune=now
	run p hooks update acme
	[ "$status" = 2 ]
	[[ "$output" == *"the history was rewritten: the approved commit"*"is not in that of main any more"* ]]
}

@test "what a diff shows cannot drive the terminal" {
	repo acme
	p hooks add "$T/acme" --ref main --expect "$(hash_of acme)"
	printf 'x \033[2J \xc2\x9b1m \xe2\x80\xae end\n' >>"$T/acme/README.md"
	commit acme two
	run p hooks update acme
	[[ "$output" == *'x <1b>[2J <c2><9b>1m <e2><80><ae> end'* ]]
	[[ "$output" != *$'\033'* ]]
}

@test "a server that hangs: over after --timeout, nothing left" {
	python3 - "$T/port" <<-'P' &
		import socket, sys, time
		s = socket.socket()
		s.bind(("127.0.0.1", 0))
		s.listen()
		open(sys.argv[1], "w").write(str(s.getsockname()[1]))
		time.sleep(300)
	P
	local server=$! at=$SECONDS
	eventually 30 test -s "$T/port"
	run p hooks add "https://127.0.0.1:$(cat "$T/port")/x" --timeout 2
	kill $server
	[ "$status" = 124 ]
	[[ "$output" == *"no answer within 2 s"*"--timeout"* ]]
	[ $((SECONDS - at)) -lt 50 ]
	printf '#!/bin/sh\necho $$ >%s/ssh.pid\nsleep 1000\n' "$T" >"$T/ssh"
	chmod +x "$T/ssh"
	GIT_SSH="$T/ssh" run p hooks add ssh://git.example.com/x --timeout 1
	[ "$status" = 124 ]
	# Dead, if perhaps not reaped yet by whoever inherited it.
	ended() { ! grep -q '^State:[[:space:]]*[^ZX]' "/proc/$(cat "$T/ssh.pid")/status" 2>/dev/null; }
	eventually 30 ended
}

@test "a file of 100 MB, 10,000 files, more than the repository may send: refused with the limit" {
	repo acme
	head -c 100M /dev/zero >"$T/acme/big"
	commit acme big
	run p hooks add "$T/acme" --ref main
	[ "$status" = 1 ]
	[[ "$output" == *"big: has 102400 KiB: a pack has at most 500 files, of 256 KiB each and 640 KiB in all"* ]]
	run p hooks add "$T/acme"
	[[ "$output" == *"big: has 102400 KiB"* ]]
	rm "$T/acme/big"
	mkdir "$T/acme/many"
	(cd "$T/acme/many" && seq 10000 | xargs touch)
	commit acme many
	run p hooks add "$T/acme" --ref main
	[ "$status" = 1 ]
	[[ "$output" == *"a file too many: a pack has at most 500 files"* ]]
	rm -r "$T/acme/many"
	head -c 100M /dev/urandom >"$T/acme/noise"
	commit acme noise
	run p hooks add "$T/acme" --ref main
	[ "$status" = 1 ]
	[[ "$output" == *"sends more than 64 MiB"* ]]
	[ ! -e "$T/conf/hooks.lock" ]
}

@test "names that differ only in case, links and submodules are refused" {
	repo acme
	echo x >"$T/acme/hooks/Hostname.lua"
	commit acme case
	run p hooks add "$T/acme" --ref main
	[ "$status" = 1 ]
	[[ "$output" == *"hooks/Hostname.lua and hooks/hostname.lua differ only in case"* ]]
	rm "$T/acme/hooks/Hostname.lua"
	ln -s /etc/passwd "$T/acme/hooks/image.lua"
	commit acme link
	run p hooks add "$T/acme" --ref main
	[[ "$output" == *"hooks/image.lua: a link; a pack may not have any"* ]]
	rm "$T/acme/hooks/image.lua"
	git init -q "$T/acme/sub"
	git -C "$T/acme/sub" commit -q --allow-empty -m x
	commit acme sub 2>/dev/null
	run p hooks add "$T/acme" --ref main
	[[ "$output" == *"sub: a submodule; a pack may not have any"* ]]
}

@test "filters and attributes of the repository change nothing" {
	repo acme
	printf '* text eol=crlf\n*.lua export-ignore filter=evil\n' >"$T/acme/.gitattributes"
	commit acme attributes
	git config --global filter.evil.smudge "touch $T/smudged"
	git config --global core.autocrlf true
	p hooks add "$T/acme" --ref main --expect "$(hash_of acme)"
	[ ! -e "$T/smudged" ]
	cmp "$T/acme/hooks/hostname.lua" "$(installed acme)/hooks/hostname.lua"
}

@test "addresses that are not fetched from" {
	local u
	for u in http://git.example.com/x git://git.example.com/x ext::sh "ext::sh://x" https://me:secret@git.example.com/x https://me@git.example.com/x \
		ssh://-oProxyCommand=x/y ftp://x/y; do
		run p hooks add "$u" --timeout 5
		[ "$status" != 0 ]
		[ "$status" != 124 ]
	done
	run p hooks add https://me:secret@git.example.com/x
	[ "$status" = 2 ]
	[[ "$output" != *secret* ]]
	run p hooks add "https://git.example.com/x" --ref "--upload-pack=x"
	[ "$status" = 2 ]
	run p hooks add "$T/nowhere"
	[ "$status" = 5 ]
}

@test "two packs of one name: the second is told of the first" {
	p hooks pack init "$T/acme"
	mkdir "$T/other"
	cp -r "$T/acme" "$T/other/acme"
	p hooks add "$T/acme" --expect "$(hash_of acme)"
	echo x >>"$T/other/acme/README.md"
	run p hooks add "$T/other/acme" --expect "$(hash_of other/acme)"
	[ "$status" = 6 ]
	[[ "$output" == *"there is a pack 'acme' already, from $T/acme"* ]]
}

@test "two approvals at once: one is in force, both are whole, the other is told" {
	p hooks pack init "$T/acme"
	p hooks add "$T/acme" --expect "$(hash_of acme)"
	local i pids=() told=0 won=0
	# the same source, another content each time it is read: what is approved is what was hashed
	for i in 1 2 3 4 5 6; do
		cp -r "$T/acme" "$T/v$i"
		echo "$i" >>"$T/v$i/README.md"
	done
	for i in 1 2 3 4 5 6; do
		(p hooks remove acme 2>/dev/null || true; p hooks add "$T/v$i" --expect "$(hash_of "v$i")" 2>/dev/null) &
		pids+=($!)
	done
	for i in "${pids[@]}"; do if wait "$i"; then won=$((won + 1)); else told=$((told + 1)); fi; done
	[ $won -ge 1 ]
	[ "$(jq '.packs | length' "$T/conf/hooks.lock")" = 1 ]
	[ "$(jq '.hookPacks | length' "$T/conf/config.json")" = 1 ]
	[ "$(p hooks pack hash "$(installed acme)")" = "$(lock .hash)" ]
}

@test "pack init makes a pack that checks, tests itself and can be added" {
	run p hooks pack init "$T/My Policy"
	[ "$status" = 0 ]
	[ "$(jq -r .name "$T/My Policy/pack.json")" = my-policy ]
	(cd / && PATH=$BUILD:$PATH "$T/My Policy/ci.sh")
	run p hooks pack init "$T/My Policy"
	[ "$status" = 6 ]
	p hooks add "$T/My Policy" --expect "$(p hooks pack hash "$T/My Policy")"
}

@test "check and test hold a pack to its pack.json" {
	p hooks pack init "$T/acme"
	printf -- '-- perry: api=1\nreturn function(ws, base)\n  perry.http.get "https://api.example.com/"\n  return base()\nend\n' >"$T/acme/hooks/hostname.lua"
	printf 'return { { name = "asks", base = "web", replies = { ["http.get"] = { status = 200 } }, expect = "web" } }\n' >"$T/acme/tests/hostname_test.lua"
	run p hooks test "$T/acme"
	[ "$status" = 1 ]
	[[ "$output" == *"does not list api.example.com in needs.network"* ]]
	sed -i 's/"needs": {}/"needs": {"network": ["api.example.com"]}/' "$T/acme/pack.json"
	p hooks test "$T/acme"
	sed -i 's/"api": 1/"api": 7/' "$T/acme/pack.json"
	run p hooks check "$T/acme"
	[ "$status" = 1 ]
	[[ "$output" == *"pack.json:3: api: the pack 'acme' is written for api=7; this perry serves api=1"* ]]
}

# -- with an agent --

# DIR is the agent's folder, which is the command line's as well.
with_agent() {
	DIR=$T/conf
	agent_start
}
use_token() {
	export PERRY_CONFIG_DIR=$T/client PERRY_AGENT=127.0.0.1:$PORT PERRY_TOKEN=$TOKEN
	mkdir -p "$PERRY_CONFIG_DIR"
}

@test "the agent takes a pack at once, lists it, and stops by name when a byte changes" {
	with_agent
	p hooks pack init "$T/acme"
	p hooks add "$T/acme" --expect "$(hash_of acme)"
	run p hooks list
	[ "$status" = 0 ]
	[[ "$output" == *"$(installed acme | sed "s|$T|~|")/hooks/hostname.lua"* ]]
	rpc hooks/packs/list
	[ "$(jq -r '.json[0] | .name + " " + .state' <<<"$BODY")" = "acme used" ]
	rpc hooks/run '{"point":"hostname","facts":{"ws":{"name":"web","labels":{},"reason":"start"}}}'
	[ "$(jq -r .json.answer <<<"$BODY")" = acme-web ]
	run p hooks list --packs
	[ "$status" = 0 ]
	[[ "$output" == acme*used*"$T/acme"*sha256:* ]]
	echo "-- x" >>"$(installed acme)/hooks/hostname.lua"
	run p hooks list --packs
	[ "$status" = 1 ]
	[[ "$output" == acme*refused*"was changed since"* ]]
	rpc hooks/run '{"point":"hostname","facts":{"ws":{"name":"web","labels":{},"reason":"start"}}}'
	[ "$CODE" = 403 ]
	[[ "$BODY" == *"hooks/hostname.lua: was changed since the pack 'acme' was approved"* ]]
	rpc workspaces/start '{"name":"web","dryRun":true}'
	[ "$CODE" != 200 ]
	run p hooks list
	[ "$status" = 1 ]
	[[ "$output" == *"hooks/hostname.lua: was changed"* ]]
	# the approved content again needs no question
	run p hooks update acme
	[ "$status" = 0 ]
	[[ "$output" == *"as it was approved again"* ]]
	rpc hooks/run '{"point":"hostname","facts":{"ws":{"name":"web","labels":{},"reason":"start"}}}'
	[ "$(jq -r .json.answer <<<"$BODY")" = acme-web ]
	p hooks remove acme
	rpc hooks/run '{"point":"hostname","facts":{"ws":{"name":"web","labels":{},"reason":"start"}}}'
	[ "$(jq -r .json.answer <<<"$BODY")" = web ]
}

@test "a remote agent gets it uploaded; without the right admin nothing is approved" {
	with_agent
	p hooks pack init "$T/acme"
	use_token
	p hooks add "$T/acme" --expect "$(hash_of acme)"
	[ "$(lock .host)" = "$(hostname)" ]
	[ "$(lock .hash)" = "$(hash_of acme)" ]
	[ ! -e "$T/client/hooks.lock" ]
	echo more >>"$T/acme/README.md"
	run p hooks update acme
	[ "$status" = 2 ]
	[[ "$output" == *"+more"* ]]
	p hooks update acme --expect "$(hash_of acme)"
	[ "$(lock .hash)" = "$(hash_of acme)" ]
	PERRY_TOKEN=wrong run p hooks remove acme
	[ "$status" = 4 ]
	p hooks remove acme
	[ "$(jq '.packs | length' "$T/conf/hooks.lock")" = 0 ]
}

@test "the API approves only what it is told the hash of" {
	with_agent
	p hooks pack init "$T/acme"
	local files hash
	hash=$(hash_of acme)
	files=$(cd "$T/acme" && find . -type f | while read -r f; do
		jq -n --arg p "${f#./}" --arg d "$(base64 -w0 "$f")" --argjson x "$([ -x "$f" ] && echo true || echo false)" '{path:$p,data:$d,exec:$x}'
	done | jq -s -c .)
	approve() { rpc hooks/packs/approve "{\"files\":$1,\"source\":{\"path\":\"/x/acme\"},\"hash\":\"$2\"}"; }
	approve "$files" "sha256:0"
	[ "$CODE" = 409 ]
	approve "$(jq -c '. + [{"path":"../../evil","data":"eA=="}]' <<<"$files")" "$hash"
	[ "$CODE" = 400 ]
	approve "$(jq -c '. + [{"path":"x","data":"***"}]' <<<"$files")" "$hash"
	[ "$CODE" = 400 ]
	rpc hooks/packs/approve "{\"files\":$files,\"source\":{},\"hash\":\"$hash\"}"
	[ "$CODE" = 403 ]
	[ ! -e "$T/conf/hooks.lock" ]
	approve "$files" "$hash"
	[ "$CODE" = 200 ]
	# over TCP without a token, and with one
	tcp /rpc/hooks/packs/remove -X POST -H 'Content-Type: application/json' -d '{"json":{"name":"acme"}}'
	[ "$CODE" = 401 ]
	[ "$(lock .name)" = acme ]
	# the largest pack that is allowed fits into one call
	mkdir "$T/acme/fill"
	local i
	for i in 1 2; do head -c 250K /dev/urandom >"$T/acme/fill/$i"; done
	head -c 100K /dev/urandom >"$T/acme/fill/3"
	(cd "$T/acme/fill" && for i in $(seq 100 580); do echo "$i" >"some-rather-long-name-of-a-file-so-that-names-take-part-$i"; done)
	p hooks remove acme
	p hooks add "$T/acme" --expect "$(hash_of acme)"
}

@test "what a pack kept goes with it" {
	with_agent
	p hooks pack init "$T/acme"
	sed -i 's/"needs": {}/"needs": {"kv": true}/' "$T/acme/pack.json"
	printf -- '-- perry: api=1\nreturn function()\n  perry.kv.set("a", (perry.kv.get("a") or 0) + 1)\nend\n' >"$T/acme/hooks/on_agent_stop.lua"
	printf -- '-- perry: api=1\nreturn function(ws, base) return "n" .. (perry.kv.get("a") or 0) end\n' >"$T/acme/hooks/hostname.lua"
	p hooks add "$T/acme" --expect "$(hash_of acme)"
	agent_end
	with_agent
	asked() { rpc hooks/run '{"point":"hostname","facts":{"ws":{"name":"web","labels":{},"reason":"start"}}}'; jq -r .json.answer <<<"$BODY"; }
	[ "$(asked)" = n1 ]
	p hooks remove acme
	p hooks add "$T/acme" --expect "$(hash_of acme)"
	[ "$(asked)" = n0 ]
}

@test "perry.run: an action runs a host command; secrets by environment and input, never by argument; the agent's own are not there" {
	DIR=$T/conf
	p hooks pack init "$T/acme"
	rm "$T/acme/hooks/hostname.lua" "$T/acme/tests/hostname_test.lua"
	cat >"$T/acme/pack.json" <<-'J'
		{"name": "acme", "api": 1, "settings": [{"name": "key", "type": "string", "secret": true}], "needs": {"run": ["sh"], "kv": true}}
	J
	cat >"$T/acme/hooks/on_agent_stop.lua" <<-L
		-- perry: api=1
		return function()
		  local script = "cat >$T/input; echo \\"\$MINE\\" >$T/mine; env >$T/env; cat /proc/\$\$/cmdline | tr '\\\\\\\\0' ' ' >$T/args; printf '\\\\\\\\377'; echo oops >&2; exit 3"
		  local r = perry.run { argv = { "sh", "-c", script }, input = "in:" .. perry.secret "key", env = { MINE = perry.secret "key" } }
		  perry.kv.set("code", r.code)
		  perry.kv.set("err", r.stderr)
		  perry.kv.set("path", select(2, pcall(perry.run, { argv = { "sh" }, env = { PATH = "/tmp" } })))
		  perry.kv.set("secret", select(2, pcall(perry.run, { argv = { "sh", "-c", perry.secret "key" } })))
		  perry.kv.set("late", select(2, pcall(perry.run, { argv = { "sh", "-c", "sleep 1000 & echo \$! >$T/late; wait" }, timeout = 0.5 })))
		end
	L
	cat >"$T/acme/hooks/hostname.lua" <<-'L'
		-- perry: api=1
		return function(ws, base) return perry.refuse(perry.json.encode { perry.kv.get "code", perry.kv.get "err", perry.kv.get "path", perry.kv.get "secret", perry.kv.get "late" }) end
	L
	printf '{"packs":{"acme":{"key":"k"}},"secrets":{"k":"open-sesame-42"}}' >"$T/conf/config.json"
	p hooks add "$T/acme" --expect "$(hash_of acme)"
	AGENT_TOKEN=of-the-agent agent_start
	agent_end
	[ "$(cat "$T/input")" = in:open-sesame-42 ]
	[ "$(cat "$T/mine")" = open-sesame-42 ]
	refute grep -q of-the-agent "$T/env"
	refute grep -q open-sesame "$T/args"
	refute grep -rq open-sesame "$T/conf/agent.log"
	ended() { ! grep -q '^State:[[:space:]]*[^ZX]' "/proc/$(cat "$T/late")/status" 2>/dev/null; }
	eventually 30 ended
	agent_start
	rpc hooks/run '{"point":"hostname","facts":{"ws":{"name":"web","labels":{},"reason":"start"}}}'
	[[ "$BODY" == *'[3,'*'oops'* ]]
	[[ "$BODY" == *'env: PATH is not a hook'* ]]
	[[ "$BODY" == *'a secret goes into input or env'* ]]
	[[ "$BODY" == *'not done after 0.5 s'* ]]
}

# A server on this machine's loopback; its port is in $T/web.port, what it was asked in $T/web.log.
web_start() {
	python3 -u - "$T" <<-'P' >"$T/web.log" 2>&1 3>&- &
		import http.server, os, sys
		class H(http.server.BaseHTTPRequestHandler):
		    def do_GET(self):
		        self.send_response(200)
		        self.send_header("Content-Length", "4")
		        self.end_headers()
		        self.wfile.write(b"mine")
		s = http.server.HTTPServer(("127.0.0.1", 0), H)
		with open(sys.argv[1] + "/web.port.new", "w") as f:
		    f.write(str(s.server_port))
		os.rename(sys.argv[1] + "/web.port.new", sys.argv[1] + "/web.port")
		s.serve_forever()
	P
	WEB=$!
	eventually 30 test -e "$T/web.port"
}

@test "a pack reaches the internet by a name, and this machine only where the address or its user says so" {
	local needs host
	with_agent
	web_start
	p hooks pack init "$T/acme"
	rm "$T/acme/tests/hostname_test.lua"
	pack() { # NEEDS DEFAULT-OF-THE-SETTING
		jq -n --argjson n "$1" --arg d "$2" '{name: "acme", api: 1, settings: [{name: "url", type: "string", default: $d}], needs: {network: $n}}' >"$T/acme/pack.json"
		p hooks remove acme >/dev/null 2>&1 || true
		p hooks add "$T/acme" --expect "$(hash_of acme)" 2>/dev/null
	}
	asks() { # HOST: what the hook sees, as the answer
		cat >"$T/acme/hooks/hostname.lua" <<-L
			-- perry: api=1
			return function() local fine, r = pcall(perry.http.get, "http://$1:$(cat "$T/web.port")/") return perry.refuse(fine and r.body or r) end
		L
	}
	ask() { rpc hooks/run '{"point":"hostname","facts":{"ws":{"name":"web","labels":{},"reason":"start"}}}'; }
	# by every name and writing of it, listed or by a wildcard
	for host in localhost 127.1 2130706433 0x7f000001; do
		asks $host
		pack "[\"$host\"]" ""
		ask
		[[ "$BODY" == *"leads to "*", an address that may not be reached from here"* ]]
	done
	asks 127.0.0.1
	pack '["*.0.0.1"]' ""
	ask
	[[ "$BODY" == *"leads to 127.0.0.1, an address that may not be reached from here"* ]]
	# the pack's own default is not its user's word
	asks localhost
	pack '["setting:url"]' localhost
	ask
	[[ "$BODY" == *"leads to "*", an address that may not be reached from here"* ]]
	refute grep -q GET "$T/web.log"
	# what its user names, and what whoever approved it saw as an address
	jq '.packs.acme.url = "localhost"' "$T/conf/config.json" >"$T/changed" && cat "$T/changed" >"$T/conf/config.json"
	ask
	[[ "$BODY" == *mine* ]]
	jq 'del(.packs)' "$T/conf/config.json" >"$T/changed" && cat "$T/changed" >"$T/conf/config.json"
	asks 127.0.0.1
	pack '["127.0.0.1"]' ""
	ask
	[[ "$BODY" == *mine* ]]
	# the user's own hooks reach what they reach
	p hooks remove acme
	mkdir -p -m 700 "$T/conf/hooks"
	asks localhost
	install -m 600 "$T/acme/hooks/hostname.lua" "$T/conf/hooks/hostname.lua"
	ask
	[[ "$BODY" == *mine* ]]
	kill "$WEB"
}

@test "the team's example: its own CI passes, an agent takes it, and its settings count" {
	local team=$BATS_TEST_DIRNAME/../../examples/packs/team
	cp -r "$team" "$T/team"
	chmod -R go-w "$T/team"
	mkdir "$T/bin"
	ln -s "$BUILD/perry" "$T/bin/perry"
	ln -s "$BUILD/perry-agent" "$T/bin/perry-agent"
	ln -s "$(command -v dirname)" "$T/bin/dirname"
	run env -i PATH="$T/bin" HOME="$T" "$T/team/ci.sh"
	[ "$status" = 0 ]
	[[ "$output" == *" 0 failed"*"$(hash_of team)"* ]]
	printf '{"packs":{"team":{"prefix":"blue"}}}' >"$T/conf/config.json"
	DIR=$T/conf
	agent_start
	run p hooks add "$T/team"
	[[ "$output" == *"run        on the agent's machine, with any arguments: nsupdate"*"chat_token secret"* ]]
	p hooks add "$T/team" --expect "$(hash_of team)"
	asked() { rpc hooks/run "{\"point\":\"$1\",\"facts\":{\"ws\":{\"name\":\"web\",\"labels\":{},\"reason\":\"start\",\"request\":{}}}}"; }
	asked hostname
	[ "$(jq -r .json.answer <<<"$BODY")" = blue-web ]
	asked container
	[ "$(jq -r .json.answer.memory <<<"$BODY")" = $((4 << 30)) ]
}
