#!/usr/bin/env bash
# Puts tailscale and tailscaled, linked statically, into a folder, for workspaces: scripts/tailscale.sh DIR
# From Tailscale's release archive (its checksum is verified), else this machine's own, else built by Go. None of them: says what will not work, and succeeds.
# With TAILSCALE=no nothing is done; with TAILSCALE=DIRECTORY they are taken from there.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
to=${1:?usage: scripts/tailscale.sh DIR}
version=1.102.3
site=https://pkgs.tailscale.com/stable
programs=(tailscale tailscaled)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

[ "${TAILSCALE:-}" != no ] || exit 0

# Runs in any image: no loader, no libraries.
is_static() { [ -x "$1" ] && [ "$(head -c 4 "$1" | tail -c 3)" = ELF ] && ! grep -qaE -m1 '/ld-(linux|musl)[-.a-z0-9_]*\.so' <(head -c 4096 "$1"); }
put() { # FOLDER WHENCE
	local p
	for p in "${programs[@]}"; do
		is_static "$1/$p" || return 1
	done
	for p in "${programs[@]}"; do
		install -C -D -m 755 "$1/$p" "$to/$p" || exit 1
	done
	rm -f "$to/tailscale.version"
	[[ $2 != release && $2 != Go ]] || echo "$version" >"$to/tailscale.version"
	echo "tailscale for workspaces: from $2"
	exit 0
}
fetch() { curl -fsSL --proto =https --proto-redir =https --connect-timeout 10 --max-time "$1" -o "$work/$2" "$site/$2" 2>/dev/null; }
release() {
	local arch name sum
	case $(uname -m) in
	x86_64) arch=amd64 ;;
	aarch64) arch=arm64 ;;
	*) return 1 ;;
	esac
	name=tailscale_${version}_$arch
	command -v curl >/dev/null && fetch 30 "$name.tgz.sha256" && fetch 300 "$name.tgz" || return 1
	sum=$(sha256sum <"$work/$name.tgz")
	if [ "${sum%% *}" != "$(grep -oE -m1 '^[0-9a-f]{64}' "$work/$name.tgz.sha256")" ]; then
		echo "tailscale: the checksum of $site/$name.tgz does not match; it is not used" >&2
		return 1
	fi
	tar -xzf "$work/$name.tgz" -C "$work" && mv "$work/$name" "$work/release"
}
own() {
	local p
	mkdir "$work/own"
	for p in "${programs[@]}"; do
		ln -s "$(PATH=$PATH:/usr/sbin:/usr/local/sbin:/sbin command -v "$p")" "$work/own/$p" || return 1
	done
}
built() {
	command -v go >/dev/null || return 1
	echo "building tailscale with Go (minutes the first time)"
	(cd tests/tailnet/tailscale && CGO_ENABLED=0 timeout 1500 go build -buildvcs=false -trimpath -o "$work/built/" \
		-ldflags "-s -w -X tailscale.com/version.longStamp=$version -X tailscale.com/version.shortStamp=$version" \
		tailscale.com/cmd/tailscale tailscale.com/cmd/tailscaled) >"$work/log" 2>&1 && return 0
	tail -1 "$work/log" >&2
	return 1
}

if [ -n "${TAILSCALE:-}" ]; then
	put "$TAILSCALE" "$TAILSCALE"
	echo "there are no statically linked tailscale and tailscaled in $TAILSCALE" >&2
	exit 1
fi
if [ "$(cat "$to/tailscale.version" 2>/dev/null)" = "$version" ] && is_static "$to/tailscale" && is_static "$to/tailscaled"; then
	echo "tailscale for workspaces: $version is there"
	exit 0
fi
release && put "$work/release" release
own 2>/dev/null && put "$work/own" "this machine's own"
mkdir -p "$work/built"
built && put "$work/built" "Go"
cat <<END
tailscale for workspaces: none. Everything works but joining a tailnet; to add it later, put static tailscale and tailscaled
  (https://pkgs.tailscale.com/stable/) into $to and restart the agent
END
