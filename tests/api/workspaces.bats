#!/usr/bin/env bats
# A workspace from its making to its end, through the API, with the shapes that existing clients know.
load helper

setup_file() { engine_agent_of_file; }
teardown_file() { engine_agent_gone; }
setup() { need_engine; }

shape() { # STATUS [FORWARDS]
	echo "{\"name\":\"$(ws a)\",\"status\":\"$1\",\"containerId\":\"ID\",\"created\":\"TIME\",\"ports\":{\"ssh\":$SSH${2:+,\"forwards\":$2}},\"lastUsed\":\"TIME\"}"
}

@test "create, list, get" {
	rpc workspaces/create "{\"name\":\"$(ws a)\"}"
	[ "$CODE" = 200 ] || echo "$BODY" >&2
	SSH=$(sed -E 's/.*"ssh":([0-9]+).*/\1/' <<<"$BODY")
	[ "$SSH" -ge 2200 ]
	expect 200 "{\"json\":$(shape running)}"
	grep -qE '"containerId":"[0-9a-f]{64}"' <<<"$BODY"
	rpc workspaces/list
	expect 200 "{\"json\":[$(shape running)]}"
	rpc workspaces/get "{\"name\":\"  $(ws a)  \"}"
	expect_match 200 '"workerVersion":"[0-9.]+","limits":\{"memory":[0-9]+,"pids":[0-9]+\}\}\}$'
	rpc workspaces/create "{\"name\":\"$(ws a)\"}"
	expect 409 "{\"json\":{\"defined\":false,\"code\":\"CONFLICT\",\"status\":409,\"message\":\"Workspace '$(ws a)' already exists\"}}"
	rpc info
	expect_match 200 '"workspacesCount":1,"dockerVersion":"[0-9]+\.'
}

@test "exec: exit codes, both streams, arrays, nothing trimmed" {
	rpc workspaces/exec "{\"name\":\"$(ws a)\",\"command\":\"echo out; echo err >&2; exit 3\"}"
	expect 200 '{"json":{"stdout":"out\n","stderr":"err\n","exitCode":3}}'
	rpc workspaces/exec "{\"name\":\"$(ws a)\",\"command\":[\"printf\",\"%s|\",\"a b\",\"c\"]}"
	expect 200 '{"json":{"stdout":"a b|c|","stderr":"","exitCode":0}}'
	for code in 0 1; do
		rpc workspaces/exec "{\"name\":\"$(ws a)\",\"command\":\"echo; echo '  padded  '; echo; exit $code\"}"
		expect 200 '{"json":{"stdout":"\n  padded  \n\n","stderr":"","exitCode":'$code'}}'
	done
	rpc workspaces/exec "{\"name\":\"$(ws a)\",\"command\":[\"/no/such\"]}"
	expect_match 200 '"exitCode":127'
	rpc workspaces/exec "{\"name\":\"$(ws a)\",\"command\":\"id -un; pwd\"}"
	expect 200 '{"json":{"stdout":"workspace\n/home/workspace\n","stderr":"","exitCode":0}}'
}

@test "exec: NUL, bytes that are no UTF-8, base64" {
	rpc workspaces/exec "{\"name\":\"$(ws a)\",\"command\":\"printf 'a\\\\000b\\\\377c'\"}"
	expect 200 '{"json":{"stdout":"a\u0000b'$'\xef\xbf\xbd''c","stderr":"","exitCode":0}}'
	rpc workspaces/exec "{\"name\":\"$(ws a)\",\"command\":\"printf 'a\\\\000b\\\\377c'\",\"encoding\":\"base64\"}"
	expect 200 '{"json":{"stdout":"YQBi/2M=","stderr":"","exitCode":0,"encoding":"base64"}}'
}

# runs TEXT, runs_no TEXT: does a command of the workspace a have it? Both fail when the engine does not say.
runs() { local top; top=$(docker top "workspace-$(ws a)") && [[ $top == *"$1"* ]]; }
runs_no() { local top; top=$(docker top "workspace-$(ws a)") && [[ $top != *"$1"* ]]; }

@test "exec: a timeout ends the whole process group" {
	rpc workspaces/exec "{\"name\":\"$(ws a)\",\"command\":\"sleep 4711 & sleep 4712\",\"timeout\":200}"
	expect 408 '{"json":{"defined":false,"code":"TIMEOUT","status":408,"message":"Command execution timed out after 200ms"}}'
	eventually 30 runs_no 'sleep 471'
}

@test "exec: a caller who leaves takes his command along" {
	curl -s -m 60 --unix-socket "$DIR/agent.sock" -X POST -H 'Content-Type: application/json' \
		--data-binary "{\"json\":{\"name\":\"$(ws a)\",\"command\":\"sleep 4713\"}}" http://localhost/rpc/workspaces/exec 3>&- &
	local caller=$!
	eventually 30 runs 'sleep 4713'
	kill "$caller"
	eventually 30 runs_no 'sleep 4713'
}

