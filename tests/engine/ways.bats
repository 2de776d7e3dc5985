#!/usr/bin/env bats
# Another way in: whoever comes by perry exec, perry shell, ssh, a script of the start or a terminal of the API finds the same environment, user,
# folder and limits. With the real OpenSSH client, and the environment only as a start writes it.
bats_require_minimum_version 1.5.0
load helper

setup_file() {
	ssh-keygen -q -t ed25519 -N '' -f "$BATS_FILE_TMPDIR/key"
	printf '#!/bin/sh\n[ ! -e ~/facts.sh ] || sh ~/facts.sh >~/facts.script\n' >"$BATS_FILE_TMPDIR/first.sh"
	CONFIG_MORE=", \"scripts\": {\"post_start\": [\"$BATS_FILE_TMPDIR/first.sh\"]}, \"agents\": {\"github\": {\"token\": \"token-of-github\"}},
		\"ssh\": {\"global\": {\"authorize\": [\"$(cat "$BATS_FILE_TMPDIR/key.pub")\"]}}"
	engine_setup
	cat >"$BATS_FILE_TMPDIR/facts.sh" <<-'S'
		umask
		ulimit -a
		id
		pwd
		# what a terminal, a connection or a shell has for itself
		unset SHLVL OLDPWD TERM COLORTERM SSH_CLIENT SSH_CONNECTION SSH_TTY LINES COLUMNS MAIL LS_COLORS
		env | grep -v '^_=' | sort
	S
}
teardown_file() { engine_teardown; }
setup() { engine_use; }

# It has an SSH server that answers: sets PORT_OF.
ssh_to() { # NAME [SSH ARGUMENTS...]
	local name=$1
	shift
	ssh -p "$(ssh_port "$name")" "${SSH_OPTIONS[@]}" workspace@127.0.0.1 "$@"
}
ssh_port() { p list --json | jq -r --arg n "$1" '.[] | select(.name == $n) | .ports.ssh'; }
SSH_OPTIONS=(-i "$BATS_FILE_TMPDIR/key" -o IdentitiesOnly=yes -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR)

# What each way that this workspace has sees, into files.
facts() { # NAME WITH_SSH
	local name=$1 into=$BATS_TEST_TMPDIR
	p cp "$BATS_FILE_TMPDIR/facts.sh" "$name":facts.sh
	p exec "$name" -- sh facts.sh >"$into/exec"
	echo 'sh facts.sh' | p shell "$name" >"$into/shell"
	p shell "$name" -- sh facts.sh >"$into/shell-command"
	script -qec "$BUILD/perry shell $name" /dev/null <<<'sh facts.sh >facts.tty; exit' >/dev/null
	"$BATS_TEST_DIRNAME/terminal_client.py" "$DIR/agent.sock" "$name" 'sh facts.sh >facts.api; exit'
	p restart "$name" # runs the script
	p exec "$name" -- cat facts.tty >"$into/tty"
	p exec "$name" -- cat facts.api >"$into/api"
	p exec "$name" -- cat facts.script >"$into/script"
	[ "$2" = ssh ] || return 0
	eventually 30 ssh_to "$name" true
	ssh_to "$name" sh facts.sh >"$into/ssh"
	ssh_to "$name" bash -l <<<'sh facts.sh' >"$into/ssh-login"
	ssh_to "$name" -T <<<'sh facts.sh' >"$into/ssh-input"
	ssh_to "$name" -tt 'sh facts.sh >facts.ssh' >/dev/null
	scp -q -P "$(ssh_port "$name")" "${SSH_OPTIONS[@]}" workspace@127.0.0.1:facts.ssh "$into/ssh-tty"
}
all_the_same() {
	local way same=0
	[ -s "$BATS_TEST_TMPDIR/exec" ]
	for way in "$BATS_TEST_TMPDIR"/*; do diff -u "$BATS_TEST_TMPDIR/exec" "$way" || same=1; done
	return $same
}

@test "what start -e sets is there over SSH, and no connection prints anything else" {
	p start web -e GREETING="it's
fine" -e A=b
	eventually 30 ssh_to web true
	run --separate-stderr ssh_to web 'printf "%s|" "$A" "$GREETING" "$GITHUB_TOKEN"'
	[ "$output" = "b|it's
fine|token-of-github|" ]
	[ -z "$stderr" ]
	run --separate-stderr ssh_to web bash -l <<<'echo "$A $GITHUB_TOKEN"'
	[ "$output" = "b token-of-github" ]
	[ -z "$stderr" ]
	echo bytes >"$BATS_TEST_TMPDIR/f"
	run scp -P "$(ssh_port web)" "${SSH_OPTIONS[@]}" "$BATS_TEST_TMPDIR/f" workspace@127.0.0.1:
	[ "$status" = 0 ]
	[ -z "$output" ]
	[ "$(p exec web -- cat f)" = bytes ]
	run --separate-stderr p exec web -- sudo su - workspace -c 'echo "$A"'
	[ "$output" = b ]
	[ -z "$stderr" ]
}

@test "the environment is its user's and root's alone, and only root's to change" {
	[ "$(p exec web -- stat -c '%a %U %G' /run/perry/env)" = "640 root workspace" ]
	p exec -u root web -- useradd other
	run p exec -u other web -- cat /run/perry/env
	[ "$status" = 1 ]
	[[ $output != *token-of-github* ]]
	run p exec web -- sh -c 'echo LD_PRELOAD=/tmp/x >>/run/perry/env'
	[ "$status" != 0 ]
}

@test "on our image every way in finds the same" {
	p start all -e A=b -e LANG=C.UTF-8
	facts all ssh
	grep -q '^A=b$' "$BATS_TEST_TMPDIR/exec"
	grep -q '^/home/workspace$' "$BATS_TEST_TMPDIR/exec"
	all_the_same
}
