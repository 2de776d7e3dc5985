#!/usr/bin/env bash
# make up: from a bare Debian to a running workspace named hello. Every step looks first whether there is anything to do, so a second run is quick.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/common.bash
. scripts/common.bash
need_root "$@"
find_owner
BUILD=${BUILD:-build}

build() {
	local jobs
	jobs=$(nproc)
	# Files that are built belong to whom the tree belongs to.
	if [ "$owner_uid" != 0 ] && as_owner test -w .; then
		# An earlier "sudo make" may have left files of root's.
		[ ! -d "$BUILD" ] || chown -hR --from=root "$owner_uid:$owner_gid" "$BUILD"
		as_owner make -s -j"$jobs" BUILD="$BUILD" all stripped
	else
		make -s -j"$jobs" BUILD="$BUILD" all stripped
	fi
}

answers() { as_owner timeout 10 "$PERRY" agent status >/dev/null 2>&1; }

# The user's service manager may be older than the user's right to use the engine; then the agent is started by hand until the next boot.
manager_knows_group() {
	local main gid
	[ -n "${DOCKER_HOST:-}" ] || [ "$owner_uid" = 0 ] && return 0
	main=$(systemctl show -p MainPID --value "user@$owner_uid.service")
	gid=$(stat -c %g /var/run/docker.sock)
	[ "${main:-0}" -gt 0 ] && grep -qE "^Groups:.*\b$gid\b" "/proc/$main/status"
}
start_agent() {
	local log i
	if [ -d /run/systemd/system ] && loginctl enable-linger "$owner" 2>/dev/null; then
		local user=(systemctl --machine="$owner@.host" --user)
		if "${user[@]}" daemon-reload 2>/dev/null && "${user[@]}" enable -q perry.service 2>/dev/null; then
			note "unit $owner"
			if manager_knows_group && "${user[@]}" start perry.service 2>/dev/null; then
				say "agent: started by systemd (user unit perry.service)"
			fi
		fi
	fi
	if ! answers && ! agent_pid >/dev/null; then
		log=$(mktemp)
		chown "$owner_uid" "$log"
		setsid "${owner_cmd[@]}" "$PERRY" agent run >"$log" 2>&1 </dev/null &
		say "agent: started for $owner, its log: perry agent logs"
	fi
	for ((i = 0; i < 200; i++)); do
		if answers; then
			[ -z "${log:-}" ] || rm -f "$log"
			return 0
		fi
		sleep 0.1
	done
	[ -z "${log:-}" ] || tail -5 "$log" >&2
	fail "the agent does not answer"
}

say "setting up Perry for $owner, installed below $PREFIX"
shown "installing packages" scripts/packages.sh build run || fail "packages"
say "building"
quietly "building" build || fail "the build"
quietly "installing" make -s BUILD="$BUILD" PREFIX="$PREFIX" TAILSCALE=no install || fail "the installation"
shown "fetching tailscale" scripts/tailscale.sh "$PREFIX/libexec/perry" || fail "tailscale"
note "prefix $PREFIX"
say "engine"
shown "waiting for the Docker Engine" scripts/docker.sh "$owner" || fail "the Docker Engine"
say "image"
before=$(docker image ls --format '{{.Repository}}:{{.Tag}}')
shown "building the image" scripts/image.sh small || fail "the workspace image"
# The one that workspaces get by default, unless there is a better one (perry build).
variant=$(docker image inspect -f '{{index .Config.Labels "perry.variant"}}' perry:latest 2>/dev/null || :)
case $variant in '' | small) docker tag perry:small perry:latest ;; esac
for ref in debian:bookworm perry:small perry:latest; do
	grep -qxF "$ref" <<<"$before" || note "image $ref"
done
if pid=$(agent_pid) && [ "$(readlink "/proc/$pid/exe")" != "$(realpath "$PREFIX/libexec/perry/perry-agent")" ]; then
	say "agent: of another version, starting it anew"
	as_owner timeout 30 "$PERRY" agent kill >/dev/null || fail "the old agent (pid $pid) does not end"
fi
answers || start_agent
say "workspace hello"
as_owner timeout 300 "$PERRY" start hello </dev/null || fail "perry start hello"
perry=perry
command -v perry >/dev/null || { say "note: $PREFIX/bin is not on your PATH"; perry=$PERRY; }
cat <<END

Perry is up after $SECONDS s. Next:
  $perry shell hello
  $perry list
  $perry open        # the same in a browser
  $perry start myapp --clone URL
END
# What is not there must not be looked for first.
[ "${variant:-small}" != small ] || cat <<END
Workspaces have git, ssh and a shell, no languages and no coding agents yet:
  $perry build       # the full image, minutes; workspaces that are made after it have them
END
