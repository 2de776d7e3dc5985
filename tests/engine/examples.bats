#!/usr/bin/env bats
# The examples as somebody would use them: copied beside config.json, on real workspaces, a real server at the other end.
load helper

CONFIG_MORE=',"secrets": {"chat": "env:PERRY_TEST_CHAT", "db": "env:PERRY_TEST_DB"}, "allowedMounts": ["/srv"]'
setup_file() {
	export PERRY_TEST_CHAT=chat-token-1 PERRY_TEST_DB=db-password-1
	engine_setup
	mkdir -p "$DIR/hooks"
}
teardown_file() { engine_teardown; }
setup() {
	engine_use
	rm -f "$DIR"/hooks/*.lua
}
teardown() {
	p delete -y one >/dev/null 2>&1 || true
	[ -z "${SERVER:-}" ] || kill "$SERVER" 2>/dev/null || true
}
use() { # EXAMPLE [SED-SCRIPT]
	sed "${2:-}" "examples/$1" >"$DIR/hooks/${1##*/}"
	chmod 644 "$DIR/hooks/${1##*/}"
}
# Takes requests and writes method, path, headers and body down.
server() {
	python3 - "$DIR/requests" "$DIR/server-port" 3>&- <<'P' &
import http.server, sys
class H(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        with open(sys.argv[1], "a") as f:
            f.write(f"{self.command} {self.path} {self.headers.get('Authorization')} {body}\n")
        self.send_response(204)
        self.end_headers()
    do_PATCH = do_POST
    def log_message(self, *a): pass
s = http.server.HTTPServer(("127.0.0.1", 0), H)
open(sys.argv[2], "w").write(str(s.server_port))
s.serve_forever()
P
	SERVER=$!
	eventually 30 test -s "$DIR/server-port"
}

@test "three lines for a prefix, and one by user and branch" {
	use hooks/hostname.lua
	p start one --dry-run | grep -q "^hostname	alice-one	"
	use recipes/branch-prefix/hostname.lua
	p start one --clone https://example.com/x.git --branch feature/x --dry-run | grep -Eq "^hostname	[a-z0-9]+-feature-x-one	"
}

@test "memory is capped, unless the label gpu is set" {
	use hooks/container.lua
	p start one
	[ "$(docker inspect -f '{{.HostConfig.Memory}}' workspace-one)" = $((4 << 30)) ]
	local machines
	machines=$(rm "$DIR/hooks/container.lua" && p start two --dry-run --json | jq .container.memory)
	[ "$machines" -gt 0 ]
	use hooks/container.lua
	p start one -l gpu=1 --dry-run --json | jq -e --argjson m "$machines" '.container.memory == $m and .container.gpus == "all"'
}

@test "host folders are refused, also allowed ones" {
	use hooks/review.lua
	printf 'return function(ws, base)\n  local s = base()\n  table.insert(s.mounts, "/srv:/srv")\n  return s\nend\n' >"$DIR/hooks/container.lua"
	run p start one
	[ "$status" = 7 ]
	[[ "$output" == *"host folders are not for workspaces here: /srv"*"hooks/review.lua:6"* ]]
	rm "$DIR/hooks/review.lua"
	p start one --dry-run | grep -q /srv
}

@test "quiet hours refuse a start with the reason, but not what is labelled" {
	use hooks/admit.lua 's/hour >= 22/hour >= 0/'
	run p start one
	[ "$status" = 7 ]
	[[ "$output" == *"quiet hours until 6:00 UTC"* ]]
	p start one -l night=1
	p exec one -- true
}

@test "a secret by reference is in the environment, and nowhere else" {
	use hooks/env.lua 's/ws.repo and ws.repo.owner == "acme"/true/'
	p start one
	[ "$(p exec one -- sh -c 'echo $DATABASE_PASSWORD')" = db-password-1 ]
	refute grep -rq db-password-1 "$DIR"
	[[ "$(docker inspect workspace-one)" != *db-password-1* ]]
	p explain one env.DATABASE_PASSWORD | grep -q "the secret db"
}

@test "a deletion is posted to a chat, with the token from the secrets" {
	server
	use hooks/on_deleted.lua "s|https://chat.example.com|http://127.0.0.1:$(cat "$DIR/server-port")|"
	p start one
	p delete -y one
	eventually 30 grep -q "POST /api/post Bearer chat-token-1 .*deleted the workspace one" "$DIR/requests"
}

@test "every example at once: nothing of them stops a start but what is meant to" {
	local f
	for f in examples/hooks/*.lua; do
		case $f in *_test.lua | */image.lua | */auth_key.lua) continue ;; esac
		use "hooks/${f##*/}" 's/hour >= 22 or hour < 6/false/; s|https://[a-z]*.example.com|http://127.0.0.1:1|'
	done
	p hooks check --strict "$DIR/hooks" >/dev/null
	p start one
	p restart one
	p stop one
	p explain one >/dev/null
}
