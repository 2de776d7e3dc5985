#!/usr/bin/env bats
# perry config: what this machine knows of its agent. Needs no engine.
# shellcheck source=tests/api/helper.bash
load "${BATS_TEST_DIRNAME:-.}/../api/helper.bash"

setup() {
	DIR=$(mktemp -d /tmp/perry-cli-config-XXXXXX)
	export HOME=$DIR PERRY_CONFIG_DIR=$DIR
	unset PERRY_AGENT PERRY_TOKEN XDG_CONFIG_HOME XDG_RUNTIME_DIR
}
teardown() { rm -rf "$DIR"; }

@test "a token comes on standard input; an empty one changes nothing" {
	printf 'first-token\n' | "$BUILD/perry" config token --stdin
	[ "$("$BUILD/perry" config token --show)" = first-token ]
	run "$BUILD/perry" config token --stdin </dev/null
	[ "$status" = 2 ]
	[[ $output == *"standard input had no token, nothing was changed"* ]]
	[ "$("$BUILD/perry" config token --show)" = first-token ]
}
