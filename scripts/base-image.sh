#!/bin/sh
# Makes sure that the engine has debian:bookworm: from a registry, or where none answers with debootstrap and an import (as root).
set -eu
ref=${1:-debian:bookworm}
suite=${ref##*:}
docker image inspect "$ref" >/dev/null 2>&1 && exit 0
echo "getting the base image $ref"
if [ -z "${PERRY_NO_REGISTRY:-}" ] && timeout 300 docker pull -q "$ref" >/dev/null 2>&1; then
	echo "base image $ref: pulled"
	exit 0
fi
echo "no image registry answers: making $ref with debootstrap and docker import instead"
[ "$(id -u)" = 0 ] || { echo "debootstrap must run as root" >&2; exit 1; }
command -v debootstrap >/dev/null || DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends debootstrap >/dev/null 2>&1
dir=$(mktemp -d /var/tmp/perry-base.XXXXXX)
trap 'rm -rf "$dir"' EXIT
timeout 900 debootstrap --variant=minbase "$suite" "$dir" >"$dir.log" 2>&1 || {
	tail -5 "$dir.log" >&2
	echo "debootstrap failed; its log is $dir.log" >&2
	exit 1
}
rm -f "$dir.log"
# What images of this kind leave out: downloaded packages, lists, machine identity; and apt keeps no packages in later layers.
rm -rf "$dir"/var/cache/apt/*.bin "$dir"/var/cache/apt/archives/*.deb "$dir"/var/lib/apt/lists/* "${dir:?}"/dev/* "${dir:?}"/proc/* "${dir:?}"/sys/*
: >"$dir/etc/machine-id"
cat >"$dir/etc/apt/apt.conf.d/docker-clean" <<'CONF'
DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb /var/cache/apt/*.bin || true"; };
Acquire::Languages "none";
CONF
rm -f "$dir/etc/resolv.conf" "$dir/etc/hostname"
tar -C "$dir" --numeric-owner -c . | docker import -c 'CMD ["bash"]' - "$ref" >/dev/null
echo "base image $ref: made with debootstrap"
