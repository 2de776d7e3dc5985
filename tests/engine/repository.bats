#!/usr/bin/env bats
# The clone of a repository: over ssh and git's own protocol, with submodules, a depth and Git LFS; what git and ssh say when it fails and what is next;
# servers that say nothing. The servers are the workspace's own: its sshd, a git daemon, a socket that only accepts.
bats_require_minimum_version 1.5.0
load helper

setup_file() {
	ssh-keygen -q -t ed25519 -N '' -f "$BATS_FILE_TMPDIR/id_ed25519"
	CONFIG_MORE=', "cloneTimeout": 5, "ssh": {"autoAuthorizeHostKeys": false}'
	engine_setup
	p start web
	daemon web
	p exec web -- sh -s <<-'S'
		set -e
		git config --global user.name a
		git config --global user.email b
		git config --global init.defaultBranch main
		cd ~/srv
		commit() { git -C "$1" add -A; git -C "$1" commit -q --allow-empty -m "$2"; }
		make() { git init -q "$1"; commit "$1" one; commit "$1" two; }
		make part
		make whole
		git -c protocol.file.allow=always -C whole submodule --quiet add ../part part
		echo '*.bin filter=lfs diff=lfs merge=lfs -text' >whole/.gitattributes
		echo pointer >whole/a.bin
		head -c 3000000 /dev/urandom >whole/big
		commit whole three
		git -C whole tag v1
		commit whole four
		commit part 'no tip of what is asked for'
		make broken
		git -c protocol.file.allow=always -C broken submodule --quiet add ../part part
		git config -f broken/.gitmodules submodule.part.url ../gone
		commit broken three
	S
	p clone web seed # before it is asked for a repository
}
teardown_file() { engine_teardown; }
setup() { engine_use; }

daemon() { # NAME: serves ~/srv of it, there
	p exec "$1" -- sh -c 'mkdir -p ~/srv && cd ~/srv && setsid git daemon --export-all --reuseaddr --base-path="$PWD" --listen=127.0.0.1 </dev/null >/dev/null 2>&1 &'
	eventually 30 p exec "$1" -- sh -c 'grep -q 0100007F:24CA /proc/net/tcp'
}
like_seed() { # NAME: another workspace with all that
	p clone seed "$1"
	daemon "$1"
}
config() { # JQ
	jq "$1" "$DIR/config.json" >"$DIR/new.json" && chmod 600 "$DIR/new.json" && mv "$DIR/new.json" "$DIR/config.json"
	kill -HUP "$PID"
}
# fails URL [OPTIONS...]: the clone into web. What it says is in $stderr.
fails() {
	run --separate-stderr timeout 120 "$BUILD/perry" start web --clone "$@"
	[ "$status" = 1 ] || { echo "$status: $stderr" >&2; return 1; }
	[[ $stderr == *"cloning $1 failed: "* ]]
	p exec web -- sh -c '[ ! -e ~/whole ] && [ ! -e ~/none ]'
}

@test "ssh's own words, and what is next" {
	fails ssh://workspace@127.0.0.1/home/workspace/srv/whole
	[[ $stderr == *"Permission denied (publickey"*"next: "*"ssh.global.copy"*"perry restart web"* ]]
	[[ $(p info web --json | jq -r .error) == *"Permission denied (publickey"* ]]
	# It shows another host key than before.
	p exec web -- sh -c 'ssh-keygen -q -t ed25519 -N "" -f ~/other; echo "127.0.0.1 $(cut -d " " -f 1,2 ~/other.pub)" >~/.ssh/known_hosts'
	fails workspace@127.0.0.1:srv/whole
	[[ $stderr == *"Host key verification failed"*"next: "*"ssh-keygen -R '127.0.0.1'"* ]]
	[[ $stderr != *"Permission denied"* ]]
	fails ssh://workspace@127.0.0.1:1/whole
	[[ $stderr == *"Connection refused"*"next: 127.0.0.1 must be reachable"* ]]
	fails ssh://workspace@no.such.host.invalid/whole
	[[ $stderr == *"Could not resolve hostname"*"next: "* ]]
	p exec web -- rm .ssh/known_hosts
}

@test "git's own words, and what is next" {
	fails git://127.0.0.1/none
	[[ $stderr == *"repository"*"next: "*"perry start web --clone URL"* ]]
	fails git://127.0.0.1/whole --branch nowhere
	[[ $stderr == *"Remote branch nowhere not found"*"next: "*"--branch BRANCH"* ]]
	[[ $stderr != *"Cloning into"* ]]
	fails https://127.0.0.1:1/whole
	[[ $stderr == *"127.0.0.1 must be reachable"* ]]
}

