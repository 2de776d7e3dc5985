#!/usr/bin/env bats
# Hooks decide, through the command line.
load helper

setup_file() { engine_setup; mkdir -p "$DIR/hooks"; }
teardown_file() { engine_teardown; }
setup() { engine_use; rm -f "$DIR"/hooks/*.lua; }

@test "hooks list shows every point and that the built-in answers" {
	run p hooks list
	[ "$status" = 0 ]
	[[ "$output" == *container*built-in* ]]
}

@test "a three-line hook counts at the next start, and explain says so" {
	cat >"$DIR/hooks/container.lua" <<'L'
return function(ws, base)
  local spec = base(); spec.memory = "300MiB"; return spec
end
L
	p start mem
	[ "$(docker inspect -f '{{.HostConfig.Memory}}' workspace-mem)" = $((300 * 1024 * 1024)) ]
	run p explain mem container
	[ "$status" = 0 ]
	[[ "$output" == *hooks/container.lua* ]]
	p delete -y mem
}

@test "dry-run prints the plan and touches nothing" {
	run p start plan --dry-run
	[ "$status" = 0 ]
	[[ "$output" == *perry:small* ]]
	refute docker volume inspect workspace-plan
	run p info plan
	[ "$status" = 5 ]
}

@test "a refusal ends with 7, the reason and the file with its line" {
	printf 'return function(ws)\n  return false, "not on Fridays"\nend\n' >"$DIR/hooks/admit.lua"
	run p start nope
	[ "$status" = 7 ]
	[[ "$output" == *"not on Fridays"* ]]
	[[ "$output" == *hooks/admit.lua:* ]]
	refute docker volume inspect workspace-nope
}

@test "a syntax error stops the start before anything exists, with file and line" {
	printf 'return function(ws, base)\n  return base(\nend\n' >"$DIR/hooks/image.lua"
	run p start syn
	[ "$status" = 7 ]
	[[ "$output" == *hooks/image.lua:* ]]
	refute docker container inspect workspace-syn
}

@test "an endless loop is over soon, and the agent lives" {
	printf 'return function(ws, base)\n  while true do end\nend\n' >"$DIR/hooks/image.lua"
	local at=$SECONDS
	run p start loop
	[ "$status" = 7 ]
	[ $((SECONDS - at)) -lt 5 ]
	p agent status
}

@test "a wrong type names the field" {
	printf 'return function(ws, base)\n  local s = base(); s.memory = true; return s\nend\n' >"$DIR/hooks/container.lua"
	run p start typ
	[ "$status" = 7 ]
	[[ "$output" == *memory* ]]
}

@test "a world-writable hook is refused by name" {
	printf 'return function(ws, base) return base() end\n' >"$DIR/hooks/image.lua"
	chmod 666 "$DIR/hooks/image.lua"
	run p start writ
	[ "$status" = 7 ]
	[[ "$output" == *image.lua* ]]
}

@test "a misspelt file is reported with the nearest point" {
	printf 'return function(ws, base) return base() end\n' >"$DIR/hooks/contaner.lua"
	run p hooks list
	[[ "$output" == *contaner* ]]
	[[ "$output" == *container* ]]
}

@test "hooks new writes three lines that check" {
	p hooks new container
	run p hooks check "$DIR/hooks"
	[ "$status" = 0 ]
	run p hooks new contaner
	[ "$status" = 5 ]
	[[ "$output" == *container* ]]
}

@test "a privileged container is refused by review" {
	printf 'return function(ws, base)\n  local s = base(); s.privileged = true; return s\nend\n' >"$DIR/hooks/container.lua"
	run p start priv
	[ "$status" = 7 ]
}

@test "docker inside is refused with the reason where the engine cannot do it safely" {
	docker info -f '{{.Runtimes}} {{.SecurityOptions}}' | grep -Eq 'sysbox|userns' && skip "this engine has sysbox or userns-remap"
	run p start dind --docker
	[ "$status" = 7 ]
	[[ "$output" == *root* ]]
}

@test "an action runs when something happened" {
	mkdir -p "$DIR/hooks"
	printf 'return function(ws, ev)\n  perry.kv.set("seen", ws.name)\n  perry.log("saw " .. ws.name)\nend\n' >"$DIR/hooks/on_created.lua"
	p start act
	eventually 30 grep -q "saw act" "$DIR/agent.log"
	p delete -y act
}
