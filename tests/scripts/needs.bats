#!/usr/bin/env bats
# Every test target says what it lacks and the command that brings it, before it does anything else.
bats_require_minimum_version 1.5.0

setup_file() {
	export BIN=$BATS_FILE_TMPDIR/bin
	mkdir "$BIN"
	# The whole PATH, from which a test takes away.
	local IFS=: folder
	for folder in $PATH; do
		[ ! -d "$folder" ] || cp -rsn "$folder/." "$BIN/" 2>/dev/null || true
	done
	[ -e "$BIN/bats" ]
	[ -e "$BIN/make" ]
}
setup() { cd "$BATS_TEST_DIRNAME/../.." || return 1; }
# instead COMMAND: in this file's PATH it fails from now on.
instead() {
	printf '#!/bin/sh\nexit 1\n' >"$BATS_TEST_TMPDIR/$1"
	chmod +x "$BATS_TEST_TMPDIR/$1"
	ln -sfn "$BATS_TEST_TMPDIR/$1" "$BIN/$1"
}
# lacks TARGET COMMAND LINE: make TARGET without COMMAND says LINE and fails.
lacks() {
	local was
	was=$(readlink "$BIN/$2") || was=
	rm -f "$BIN/$2"
	run timeout 60 env -u MAKEFLAGS -u MAKELEVEL -u CC PATH="$BIN" make -s BUILD="$BATS_TEST_TMPDIR/build" "$1"
	[ -z "$was" ] || ln -s "$was" "$BIN/$2"
	echo "make $1: $output"
	[ "$status" != 0 ] || return 1
	[[ $'\n'$output$'\n' == *$'\n'"$3"$'\n'* ]] || return 1
	[ ! -e "$BATS_TEST_TMPDIR/build/obj" ] || return 1 # said at once, not after a build
}

@test "test and test-engine without bats" {
	lacks test bats "bats is missing: scripts/packages.sh check"
	lacks test-engine bats "bats is missing: scripts/packages.sh check"
}

@test "test-tailnet without bats" {
	lacks test-tailnet bats "bats is missing: scripts/packages.sh check"
	lacks test-tailnet-long bats "bats is missing: scripts/packages.sh check"
}

@test "what needs an engine, without docker" {
	local target
	for target in test-engine test-web test-tailnet asan tsan bench; do
		lacks $target docker "docker is missing: scripts/docker.sh (as root)"
	done
}

@test "an engine that does not answer" {
	instead docker
	lacks bench nothing "a Docker Engine that answers is missing: scripts/docker.sh $(id -un) (as root)"
}

@test "a build without npm, test-web without a browser" {
	lacks test npm "npm is missing: scripts/packages.sh build"
	lacks test-web chromium "chromium is missing: scripts/packages.sh web"
}

@test "fuzz without clang, lint without its linters, bench without python, gdb without gdb" {
	lacks fuzz clang "clang is missing: scripts/packages.sh check"
	lacks lint shellcheck "shellcheck is missing: scripts/packages.sh check"
	lacks lint luacheck "luacheck is missing: scripts/packages.sh check"
	lacks bench python3 "python3 is missing: scripts/packages.sh check"
	lacks gdb gdb "gdb is missing: scripts/packages.sh debug"
}

@test "every target without the compiler" {
	local target
	for target in test test-unit test-engine test-tailnet asan tsan bench lint; do
		lacks $target gcc "gcc is missing: scripts/packages.sh build"
	done
}

@test "a library's headers" {
	# A compiler that finds nothing.
	instead gcc
	lacks test nothing "cmocka.h is missing: scripts/packages.sh check"
	[[ $output == *"curl/curl.h is missing: scripts/packages.sh build"* ]]
}

@test "make help has a line for each target that is meant for people" {
	run make -s help
	[ "$status" = 0 ]
	local target
	for target in all help run gdb test test-unit test-engine test-web test-tailnet asan fuzz bench lint fmt fmt-check layers check up down install uninstall; do
		[[ $'\n'$output =~ $'\n  '([a-z -]*\ )?$target\ +[a-zA-Z] ]] || { echo "no $target"; return 1; }
	done
}
