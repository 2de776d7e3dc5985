#!/bin/sh
# Builds the workspace image: scripts/image.sh small|full [docker build options]. Nothing to do is quick: a label holds the hash of what it was made of.
set -eu
cd "$(dirname "$0")/.."
variant=${1:-small}
[ $# -eq 0 ] || shift
tag=perry:$variant
sum=$(find image -type f -exec sha256sum {} + | sort | sha256sum | cut -c1-16)
have=$(docker image inspect -f '{{index .Config.Labels "perry.sources"}}' "$tag" 2>/dev/null || :)
[ "$have" != "$sum" ] || exit 0
scripts/base-image.sh debian:bookworm
old=$(docker image inspect -f '{{.Id}}' "$tag" 2>/dev/null || :)
began=$(date +%s)
log=$(mktemp)
trap 'rm -f "$log"' EXIT
echo "building the image $tag"
extra=$(scripts/host-ca.sh)
timeout 2400 docker build -t "$tag" --build-arg VARIANT="$variant" --build-arg EXTRA_CA="$extra" --label perry.sources="$sum" "$@" image >"$log" 2>&1 || {
	tail -30 "$log" >&2
	echo "building $tag failed" >&2
	exit 1
}
# The one it replaces has lost its name; containers that use it keep it.
[ -z "$old" ] || [ "$old" = "$(docker image inspect -f '{{.Id}}' "$tag")" ] || docker image rm "$old" >/dev/null 2>&1 || :
echo "image $tag: built in $(($(date +%s) - began)) s, $(docker image inspect -f '{{.Size}}' "$tag" | awk '{ printf "%d MB", $1 / 1e6 }')"
