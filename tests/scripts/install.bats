#!/usr/bin/env bats
# The scripts behind make, as far as they can be tried without changing the machine.
bats_require_minimum_version 1.5.0

setup() {
	cd "$BATS_TEST_DIRNAME/../.." || return 1
	BUILD=${BUILD:-build}
	to=$BATS_TEST_TMPDIR/root
}
listing() { find "$to" ! -type d -printf '%P %m %T@\n' | sort; }

@test "install: programs, helper, hooks, man page, completions and unit, below DESTDIR and PREFIX" {
	make -s BUILD="$BUILD" DESTDIR="$to" PREFIX=/opt/p install
	for f in bin/perry libexec/perry/perry-agent libexec/perry/perry-step; do
		[ "$(stat -c %a "$to/opt/p/$f")" = 755 ]
	done
	[ -s "$to/opt/p/share/man/man1/perry.1" ]
	[ -s "$to/opt/p/share/bash-completion/completions/perry" ]
	[ -s "$to/opt/p/share/perry/hooks/container.lua" ]
	grep -qx 'ExecStart=/opt/p/bin/perry agent run' "$to/opt/p/lib/systemd/user/perry.service"
	[ "$(find "$to" -mindepth 1 -maxdepth 1)" = "$to/opt" ] # nothing elsewhere
	[ "$("$to/opt/p/bin/perry" version | head -1 | grep -c '[0-9]')" = 1 ]
	[ "$("$to/opt/p/libexec/perry/perry-step" version)" != "" ]
}

@test "install: a second one changes nothing, uninstall leaves nothing" {
	make -s BUILD="$BUILD" DESTDIR="$to" PREFIX=/opt/p install
	before=$(listing)
	sleep 0.05
	make -s BUILD="$BUILD" DESTDIR="$to" PREFIX=/opt/p install
	[ "$(listing)" = "$before" ]
	make -s BUILD="$BUILD" DESTDIR="$to" PREFIX=/opt/p uninstall
	[ "$(listing)" = "" ]
}

@test "installed programs are small" {
	make -s BUILD="$BUILD" DESTDIR="$to" PREFIX=/opt/p install
	[ "$(stat -c %s "$to/opt/p/libexec/perry/perry-agent")" -le $((4 << 20)) ]
	[ "$(stat -c %s "$to/opt/p/libexec/perry/perry-step")" -le $((256 << 10)) ]
}

@test "packages: what is there is not asked for again, an unknown section is an error" {
	PATH=$BATS_TEST_TMPDIR:$PATH
	printf '#!/bin/sh\ntouch "%s/asked"\nexit 1\n' "$BATS_TEST_TMPDIR" >"$BATS_TEST_TMPDIR/apt-get"
	chmod +x "$BATS_TEST_TMPDIR/apt-get"
	scripts/packages.sh build # everything in it was needed to get here
	[ ! -e "$BATS_TEST_TMPDIR/asked" ]
	run scripts/packages.sh nosuch
	[ "$status" = 1 ]
	[[ $output == *"no section [nosuch]"* ]]
}

@test "packages: every name exists once in its section" {
	run awk '/^\[/ { s = $0; next } /^#/ || /^$/ { next } seen[s, $0]++ { print }' packages.txt
	[ "$output" = "" ]
}

@test "nothing that is shipped names a package mirror" {
	run grep -rnE '(deb|registry|proxy|mirror)[a-z0-9.-]*\.(org|com|io|net)' image scripts packages.txt Makefile
	[ "$status" = 1 ]
}

@test "the image's Dockerfile refuses a variant that does not exist" {
	grep -q 'VARIANT is small or full' image/Dockerfile
	docker version >/dev/null 2>&1 || skip "no Docker Engine"
	docker image inspect debian:bookworm >/dev/null 2>&1 || skip "no base image"
	run timeout 300 docker build -q --force-rm --build-arg VARIANT=middle --build-arg EXTRA_CA="$(scripts/host-ca.sh)" image
	[ "$status" != 0 ]
	[[ $output == *"VARIANT is small or full, not middle"* ]]
}
