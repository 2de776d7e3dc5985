#!/usr/bin/env bats
# docs/hooks/tutorial.md, word by word.
load helper

setup_file() {
	engine_setup
	# Its reader has a key; without one a start says what there is instead of SSH.
	ssh-keygen -q -t ed25519 -N '' -f "$BATS_FILE_TMPDIR/key"
	p agent config set ssh.global.authorize "[\"$BATS_FILE_TMPDIR/key.pub\"]"
}
teardown_file() { engine_teardown; }
setup() { engine_use; }

@test "the tutorial does what it says" {
	PATH="$(cd "$BUILD" && pwd):$PATH" run python3 tests/engine/tutorial.py docs/hooks/tutorial.md "$DIR"
	echo "$output"
	[ "$status" = 0 ]
	[[ "$output" == [1-9][0-9]" commands" ]]
}
