#!/usr/bin/env bash
# Builds what the tailnet lab runs: tailscale, tailscaled, derper, control and headscale, at the versions that the two go.mod files pin.
# Prints the directory that holds them, and nothing else, on standard output; an unchanged second call is instant.
# Exit codes: 0 done; 3 this machine cannot build it (the reason is on standard error), so the tests are skipped; anything else is a failure.
set -euo pipefail
cd "$(dirname "$0")"
cache=${PERRY_TAILNET_CACHE:-$HOME/.cache/perry/tailnet}
hash=$(cat tailscale/go.mod tailscale/go.sum tailscale/control/main.go headscale/go.mod headscale/go.sum | sha256sum)
dir=$cache/${hash:0:16}
say() { printf 'tailnet: %s\n' "$*" >&2; }
cannot() { say "$*"; exit 3; }

if [ -e "$dir/complete" ]; then
	echo "$dir"
	exit 0
fi
wanted=$(sed -n 's/^go //p' tailscale/go.mod)
command -v go >/dev/null || cannot "no go on PATH; Go $wanted or newer is needed to build tailscale and headscale"
# In the module's folder a Go that may fetch another toolchain does so now.
have=$(cd tailscale && timeout 300 go env GOVERSION 2>&1) || cannot "Go $wanted or newer is needed: ${have##*$'\n'}"
printf '%s\n' "$wanted" "${have#go}" | sort -CV || cannot "Go $wanted or newer is needed, this is ${have#go}"

mkdir -p "$cache"
exec 9>"$cache/lock"
if ! flock -n 9; then
	say "another build is under way, waiting for it"
	flock -w 1800 9 || { say "it did not end within 30 minutes"; exit 1; }
	if [ -e "$dir/complete" ]; then
		echo "$dir"
		exit 0
	fi
fi
rm -rf "$dir"
mkdir "$dir"
export CGO_ENABLED=0
version=$(sed -n 's/^require tailscale.com v//p' tailscale/go.mod)
build() { # MODULE LDFLAGS PACKAGE...
	local module=$1 flags=$2 at=$SECONDS log
	shift 2
	say "building $module: ${*##*/} (minutes the first time)"
	if ! log=$(cd "$module" && timeout 600 go list -deps "$@" 2>&1 >/dev/null); then
		cannot "the Go modules of $module cannot be fetched: ${log##*$'\n'}"
	fi
	(cd "$module" && nice -n 5 timeout 1500 go build -buildvcs=false -trimpath -ldflags "-s -w $flags" -o "$dir/" "$@") >&2
	say "$module took $((SECONDS - at)) s"
}
# Without the stamp tailscale calls itself VERSION-ERR-BuildInfo.
build tailscale "-X tailscale.com/version.longStamp=$version -X tailscale.com/version.shortStamp=$version" \
	tailscale.com/cmd/tailscale tailscale.com/cmd/tailscaled tailscale.com/cmd/derper ./control
build headscale '' github.com/juanfont/headscale/cmd/headscale
touch "$dir/complete"
echo "$dir"
