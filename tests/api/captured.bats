#!/usr/bin/env bats
# Traffic captured from the original, replayed: the same bodies, byte for byte.
load helper

setup_file() {
	export DIR PORT PID TOKEN
	export HOME=$BATS_FILE_TMPDIR SHELL=/bin/bash # no SSH keys, no sessions of coding agents
	agent_start
}
teardown_file() { agent_clean; }

@test "captured requests get the captured answers" {
	local procedure input code answer failed=0 n=0
	while IFS=$'\t' read -r procedure input code answer; do
		[[ $procedure == \#* || -z $procedure ]] && continue
		n=$((n + 1))
		if [ "$input" = - ]; then rpc "$procedure"; else rpc "$procedure" "$input"; fi
		expect "$code" "{\"json\":$answer}" || { echo "at $procedure $input" >&2; failed=1; }
	done <"$BATS_TEST_DIRNAME/captured.txt"
	[ "$n" -gt 50 ]
	[ "$failed" = 0 ]
}

@test "a call without input takes no body, {}, [] and null, with and without a type" {
	for body in '{}' '[]' '{"json":null}' ''; do
		sock /rpc/workspaces/list -X POST --data-binary "$body" -H 'Content-Type:'
		expect 200 '{"json":[]}'
		sock /rpc/workspaces/list -X POST --data-binary "$body" -H 'Content-Type: application/json'
		expect 200 '{"json":[]}'
	done
}

@test "JSON without the envelope is no input, and a form is none" {
	local undefined='{"json":{"defined":false,"code":"BAD_REQUEST","status":400,"message":"Input validation failed","data":{"issues":[{"expected":"object","code":"invalid_type","path":[],"message":"Invalid input: expected object, received undefined"}]}}}'
	sock /rpc/workspaces/create -X POST -H 'Content-Type:' --data-binary '{"name":"x"}'
	expect 400 "$undefined"
	sock /rpc/workspaces/create -d '{"json":{"name":"x"}}' # curl says it is a form
	expect 400 "$undefined"
}

@test "malformed JSON" {
	sock /rpc/workspaces/create -X POST -H 'Content-Type: application/json' --data-binary '{bad json'
	expect 400 "{\"json\":{\"defined\":false,\"code\":\"BAD_REQUEST\",\"status\":400,\"message\":\"Malformed request. Ensure the request body is properly formatted and the 'Content-Type' header is set correctly.\"}}"
}

@test "a trailing slash, a dot, an unknown procedure" {
	rpc workspaces/get/ '{"name":"nope"}'
	expect 404 '{"json":{"defined":false,"code":"NOT_FOUND","status":404,"message":"Workspace not found"}}'
	for path in /rpc/workspaces.list /rpc/workspaces/nope /rpc/nope /rpc /rpc/ /rpc//workspaces/list; do
		sock $path -X POST
		expect 404 '{"error":"Not found"}'
	done
}

@test "only POST calls a procedure" {
	for method in GET PUT DELETE PATCH; do
		sock /rpc/workspaces/list -X $method
		expect 405 '{"json":{"defined":false,"code":"METHOD_NOT_SUPPORTED","status":405,"message":"Method Not Supported"}}'
	done
	curl -si -m 5 --unix-socket "$DIR/agent.sock" http://localhost/rpc/workspaces/list | grep -qi '^allow: POST'
	sock '/rpc/workspaces/get?data=%7B%22json%22%3A%7B%22name%22%3A%22wire1%22%7D%7D'
	expect 405
}

@test "/health and its neighbours" {
	tcp /health
	expect_match 200 '^\{"status":"ok","version":"[0-9.]+"[,}]'
	sock /health -X POST
	expect 404 '{"error":"Not found"}'
	sock /health/
	expect 404 '{"error":"Not found"}'
	sock /nope.js
	expect 404 '{"error":"Not found"}'
}

@test "tokens: generate, preview, disable" {
	rpc config/auth/get
	expect_match 200 '^\{"json":\{"hasToken":true,"tokenPreview":"[0-9a-f]{4}\.\.\.[0-9a-f]{4}"\}\}$'
	rpc config/auth/generate
	expect_match 200 '^\{"json":\{"token":"[0-9a-f]{24,}"\}\}$'
	local fresh
	fresh=$(sed -E 's/.*"token":"([0-9a-f]+)".*/\1/' <<<"$BODY")
	[ "$fresh" != "$TOKEN" ]
	tcp /rpc/workspaces/list -X POST -H "Authorization: Bearer $TOKEN"
	expect 401 Unauthorized
	tcp /rpc/workspaces/list -X POST -H "Authorization: Bearer $fresh"
	expect 200
	rpc config/auth/disable
	expect 200 '{"json":{"success":true}}'
	tcp /rpc/config/auth/get -X POST
	expect 200 '{"json":{"hasToken":false}}'
	# Off does not mean that anybody may turn it into something else.
	tcp /rpc/config/auth/generate -X POST
	expect_match 403 FORBIDDEN
	tcp /rpc/config/credentials/update -X POST --data-binary '{"json":{"env":{},"files":{}}}' -H 'Content-Type: application/json'
	expect_match 403 FORBIDDEN
}
