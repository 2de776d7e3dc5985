#!/usr/bin/env bats
# make layers on a copy of the tree: it passes as it stands, and each kind of breach fails with its file and line.

setup_file() {
	command -v python3 >/dev/null || skip "no python3"
	export TREE=$BATS_FILE_TMPDIR/tree
	mkdir -p "$TREE"
	cp -r "$BATS_TEST_DIRNAME/../../core" "$BATS_TEST_DIRNAME/../../scripts" "$TREE"
}

# breach FILE HEADER: line 1 of FILE includes HEADER, which ends with it.
breach() {
	cp "$TREE/$1" "$BATS_TEST_TMPDIR/before"
	{ echo "#include $2"; cat "$BATS_TEST_TMPDIR/before"; } >"$TREE/$1"
	run sh "$TREE/scripts/layers.sh"
	cp "$BATS_TEST_TMPDIR/before" "$TREE/$1"
	[ "$status" = 1 ] || { echo "passed: $1 includes $2"; return 1; }
}

# refused FILE HEADER ROOM
refused() {
	breach "$1" "\"$2\""
	[[ "$output" == *"$1:1: $3 must not include $2"* ]] || { echo "$output"; return 1; }
}

@test "the tree as it stands passes" {
	run sh "$TREE/scripts/layers.sh"
	[ "$status" = 0 ] || { echo "$output"; return 1; }
	[ -z "$output" ]
}

@test "a module does not include one above it" {
	refused core/base/str.c net/http.h base
	refused core/store/store.h docker/docker.h store
	refused core/ops/op.c lua/lua.h ops
	refused core/step/main.c store/store.h step
}

@test "an include says its folder" {
	breach core/net/http.c '"http.h"'
	[[ "$output" == *'core/net/http.c:1: include "http.h" by its folder'* ]]
}

@test "the streams, the watchers and the facts of idleness know neither the agent nor each other" {
	refused core/agent/stream/feed.c agent/internal.h agent/stream
	refused core/agent/stream/conn.h agent/config.h agent/stream
	refused core/agent/stream/tar.c store/store.h agent/stream
	refused core/agent/watch/table.c agent/internal.h agent/watch
	refused core/agent/watch/table.c agent/stream/stream.h agent/watch
	refused core/agent/idle/idle.c agent/jobs.h agent/idle
	refused core/agent/tailnet/say.c agent/http/reply.h agent/tailnet
}

@test "who asks knows no procedure, and answers over HTTP know no call" {
	refused core/agent/who/auth.c agent/rpc/call.h agent/who
	refused core/agent/http/reply.c agent/rpc/rpc.h agent/http
	refused core/agent/rpc/body.c agent/stream/stream.h agent/rpc
}

@test "the child of policy uses base and what both sides agree on, nothing else" {
	refused core/policy/child/chain.c policy/setup.h policy/child
	refused core/policy/child/run.c policy/pack/pack.h policy/child
	refused core/policy/child/host.h config/config.h policy/child
	refused core/policy/contract/access.c policy/child/host.h policy/contract
	refused core/policy/contract/points.h policy/policy.h policy/contract
}

@test "of the CLI only the full executable's part knows the policy" {
	refused core/cli/cli.c policy/policy.h cli
	refused core/cli/cli.c cli/full/packs.h cli
	refused core/cli/full/packs.c agent/agent.h cli/full
}

@test "a library has one includer" {
	breach core/agent/boot.c "<curl/curl.h>"
	[[ "$output" == *"core/agent/boot.c: only ^core/net/http may include <curl/curl.h>"* ]]
	breach core/policy/session.c "<lua.h>"
	[[ "$output" == *"core/policy/session.c: only"*"<lua.h>"* ]]
}

@test "files that include each other are a circle" {
	breach core/policy/contract/points.h '"policy/contract/access.h"'
	[[ "$output" == *policy/contract/access*policy/contract/points* ]] || { echo "$output"; return 1; }
	breach core/agent/http/reply.h '"agent/http/gate.h"'
	[[ "$output" == *agent/http/gate*agent/http/reply* ]] || { echo "$output"; return 1; }
}

@test "a folder that nobody listed is an error" {
	mkdir "$TREE/core/agent/attic"
	run sh "$TREE/scripts/layers.sh"
	rmdir "$TREE/core/agent/attic"
	[ "$status" = 1 ]
	[[ "$output" == *"core/agent/attic: unknown room"* ]]
}
