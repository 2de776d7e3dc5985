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
	make -s BUILD="$BUILD" DESTDIR="$to" PREFIX=/opt/p TAILSCALE=no install
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
	make -s BUILD="$BUILD" DESTDIR="$to" PREFIX=/opt/p TAILSCALE=no install
	before=$(listing)
	sleep 0.05
	make -s BUILD="$BUILD" DESTDIR="$to" PREFIX=/opt/p TAILSCALE=no install
	[ "$(listing)" = "$before" ]
	make -s BUILD="$BUILD" DESTDIR="$to" PREFIX=/opt/p uninstall
	[ "$(listing)" = "" ]
}

@test "installed programs are small" {
	make -s BUILD="$BUILD" DESTDIR="$to" PREFIX=/opt/p TAILSCALE=no install
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
	[ "$status" = 0 ]
	[ "$output" = "" ]
}

@test "nothing that is shipped names a package mirror" {
	run grep -rnE '(deb|registry|proxy|mirror)[a-z0-9.-]*\.(org|com|io|net)' image scripts packages.txt Makefile
	[ "$status" = 1 ]
}

# --- tailscale for workspaces ---
# There is no network in these: curl stands for the release's site, and perry-step for the two programs, because it is static.

programs() { # FOLDER
	mkdir -p "$1"
	install -m 755 "$BUILD/perry-step" "$1/tailscale"
	install -m 755 "$BUILD/perry-step" "$1/tailscaled"
}
release_site() { # SHA256 of the archive, or nothing: the true one
	local name
	name=tailscale_1.102.3_$([ "$(uname -m)" = x86_64 ] && echo amd64 || echo arm64)
	site=$BATS_TEST_TMPDIR/site
	programs "$site/$name"
	tar -czf "$site/$name.tgz" -C "$site" "$name"
	echo "${1:-$(sha256sum <"$site/$name.tgz" | cut -d' ' -f1)}" >"$site/$name.tgz.sha256"
	mkdir "$BATS_TEST_TMPDIR/bin"
	printf '#!/bin/sh\nfor last; do :; done\nwhile [ $# -gt 0 ]; do [ "$1" = -o ] && to=$2; shift; done\ncp "%s/${last##*/}" "$to"\n' "$site" >"$BATS_TEST_TMPDIR/bin/curl"
	chmod +x "$BATS_TEST_TMPDIR/bin/curl"
}
# PATH with curl that fails or the one above, and nothing of this machine's tailscale and Go.
bare() { PATH=$BATS_TEST_TMPDIR/bin:/usr/bin:/bin "$@"; }
nobody() { # COMMANDS that are not to be had
	mkdir -p "$BATS_TEST_TMPDIR/bin"
	local c
	for c; do
		printf '#!/bin/sh\nexit 22\n' >"$BATS_TEST_TMPDIR/bin/$c"
		chmod +x "$BATS_TEST_TMPDIR/bin/$c"
	done
}

@test "tailscale: from the release archive, once" {
	release_site
	run bare scripts/tailscale.sh "$to"
	[ "$status" = 0 ]
	[ "$output" = "tailscale for workspaces: from release" ]
	cmp "$to/tailscaled" "$BUILD/perry-step"
	[ "$(stat -c %a "$to/tailscale")" = 755 ]
	rm "$BATS_TEST_TMPDIR/bin/curl" # not asked any more
	run bare scripts/tailscale.sh "$to"
	[ "$output" = "tailscale for workspaces: 1.102.3 is there" ]
}

@test "tailscale: an archive with another checksum is not used" {
	release_site "$(printf %064d 0)"
	nobody go tailscale tailscaled
	run bare scripts/tailscale.sh "$to"
	[ "$status" = 0 ]
	[[ $output == *"does not match; it is not used"* ]]
	[[ $output == *"for workspaces: none"* ]]
	[ ! -e "$to/tailscaled" ]
}

@test "tailscale: this machine's own, when it is linked statically" {
	nobody curl go
	programs "$BATS_TEST_TMPDIR/bin"
	run bare scripts/tailscale.sh "$to"
	[ "$output" = "tailscale for workspaces: from this machine's own" ]
	cmp "$to/tailscaled" "$BUILD/perry-step"
	rm -r "$to"
	cp "$BUILD/perry" "$BATS_TEST_TMPDIR/bin/tailscaled"
	run bare scripts/tailscale.sh "$to"
	[ "$status" = 0 ]
	[[ $output == *"Everything works but joining a tailnet"* ]]
	[ ! -e "$to/tailscale" ]
}

@test "tailscale: TAILSCALE=no leaves it, TAILSCALE=FOLDER takes it from there or fails" {
	TAILSCALE=no run scripts/tailscale.sh "$to"
	[ "$status$output" = 0 ]
	programs "$BATS_TEST_TMPDIR/given"
	TAILSCALE=$BATS_TEST_TMPDIR/given scripts/tailscale.sh "$to"
	cmp "$to/tailscale" "$BUILD/perry-step"
	TAILSCALE=$BATS_TEST_TMPDIR/nothing run scripts/tailscale.sh "$to"
	[ "$status" = 1 ]
}
