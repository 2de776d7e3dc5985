#!/usr/bin/env bats
# Options of start on a workspace that is there: applied, kept with a word, or refused with the way out. Nothing is dropped.
load helper

setup_file() {
	engine_setup
	docker tag perry:small "perry-other-$PORT:1"
	p start opt
}
teardown_file() {
	engine_teardown
	docker rmi "perry-other-$PORT:1" >/dev/null 2>&1 || true
}
setup() { engine_use; }

warned() { [[ $stderr == *"warning: opt: "*"$1"* ]] || { echo "$stderr" >&2; return 1; }; }
quiet() { [[ $stderr != *warning* ]]; }
started_at() { docker inspect -f '{{.Id}} {{.State.StartedAt}}' workspace-opt; }
bats_require_minimum_version 1.5.0

@test "running: limits are changed at once, and nothing is restarted" {
	local at
	at=$(started_at)
	run --separate-stderr p start opt --cpus 1 --memory 300m
	[ "$status" = 0 ] && quiet
	[ "$(docker inspect -f '{{.HostConfig.NanoCpus}} {{.HostConfig.Memory}}' workspace-opt)" = "1000000000 314572800" ]
	[ "$(started_at)" = "$at" ]
}

@test "running: -e is in what is run from now on, -l in the record; a second -e takes none away" {
	local at
	at=$(started_at)
	p start opt -e A=one -l team=x
	[ "$(p exec opt -- sh -c 'echo $A')" = one ]
	p start opt -e B=two
	[ "$(p exec opt -- sh -c 'echo $A $B')" = "one two" ]
	[ "$(p info opt --json | jq -r .labels.team)" = x ]
	p stop opt
	p start opt -e C=three
	[ "$(p exec opt -- sh -c 'echo $A $B $C')" = "one two three" ]
}

@test "running: another image waits, and the command that brings it is said" {
	local c
	c=$(docker create perry:small)
	docker commit -c "LABEL other=1" "$c" "perry-other-$PORT:1" >/dev/null
	docker rm "$c" >/dev/null
	run --separate-stderr p start opt --image "perry-other-$PORT:1"
	[ "$status" = 0 ]
	warned "perry restart opt --recreate"
	p restart opt --recreate
	[ "$(docker inspect -f '{{.Config.Labels.other}}' workspace-opt)" = 1 ]
}

@test "running: what needs another container waits for the next start, with a word" {
	mkdir -p "$DIR/hooks"
	cat >"$DIR/hooks/container.lua" <<-'L'
		return function(ws, base)
		  local c = base()
		  if ws.labels.port then c.sysctls = { ["net.ipv4.ip_unprivileged_port_start"] = ws.labels.port } end
		  return c
		end
	L
	run --separate-stderr p start opt -l port=81
	[ "$status" = 0 ]
	warned "perry restart opt"
	p restart opt
	[ "$(p exec opt -- cat /proc/sys/net/ipv4/ip_unprivileged_port_start)" = 81 ]
}

@test "a start that asks for nothing new says nothing" {
	run --separate-stderr p start opt --cpus 1 -e A=one
	[ "$status" = 0 ] && quiet
}

@test "running: --clone of one that has none; a mistyped URL is corrected; another one is refused" {
	p exec opt -- sh -c 'git init -q /tmp/r && git -C /tmp/r -c user.name=a -c user.email=b commit -q --allow-empty -m one &&
		git config --global safe.directory "*" && git config --global url./tmp/r.insteadOf https://127.0.0.1:1/right'
	run --separate-stderr p start opt --clone https://127.0.0.1:1/wrong
	[ "$status" -ne 0 ]
	[[ $stderr == *"127.0.0.1:1/wrong"* ]]
	[[ $(p info opt --json | jq -r .error) == *wrong* ]]
	run --separate-stderr p start opt --clone https://127.0.0.1:1/right
	[ "$status" = 0 ]
	[ "$(p exec opt -- sh -c 'cd ~/right && git log --format=%s')" = one ]
	[ "$(p info opt --json | jq -r .error)" = null ]
	run --separate-stderr p start opt --clone https://127.0.0.1:1/third
	[ "$status" = 6 ]
	[[ $stderr == *"perry exec opt -- git clone"*"https://127.0.0.1:1/third"* ]]
	run --separate-stderr p start opt --branch dev
	[ "$status" = 6 ]
	[[ $stderr == *"git switch"* ]]
	p stop opt
	run --separate-stderr p start opt --clone https://127.0.0.1:1/third
	[ "$status" = 6 ]
	p start opt --clone https://127.0.0.1:1/right
}

@test "stopped: a mistyped URL is corrected, too; a branch of nothing is refused" {
	run --separate-stderr p start two --clone https://127.0.0.1:1/wrong
	[ "$status" -ne 0 ]
	p exec two -- sh -c 'git init -q ~/r && git -C ~/r -c user.name=a -c user.email=b commit -q --allow-empty -m one &&
		git config --global safe.directory "*" && git config --global url./home/workspace/r.insteadOf https://127.0.0.1:1/right'
	p stop two
	p start two --clone https://127.0.0.1:1/right
	[ "$(p exec two -- sh -c 'cd ~/right && git log --format=%s')" = one ]
	p start three
	run --separate-stderr p start three --branch dev
	[ "$status" = 6 ]
	[[ $stderr == *"--clone URL"* ]]
}

@test "--ttl of one that runs counts from now" {
	p start opt --ttl 1h
	[ "$(p info opt --json | jq -r .ttl)" = 3600 ]
}
