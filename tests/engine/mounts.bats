#!/usr/bin/env bats
# Folders of this machine in workspaces: what a workspace can write is no way to another folder.
load helper

setup_file() {
	mkdir -p "$BATS_FILE_TMPDIR/allowed/b" "$BATS_FILE_TMPDIR/other"
	chmod 777 "$BATS_FILE_TMPDIR/allowed"
	CONFIG_MORE=", \"allowedMounts\": [\"$BATS_FILE_TMPDIR\"]"
	engine_setup
	mkdir -p "$DIR/hooks"
}
teardown_file() { engine_teardown; }
setup() { engine_use; }

# mounts NAME=PATH[:ro]...: which workspace gets which folder, at /x.
mounts() {
	local pair
	echo 'local all = {'
	for pair; do printf '  [%s] = "%s:/x%s",\n' "\"${pair%%=*}\"" "$(sed 's/:ro$//' <<<"${pair#*=}")" "$(grep -o ':ro$' <<<"$pair" || :)"; done
	printf '}\nreturn function(ws, base)\n  local spec = base()\n  if all[ws.name] then table.insert(spec.mounts, all[ws.name]) end\n  return spec\nend\n'
}
refused() { # NAME TEXT
	run p start "$1"
	echo "$output"
	[ "$status" = 7 ]
	[[ $output == *"$2"* ]]
}

@test "a folder below one that another workspace can write is refused, and the reverse, whichever was first" {
	local a=$BATS_FILE_TMPDIR/allowed
	mounts "outer=$a" "inner=$a/b" "reader=$a:ro" >"$DIR/hooks/container.lua"
	p start outer
	refused inner "which the workspace outer can write"
	# Also once it is a link, and once it is nothing.
	docker exec workspace-outer sh -c 'rmdir /x/b && ln -s /etc /x/b'
	refused inner "leads to /etc"
	docker exec workspace-outer rm /x/b
	refused inner "cannot be looked at"
	docker exec workspace-outer mkdir /x/b
	# It need not run for that.
	p stop outer
	refused inner "which the workspace outer can write"
	p delete -y outer
	p start inner
	[ "$(docker exec workspace-inner sh -c 'cat /x/passwd 2>/dev/null' | wc -l)" = 0 ]
	refused outer "which the workspace inner has mounted"
	# Who cannot write cannot put anything in its place.
	p start reader
	p delete -y reader
	p delete -y inner
}

@test "two folders of one workspace, the outer one writable" {
	cat >"$DIR/hooks/container.lua" <<-L
		return function(ws, base)
		  local spec = base()
		  table.insert(spec.mounts, "$BATS_FILE_TMPDIR/allowed:/x")
		  table.insert(spec.mounts, "$BATS_FILE_TMPDIR/allowed/b:/y")
		  return spec
		end
	L
	refused both "which the workspace can write"
}

# The race is not to be won in a test. In its place the agent has a mount of its own there, so that the path leads elsewhere for the engine.
@test "what was mounted is compared after the start" {
	[ "$(id -u)" = 0 ] || skip "an agent that is not root may not look"
	local o=$BATS_FILE_TMPDIR/other e=$BATS_FILE_TMPDIR/elsewhere
	mounts "late=$o" "fine=$BATS_FILE_TMPDIR/allowed" >"$DIR/hooks/container.lua"
	mkdir -p "$e"
	agent_end
	printf '#!/bin/sh\nexec unshare -m --propagation private sh -c '\''mount --bind "$0" "$1" && shift && exec "$@"'\'' %q %q %s "$@"\n' "$e" "$o" "$AGENT" >"$BATS_FILE_TMPDIR/apart"
	chmod +x "$BATS_FILE_TMPDIR/apart"
	unshare -m --propagation private mount --bind "$e" "$o" || skip "no right to mount"
	AGENT=$BATS_FILE_TMPDIR/apart agent_again
	p start fine
	p delete -y fine
	refused late "its path was changed meanwhile"
	[ -z "$(docker ps -q --filter name=^workspace-late$)" ]
	p delete -y late || :
}
