#!/bin/sh
# Brings the packages of the web UI into web/node_modules, as its lock file says: scripts/web.sh build (what a page loads), scripts/web.sh check (and what
# looks at the pages). What is there already is not asked for again: a build after the first one needs no network.
set -eu
cd "$(dirname "$0")/../web"
case ${1:-} in
build) omit=--omit=dev ;;
check) omit= ;;
*) echo "usage: scripts/web.sh build|check" >&2 && exit 2 ;;
esac
# Each mark is a copy of the lock file that it was brought by. Those of check hold all that build wants.
for mark in "node_modules/.perry-$1" node_modules/.perry-check; do
	cmp -s package-lock.json "$mark" && exit 0
done
for c in node npm; do
	command -v $c >/dev/null || { echo "$c is missing, which the web UI is built with: scripts/packages.sh build" >&2 && exit 1; }
done
# shellcheck disable=SC2086 # none or one word
npm ci $omit --prefer-offline --no-progress --loglevel=error >&2 ||
	{ echo "npm could not bring the packages of web/package-lock.json: the first build needs a network, or npm's cache of another one" >&2 && exit 1; }
cp package-lock.json "node_modules/.perry-$1"