@test "exec: 150 MB of output do not become 150 MB of agent" {
	rpc workspaces/exec "{\"name\":\"$(ws a)\",\"command\":\"head -c 150000000 /dev/zero | tr '\\\\000' x\"}" >/dev/null
	[ "$CODE" = 200 ]
	[[ ${BODY: -60} == *'"exitCode":0,"truncated":true}}' ]]
	sanitized || [ "$(awk '/^VmHWM/ { print $2 }' "/proc/$PID/status")" -lt 120000 ]
}

@test "touch and forwards" {
	SSH=$(docker port "workspace-$(ws a)" 22 | head -1 | sed 's/.*://')
	rpc workspaces/touch "{\"name\":\"$(ws a)\"}"
	expect 200 "{\"json\":$(shape running)}"
	rpc workspaces/getPortForwards "{\"name\":\"$(ws a)\"}"
	expect 200 '{"json":{"forwards":[]}}'
	rpc workspaces/setPortForwards "{\"name\":\"$(ws a)\",\"forwards\":[{\"host\":3000,\"container\":3000},{\"host\":8080,\"container\":5173}]}"
	expect 200 "{\"json\":$(shape running '[{"host":3000,"container":3000},{"host":8080,"container":5173}]')}"
	rpc workspaces/getPortForwards "{\"name\":\"$(ws a)\"}"
	expect 200 '{"json":{"forwards":[{"host":3000,"container":3000},{"host":8080,"container":5173}]}}'
}

@test "logs" {
	rpc workspaces/logs "{\"name\":\"$(ws a)\"}"
	expect_match 200 '^\{"json":".*"\}$'
	rpc workspaces/logs "{\"name\":\"$(ws a)\",\"tail\":1}"
	expect_match 200 '^\{"json":"[^\\]*"\}$'
}

@test "sessions: none is said where there is none, and not where there is one" {
	rpc sessions/list "{\"workspaceName\":\"$(ws a)\"}"
	expect 200 '{"json":{"sessions":[],"total":0,"hasMore":false}}'
	rpc sessions/get "{\"workspaceName\":\"$(ws a)\",\"sessionId\":\"nope\"}"
	expect 404 '{"json":{"defined":false,"code":"NOT_FOUND","status":404,"message":"Session not found"}}'
	rpc sessions/search "{\"workspaceName\":\"$(ws a)\",\"query\":\"hello\"}"
	expect 200 '{"json":{"results":[]}}'
	rpc workspaces/exec "{\"name\":\"$(ws a)\",\"command\":\"mkdir -p ~/.claude/projects/x && echo {} > ~/.claude/projects/x/s.jsonl\"}"
	rpc sessions/list "{\"workspaceName\":\"$(ws a)\"}"
	expect_match 501 NOT_IMPLEMENTED
	rpc workspaces/exec "{\"name\":\"$(ws a)\",\"command\":\"rm -r ~/.claude\"}"
}

@test "sync" {
	rpc workspaces/sync "{\"name\":\"$(ws a)\"}"
	expect 200 '{"json":{"success":true}}'
	rpc workspaces/syncAll
	expect 200 "{\"json\":{\"synced\":1,\"failed\":0,\"results\":[{\"name\":\"$(ws a)\",\"success\":true}]}}"
	rpc workspaces/updateWorker "{\"name\":\"$(ws a)\"}"
	expect 200 '{"json":{"success":true}}'
}

@test "the plan, and who decided what" {
	rpc workspaces/start "{\"name\":\"$(ws a)\",\"dryRun\":true}"
	expect_match 200 '"image"'
	rpc explain "{\"name\":\"$(ws a)\"}"
	expect_match 200 '"plan":\{.*"decisions":\[\{'
	rpc hooks/list
	expect_match 200 '"table":\[.*"points":\['
	rpc hooks/show '{"point":"image"}'
	expect_match 200 '"builtin":"'
	rpc hooks/show '{"point":"imgae"}'
	expect_match 404 "did you mean 'image'"
	rpc hooks/check
	expect_match 200 '"ok":true'
	rpc hooks/run "{\"point\":\"image\",\"workspace\":\"$(ws a)\"}"
	expect_match 200 '"answer":"perry:small","layers":\[\{"point":"image"'
	rpc hooks/run "{\"point\":\"on_created\",\"workspace\":\"$(ws a)\"}"
	expect_match 400 'is an action'
}