@test "a server that accepts and says nothing, by every protocol" {
	docker exec -d workspace-web perl -MSocket -e 'socket(my $s, PF_INET, SOCK_STREAM, 0); bind($s, sockaddr_in(4001, inet_aton("127.0.0.1"))) or die;
		listen($s, 50); while (accept(my $c, $s)) { push @kept, $c }'
	eventually 30 p exec web -- grep -q 0100007F:0FA1 /proc/net/tcp
	for url in ssh://a@127.0.0.1:4001/none git://127.0.0.1:4001/none http://127.0.0.1:4001/none; do
		fails "$url"
		[[ $stderr == *"nothing came from it for 5 seconds"*"next: "*"cloneTimeout"* ]]
		[[ $(docker top workspace-web -eo args) != *"127.0.0.1:4001"* ]]
	done
}

@test "hostile words move no terminal" {
	p exec web -- sh -c 'mkdir ~/evil && cat >~/evil/ssh && chmod 755 ~/evil/ssh' <<-'S'
		#!/bin/sh
		printf 'fatal: \033]0;x\007 \302\233 \377\nperry: all is well\n' >&2
		exit 255
	S
	p start web -e GIT_SSH_COMMAND=/home/workspace/evil/ssh
	fails ssh://a@127.0.0.1/none
	[[ $stderr != *$'\033'* && $stderr != *$'\302\233'* && $stderr != *$'\nperry: all'* ]]
	p exec web -- rm -r evil
	p start web -e GIT_SSH_COMMAND=
}

@test "with its submodules, and its progress; what Git LFS keeps is said to be missing" {
	config ".ssh = {autoAuthorizeHostKeys: false, global: {copy: [\"$BATS_FILE_TMPDIR/id_ed25519\"], authorize: [\"$BATS_FILE_TMPDIR/id_ed25519.pub\"]}}"
	like_seed two
	script -qec "$BUILD/perry start two --clone ssh://workspace@127.0.0.1/home/workspace/srv/whole" /dev/null >"$BATS_TEST_TMPDIR/said" </dev/null || { cat "$BATS_TEST_TMPDIR/said"; return 1; }
	grep -q 'Receiving objects: ' "$BATS_TEST_TMPDIR/said"
	grep -q 'two: .*kept by Git LFS' "$BATS_TEST_TMPDIR/said"
	[ "$(p exec two -- sh -c 'cd ~/whole && git log --format=%s | wc -l; git -C part log -1 --format=%s; cat a.bin; git status --porcelain')" = $'4\ntwo\npointer' ]
}

@test "a depth, a tag, and Git LFS where it is" {
	like_seed three
	p exec three -- sh -c 'mkdir -p ~/.local/bin && cat >~/.local/bin/git-lfs && chmod 755 ~/.local/bin/git-lfs' <<-'S'
		#!/bin/sh
		[ "$1" = install ] || exit 0
		git config --global filter.lfs.smudge 'sed s/pointer/whole/'
		git config --global filter.lfs.clean 'sed s/whole/pointer/'
	S
	run --separate-stderr p start three --clone git://127.0.0.1/whole --branch v1 --depth 1
	[ "$status" = 0 ]
	[ -z "$stderr" ]
	[ "$(p exec three -- sh -c 'cd ~/whole && git log --format=%s; git -C part log --format=%s; cat a.bin')" = $'three\ntwo\nwhole' ]
	run p start three --depth 5
	[ "$status" = 6 ]
	[[ $output == *"perry exec three -w ~/whole -- git fetch --depth 5"* ]]
	p start three --clone git://127.0.0.1/whole --depth 1
}

@test "a submodule that is refused takes nothing else away, and is said" {
	like_seed four
	run --separate-stderr p start four --clone git://127.0.0.1/broken
	[ "$status" = 0 ]
	[[ $stderr == *"without its submodules"*"next: perry exec four -w '~/broken' -- git submodule update --init --recursive"* ]]
	[ "$(p exec four -- git -C broken log -1 --format=%s)" = three ]
}

@test "a branch or a depth of nothing is refused" {
	run p start five --branch dev
	[ "$status" != 0 ]
	[[ $output == *"no repository to take a branch of"*"--clone URL --branch 'dev'"* ]]
	run p start five --depth 3
	[[ $output == *"--clone URL --depth '3'"* ]]
	run p start five --clone git://127.0.0.1/x --depth 0
	[ "$status" = 2 ]
	run p info five
	[ "$status" = 5 ]
	run p start web --depth 2 --dry-run
	[ "$status" = 0 ]
}
