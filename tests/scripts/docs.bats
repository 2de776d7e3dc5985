#!/usr/bin/env bats
# Documentation that is made from the code, or that is run.
bats_require_minimum_version 1.5.0

setup() {
	cd "$BATS_TEST_DIRNAME/../.." || return 1
	BUILD=$(cd "${BUILD:-build}" && pwd)
}

@test "the reference of hooks is what the tables, the types and the built-in hooks say" {
	scripts/docs-hooks.sh reference | cmp - docs/hooks/reference.md
}

@test "the recipes are the examples" {
	scripts/docs-hooks.sh recipes | cmp - docs/hooks/recipes.md
}

@test "the errors look as docs/hooks/errors.md says" {
	PERRY_CONFIG_DIR=$BATS_TEST_TMPDIR/config PATH="$BUILD:$PATH" run python3 tests/engine/tutorial.py docs/hooks/errors.md "$BATS_TEST_TMPDIR/config"
	echo "$output"
	[ "$status" = 0 ]
	[[ "$output" == 1[0-9]" commands" ]]
}

@test "who may include whom is drawn as make layers has it" {
	sed -n "/<<'T'$/,/^T$/p" scripts/layers.sh | sed '1d; $d' >"$BATS_TEST_TMPDIR/script"
	sed -n '/^## Who may include whom/,/^## /p' docs/architecture.md | sed -n '/^```$/,/^```$/p' | sed '1d; $d' >"$BATS_TEST_TMPDIR/drawn"
	[ "$(wc -l <"$BATS_TEST_TMPDIR/script")" -ge 24 ]
	diff "$BATS_TEST_TMPDIR/script" "$BATS_TEST_TMPDIR/drawn"
}