@test "stop, and what a stopped one refuses" {
	local forwards='[{"host":3000,"container":3000},{"host":8080,"container":5173}]'
	SSH=$(docker port "workspace-$(ws a)" 22 | head -1 | sed 's/.*://')
	for _ in 1 2; do
		rpc workspaces/stop "{\"name\":\"$(ws a)\"}"
		expect 200 "{\"json\":$(shape stopped "$forwards")}"
	done
	rpc workspaces/get "{\"name\":\"$(ws a)\"}"
	expect_match 200 '"status":"stopped".*"workerVersion":null,"limits":\{"memory":[0-9]+,"pids":[0-9]+\}\}\}$'
	rpc workspaces/exec "{\"name\":\"$(ws a)\",\"command\":\"true\"}"
	expect 412 '{"json":{"defined":false,"code":"PRECONDITION_FAILED","status":412,"message":"Workspace is not running"}}'
	rpc workspaces/sync "{\"name\":\"$(ws a)\"}"
	expect 412 "{\"json\":{\"defined\":false,\"code\":\"PRECONDITION_FAILED\",\"status\":412,\"message\":\"Workspace '$(ws a)' is not running\"}}"
	rpc sessions/list "{\"workspaceName\":\"$(ws a)\"}"
	expect 412 '{"json":{"defined":false,"code":"PRECONDITION_FAILED","status":412,"message":"Workspace is not running"}}'
	sock "/rpc/terminal/$(ws a)"
	expect 404 'Not Found'
	rpc workspaces/start "{\"name\":\"$(ws a)\"}"
	expect 200 "{\"json\":$(shape running "$forwards")}"
	sock "/rpc/terminal/$(ws a)"
	expect 400 'WebSocket upgrade failed'
}

@test "clone" {
	rpc workspaces/clone "{\"sourceName\":\"$(ws a)\",\"cloneName\":\"$(ws b)\"}"
	expect_match 200 "^\{\"json\":\{\"name\":\"$(ws b)\",\"status\":\"running\""
	rpc workspaces/clone "{\"sourceName\":\"$(ws a)\",\"cloneName\":\"$(ws b)\"}"
	expect_match 409 "already exists"
	rpc workspaces/delete "{\"name\":\"$(ws b)\"}"
	expect 200 '{"json":{"success":true}}'
}

@test "start makes what is absent, with its environment; a list asks the engine nothing" {
	rpc workspaces/start "{\"name\":\"$(ws d)\",\"env\":{\"A\":\"b\"}}"
	expect_match 200 '"status":"running"'
	rpc workspaces/exec "{\"name\":\"$(ws d)\",\"command\":\"echo \$A\"}"
	expect 200 '{"json":{"stdout":"b\n","stderr":"","exitCode":0}}'
	local before
	# What the agent itself asks after a start is over once it hears what listens.
	heard() { rpc ports/list "{\"name\":\"$(ws d)\"}"; [[ $BODY == *'"watching":true'* ]]; }
	eventually 30 heard
	asked() { sock /metrics; sed -n 's/^perry_engine_requests_total //p' <<<"$BODY"; }
	before=$(asked)
	[[ $before =~ ^[1-9][0-9]*$ ]]
	for _ in 1 2 3 4 5; do
		rpc workspaces/list
		expect_match 200 "\"name\":\"$(ws d)\""
	done
	[ "$(asked)" = "$before" ]
	rpc workspaces/delete "{\"name\":\"$(ws d)\"}"
	expect 200 '{"json":{"success":true}}'
}

@test "openapi.json names every procedure" {
	sock /openapi.json
	expect_match 200 '"openapi":"3.1.0"'
	[ "$(jq '.paths | length' <<<"$BODY")" -gt 60 ]
	jq -e 'def follow($doc): if has("$ref") then $doc.components.schemas[."$ref" | ltrimstr("#/components/schemas/")] else . end;
		. as $doc | .paths["/rpc/workspaces/create"].post.requestBody.content["application/json"].schema.properties.json
		| follow($doc).properties.name | follow($doc).maxLength == 63' <<<"$BODY"
	# Every reference leads somewhere.
	local names
	mapfile -t names < <(jq -r '.. | ."$ref"? // empty' <<<"$BODY" | sort -u | sed 's/.*\///')
	[ "${#names[@]}" -gt 0 ]
	for name in "${names[@]}"; do
		jq -e ".components.schemas[\"$name\"]" <<<"$BODY" >/dev/null || { echo "$name" >&2; return 1; }
	done
}

@test "delete leaves nothing" {
	rpc workspaces/delete "{\"name\":\"$(ws a)\"}"
	expect 200 '{"json":{"success":true}}'
	rpc workspaces/get "{\"name\":\"$(ws a)\"}"
	expect 404
	nothing docker ps -aq --filter name="^workspace-$(ws a)\$"
	nothing docker volume ls -q --filter name="^workspace-$(ws a)\$"
	rpc workspaces/list
	expect 200 '{"json":[]}'
}
