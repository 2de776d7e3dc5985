#!/usr/bin/env bats
# Keys for SSH that are not there, or that ssh does not find: said at the start, with what to do.
bats_require_minimum_version 1.5.0
load helper

setup_file() {
	mkdir -p "$BATS_FILE_TMPDIR/home"
	HOME=$BATS_FILE_TMPDIR/home engine_setup
	ssh-keygen -q -t ed25519 -N '' -f "$BATS_FILE_TMPDIR/work"
}
teardown_file() { engine_teardown; }
setup() { engine_use; }

@test "where no key may log in a start names no address for SSH, and says what to do" {
	p agent config unset ssh.global.authorize
	run --separate-stderr p start web
	[ "$status" = 0 ]
	[ "$output" = "perry shell web" ]
	run script -qec "$BUILD/perry start web" /dev/null
	[[ $output == *"SSH: no public key may log in: "*"ssh.global.authorize"*"perry sync web"* ]]
	[[ $(p info web --json | jq -r .sshNobody) == *"perry sync web"* ]]
	p agent config set ssh.global.authorize "[\"$BATS_FILE_TMPDIR/work.pub\"]"
	eventually 30 p sync web
	run --separate-stderr p start web
	[[ $output =~ ^ssh\ -p\ [0-9]+\ workspace@127.0.0.1$ ]]
	p info web --json | jq -e 'has("sshNobody") | not'
}

# warned NAME: a start of it says that ssh does not find the key "work".
warned() { run --separate-stderr p start "$1" && [[ $stderr == *"ssh in the workspace does not look for the key ~/.ssh/work by itself"*"IdentityFile ~/.ssh/work"* ]]; }

@test "a key of ssh.global.copy that ssh does not look for is named, unless its configuration comes, too" {
	p agent config set ssh.global.copy "[\"$BATS_FILE_TMPDIR/work\"]"
	warned copied
	p exec copied -- test -f .ssh/work
	cp "$BATS_FILE_TMPDIR/work" "$BATS_FILE_TMPDIR/id_ed25519"
	p agent config set ssh.global.copy "[\"$BATS_FILE_TMPDIR/id_ed25519\"]"
	refute warned usual
	p agent config set ssh.global.copy "[\"$BATS_FILE_TMPDIR/work\"]"
	echo 'IdentityFile ~/.ssh/work' >"$BATS_FILE_TMPDIR/config"
	p agent config set 'credentials.files.~/.ssh/config' "$BATS_FILE_TMPDIR/config"
	refute warned configured
}
