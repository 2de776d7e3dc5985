#!/usr/bin/env bats
# What perry completion prints, in the real shells.
bats_require_minimum_version 1.5.0

setup() {
	cd "$BATS_TEST_DIRNAME/../.." || return 1
	PERRY=$(realpath "${BUILD:-build}/perry")
	export HOME=$BATS_TEST_TMPDIR XDG_CONFIG_HOME=$BATS_TEST_TMPDIR
}

@test "fish: the script parses, completing runs nothing but perry list, and descriptions are whole" {
	command -v fish >/dev/null || skip "fish is not installed"
	local fish here=$BATS_TEST_TMPDIR/bin
	fish=$(command -v fish)
	mkdir "$here"
	# All that there is to run: anything else would be a word that was taken for a command.
	printf '#!/bin/sh\necho "perry $*" >>"%s/ran"\necho web\n' "$BATS_TEST_TMPDIR" >"$here/perry"
	chmod +x "$here/perry"
	"$PERRY" completion fish >"$BATS_TEST_TMPDIR/script.fish"
	cat >"$BATS_TEST_TMPDIR/try.fish" <<-F
		set -gx PATH $here
		function fish_command_not_found; echo "\$argv" >>$BATS_TEST_TMPDIR/ran; end
		source $BATS_TEST_TMPDIR/script.fish
		for line in "perry " "perry agent " "perry hooks " "perry config " "perry auth " "perry access " "perry start --" "perry stop "
		  complete -C \$line
		end
	F
	run --separate-stderr "$fish" --no-config "$BATS_TEST_TMPDIR/try.fish"
	[ "$status" = 0 ]
	echo "$stderr"
	[ -z "$stderr" ]
	[ "$(sort -u "$BATS_TEST_TMPDIR/ran")" = "perry list -q" ]
	# One line of help for each command, as --help has it.
	grep -qxF $'logs\twhat the workspace\'s services print' <<<"$output"
	grep -qxF $'web' <<<"$output"
	grep -q $'^preview\t.*today\'s policy would' <<<"$output"
	grep -q $'^--ttl' <<<"$output"
}
