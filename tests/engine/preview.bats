#!/usr/bin/env bats
bats_require_minimum_version 1.5.0
# What a change of policy would do, and who decided what: through the command line, about real workspaces.
load helper

setup_file() {
	engine_setup
	p start one
	p start two -l gpu=1
}
teardown_file() { engine_teardown; }
setup() {
	engine_use
	rm -rf "$DIR/hooks" "$DIR/acme"
	mkdir -p "$DIR/hooks" "$DIR/acme/hooks"
	unset VISUAL
}
prefix_hook() { printf 'return function(ws, base)\n  return "alice-" .. base()\nend\n' >"$1/hostname.lua"; }

@test "preview of a pack shows what would differ for whom, and touches nothing" {
	printf 'return function(ws, base)\n  local s = base()\n  if ws.labels.gpu then s.memory = "1GiB" end\n  return s\nend\n' >"$DIR/acme/hooks/container.lua"
	local before
	before=$(docker inspect -f '{{.Id}} {{.State.StartedAt}} {{.HostConfig.Memory}}' workspace-one workspace-two)
	run --separate-stderr p hooks preview "$DIR/acme"
	[ "$status" = 0 ]
	[[ "$output" =~ ^two$'\t'container.memory$'\t'[0-9]+[GMK]iB" -> 1GiB"$'\t'"$DIR/acme/hooks/container.lua:4"$ ]]
	[[ "$stderr" == "1 of 2 workspaces would differ, 0 would be refused."* ]]
	[ "$before" = "$(docker inspect -f '{{.Id}} {{.State.StartedAt}} {{.HostConfig.Memory}}' workspace-one workspace-two)" ]
	[[ "$(p explain two container.memory)" == *$'\tbuilt-in/container.lua:'* ]]
}

@test "a pack by its address and by its name, in its newest version" {
	local repo="$DIR/repo"
	mkdir -p "$repo/hooks"
	prefix_hook "$repo/hooks"
	echo '{ "name": "acme", "api": 1 }' >"$repo/pack.json"
	commit() { git -C "$repo" add -A && git -C "$repo" -c user.name=a -c user.email=a@b.example commit -qm "$1"; }
	git init -q "$repo"
	commit first
	run --separate-stderr p hooks preview "file://$repo"
	[ "$status" = 0 ]
	[[ "$output" == *$'one\thostname\tone -> alice-one\tfile://'"$repo/hooks/hostname.lua:2"* ]]
	p hooks add "file://$repo" --expect "$(p hooks pack hash "$repo" | grep -o 'sha256:[0-9a-f]*')"
	run --separate-stderr p hooks preview acme
	[ "$status" = 0 ]
	[ "$output" = "" ]
	sed -i 's/alice/bob/' "$repo/hooks/hostname.lua"
	commit second
	run --separate-stderr p hooks preview acme
	[[ "$output" == *$'one\thostname\talice-one -> bob-one\tacme/hooks/hostname.lua:2'* ]]
	run p hooks preview nobody
	[ "$status" = 5 ]
	[[ "$output" == *"neither a folder, nor an address, nor a pack"* ]]
	p hooks remove acme
}

@test "a plan that would be refused gives exit code 1, with reason, file and line" {
	printf 'return function(ws)\n  return not ws.labels.gpu, "no GPU here"\nend\n' >"$DIR/acme/hooks/review.lua"
	run p hooks preview "$DIR/acme" --json
	[ "$status" = 1 ]
	[ "$(jq -r '.workspaces[] | select(.refused) | "\(.name) \(.refused.message) \(.refused.line)"' <<<"$output")" = "two no GPU here 2" ]
	[ "$(jq '.ok, .refused' <<<"$output" | xargs)" = "false 1" ]
}

@test "a folder of hooks takes the place of the user's, not of what is below" {
	prefix_hook "$DIR/hooks"
	mkdir "$DIR/mine"
	run p hooks preview "$DIR/mine" --json
	[ "$status" = 0 ]
	[ "$(jq -r '.workspaces[0].changes[0] | "\(.field) \(.from) \(.to)"' <<<"$output")" = "hostname alice-one one" ]
	rmdir "$DIR/mine"
}

@test "without a folder: what today's policy would change in what runs" {
	prefix_hook "$DIR/hooks"
	run p hooks preview
	[ "$status" = 0 ]
	[[ "$output" == *"hostname"*"one -> alice-one"*"hooks/hostname.lua:2"* ]]
}

@test "a pack has the settings of config.json and what its pack.json needs" {
	echo '{"name": "acme", "api": 1, "settings": [{"name": "prefix", "type": "string", "default": "team", "description": "before each name"}]}' >"$DIR/acme/pack.json"
	printf 'return function(ws, base)\n  return perry.setting "prefix" .. "-" .. base()\nend\n' >"$DIR/acme/hooks/hostname.lua"
	run p hooks preview "$DIR/acme"
	[ "$status" = 0 ]
	[[ "$output" == *"one -> team-one"* ]]
	p agent config set packs.acme '{"prefix": "blue"}'
	run p hooks preview "$DIR/acme"
	p agent config unset packs.acme
	[[ "$output" == *"one -> blue-one"* ]]
	printf 'return function(ws, base)\n  return perry.kv.get "x" or base()\nend\n' >"$DIR/acme/hooks/image.lua"
	run p hooks preview "$DIR/acme"
	[ "$status" = 1 ]
	[[ "$output" == *"needs.kv"* ]]
}

