#!/bin/sh
# Installs what is missing of the given sections of packages.txt: scripts/packages.sh build run check. Asks the mirrors nothing when nothing is missing.
set -eu
cd "$(dirname "$0")/.."
wanted=$(
	for section in "${@:-build}"; do
		awk -v s="[$section]" '/^#/ || /^$/ { next } /^\[/ { on = $0 == s; found += on; next } on { print }
			END { if (!found) { print "packages.txt has no section " s > "/dev/stderr"; exit 1 } }' packages.txt || exit 1
	done | while read -r package command; do
		[ -n "$command" ] && command -v "$command" >/dev/null 2>&1 || echo "$package"
	done | sort -u
)
[ -n "$wanted" ] || exit 1
# shellcheck disable=SC2086 # one word a package
have=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' $wanted 2>/dev/null | sed -n 's/^installed //p' || :)
missing=$(printf '%s\n' "$wanted" | grep -vxF "${have:-none}" || :)
[ -n "$missing" ] || exit 0
# shellcheck disable=SC2086
set -- $missing
echo "installing $# packages: $*"
sudo=
if [ "$(id -u)" != 0 ]; then
	command -v sudo >/dev/null || { echo "these packages are missing; as root: apt-get install $*" >&2; exit 1; }
	sudo=sudo
fi
log=$(mktemp)
trap 'rm -f "$log"' EXIT
apt() { timeout 1200 $sudo env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=120 "$@" >"$log" 2>&1; }
# Lists that are there are tried first; they may be too old, so a failure gets one try with new ones.
if [ -z "$(find /var/lib/apt/lists -maxdepth 1 -name '*Packages*' 2>/dev/null | head -1)" ] || ! apt install -qy --no-install-recommends "$@"; then
	apt update -q || { tail -5 "$log" >&2; exit 1; }
	apt install -qy --no-install-recommends "$@" || { tail -15 "$log" >&2; echo "installing packages failed" >&2; exit 1; }
fi