@test "a broken hook of the folder is named, and nothing is previewed" {
	printf 'return function(ws, base) return end end\n' >"$DIR/acme/hooks/image.lua"
	run p hooks preview "$DIR/acme"
	[ "$status" = 1 ]
	[[ "$output" == *"acme/hooks/image.lua:1"* ]]
	printf 'x' >"$DIR/acme/hooks/image.lua"
	chmod 666 "$DIR/acme/hooks/image.lua"
	run p hooks preview "$DIR/acme"
	[ "$status" = 7 ]
	[[ "$output" == *"image.lua: others may write to it"* ]]
	run p hooks preview "$DIR/none"
	[ "$status" = 5 ]
}

@test "preview with facts from a file needs no agent" {
	p start one --dry-run --json | jq '.decisions[0].facts' >"$DIR/facts.json"
	prefix_hook "$DIR/acme/hooks"
	PERRY_CONFIG_DIR=$DIR/none run p hooks preview "$DIR/acme" --facts "$DIR/facts.json"
	[ "$status" = 0 ]
	[[ "$output" == *"one -> alice-one"* ]]
	echo '[{}]' >"$DIR/facts.json"
	run p hooks preview "$DIR/acme" --facts "$DIR/facts.json"
	[ "$status" = 1 ]
	[[ "$output" == *"expected facts"* ]]
}

@test "hooks edit checks, and shows what changed for which workspace" {
	printf '#!/bin/sh\nsed -i "s/return base()/return \\"bob-\\" .. base()/" "$1"\n' >"$DIR/editor"
	chmod +x "$DIR/editor"
	EDITOR="$DIR/editor" run p hooks edit hostname
	[ "$status" = 0 ]
	[[ "$output" == *"ok "*"hooks/hostname.lua"* ]]
	[[ "$output" == *"one -> bob-one"* ]]
	[[ "$output" == *"two -> bob-two"* ]]
	# only what this edit changed
	printf '#!/bin/sh\nsed -i "s/bob-/eve-/" "$1"\n' >"$DIR/editor"
	EDITOR="$DIR/editor" run p hooks edit hostname
	[[ "$output" == *"bob-one -> eve-one"* ]]
	printf '#!/bin/sh\necho "en(d" >>"$1"\n' >"$DIR/editor"
	EDITOR="$DIR/editor" run p hooks edit hostname
	[ "$status" = 1 ]
	[[ "$output" == *"hooks/hostname.lua:"* ]]
	EDITOR=false run p hooks edit image
	[ "$status" = 1 ]
}

@test "hooks edit on a terminal asks to edit again until it is fine" {
	command -v script >/dev/null || skip "no script(1) here, for a terminal"
	printf '#!/bin/sh\nif grep -q broken "$1"; then sed -i /broken/d "$1"; else echo "broken(" >>"$1"; fi\n' >"$DIR/editor"
	chmod +x "$DIR/editor"
	run bash -c "(sleep 1; echo y; sleep 1) | EDITOR='$DIR/editor' script -qec '$BUILD/perry hooks edit hostname' /dev/null"
	[ "$status" = 0 ]
	[[ "$output" == *"FAIL"*"Edit again?"*"ok "*"0 of 2 workspaces would differ"* ]]
}

@test "hooks new writes what an editor completes from, and show says what a point is" {
	p hooks new container
	grep -q -- '---@param plan perry.plan' "$DIR/hooks/container.lua"
	jq -e '."workspace.library" == [".types"]' "$DIR/hooks/.luarc.json"
	cmp "$DIR/hooks/.types/perry.lua" lua/types/perry.d.lua
	run p hooks show container
	[[ "$output" == *"decision: function(ws, base, plan)"* ]]
	run p hooks show on_deleted
	[ "$status" = 0 ]
	[[ "$output" == *"perry hooks new on_deleted"* ]]
	p hooks check --strict "$DIR/hooks"
}

@test "explain says for each field whose it is and what it stands over" {
	printf 'return function(ws, base)\n  local s = base(); s.pids = 500; return s\nend\n' >"$DIR/hooks/container.lua"
	p start three
	run p explain three container.pids
	[ "$status" = 0 ]
	[[ "$output" =~ ^container.pids$'\t'500$'\t'"$DIR/hooks/container.lua:2"$'\t'"built-in: "[0-9]+$ ]]
	run p explain three container.mounts
	[[ "$output" == *"workspace-three:/home/workspace"*"built-in/container.lua"* ]]
	run p explain three --json
	[ "$(jq -r '.fields[] | select(.field == "container.pids") | .layer' <<<"$output")" = user ]
	[ "$(jq -r '.decisions[0].facts.ws.name' <<<"$output")" = three ]
	run p explain three nothing
	[ "$status" = 5 ]
	# a look is not a decision
	rm "$DIR/hooks/container.lua"
	p start three --dry-run >/dev/null
	[ "$(p explain three --all --json | jq '[.decisions[] | select(.op == null and .point == "container")] | length')" = 0 ]
	p explain three container.pids | grep -q 500
	# limits change in the container that there is; who decided them follows
	printf 'return function(ws, base)\n  local s = base(); s.memory = "300MiB"; return s\nend\n' >"$DIR/hooks/container.lua"
	p restart three
	[[ "$(p explain three container.memory)" =~ ^container.memory$'\t'300MiB$'\t'"$DIR/hooks/container.lua:2"$'\t'"built-in: "[0-9]+[GMK]iB$ ]]
	[[ "$(p explain three container.pids)" == *$'\tbuilt-in/container.lua:'* ]]
	p delete -y three
}
