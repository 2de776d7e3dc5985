#!/usr/bin/env bats
# Where auth keys come from: each answer of the auth_key hook that gives one, on a real tailnet. No key is anywhere but in the workspace's memory, for as long as
# the join takes.
load helper
load leave_agent

setup_file() { lab_file_setup keys_setup; }
teardown_file() {
	[ ! -e "$BATS_FILE_TMPDIR/web.pid" ] || kill "$(cat "$BATS_FILE_TMPDIR/web.pid")" 2>/dev/null
	engine_teardown
	lab_file_teardown
}
setup() {
	lab_file_use
	engine_use
}
keys_setup() {
	KEY_OF_ENV=$(lab_key --tags tag:env)
	export KEY_OF_ENV
	leave_agent
	mkdir -p "$DIR/hooks"
}
hook() { printf 'return function() return %s end\n' "$1" >"$DIR/hooks/auth_key.lua"; }
tags_of() { lab_node_named "$1" | jq -r '.tags | join(",")'; }
# joins NAME TAGS: with the hook as it is
joins() {
	p start "$1"
	[ "$(tags_of "$1")" = "$2" ] || { lab_node_named "$1"; return 1; }
	p delete -y "$1"
	gone "$1"
}

@test "a file, the agent's environment, the configuration" {
	(umask 077 && lab_key --tags tag:file >"$DIR/key")
	hook "perry.key.file \"$DIR/key\""
	joins of-file tag:file
	hook 'perry.key.env "KEY_OF_ENV"'
	joins of-env tag:env
	(umask 077 && lab_key --tags tag:conf >"$DIR/key")
	configure ".tailscale.authKey = \"file:$DIR/key\""
	hook 'perry.key.config()'
	joins of-conf tag:conf
	configure 'del(.tailscale.authKey)'
	rm "$DIR/key"
}

@test "made for the join: once, tagged, for minutes; the key is in no file of the agent's" {
	hook 'perry.key.mint { tags = { "tag:a", "tag:b" }, expiry = "5m" }'
	p start made
	[ "$(tags_of made)" = tag:a,tag:b ]
	[ "$(lab_node_named made | jq -r '.preAuthKey | "\(.used) \(.reusable) \(.ephemeral)"')" = "true false true" ]
	p delete -y made
	# By itself, when there is no key: with the default tag.
	rm "$DIR/hooks/auth_key.lua"
	joins by-itself tag:perry-workspace
	refute grep -rqaE 'hskey-auth-[A-Za-z0-9]{4}' "$DIR"
}

@test "fetched: with a secret in a header, out of a JSON answer; and what goes wrong is said" {
	local port
	port=$(free_port)
	KEY=$(lab_key --tags tag:vault) python3 - "$port" <<-'P' 3>&- &
		# A STAND-IN for a store of secrets.
		import http.server, json, os, sys
		class H(http.server.BaseHTTPRequestHandler):
		    def do_GET(self):
		        ok = self.headers.get("X-Vault-Token") == "hvs-1234567890"
		        body = json.dumps({"data": {"data": {"key": os.environ["KEY"]}}} if ok else {"errors": ["permission denied"]}).encode()
		        self.send_response(200 if ok else 403)
		        self.send_header("Content-Length", str(len(body)))
		        self.end_headers()
		        self.wfile.write(body)
		    def log_message(self, *a): pass
		http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), H).serve_forever()
	P
	echo $! >"$BATS_FILE_TMPDIR/web.pid"
	configure '.secrets.vault = "hvs-1234567890"'
	hook "perry.key.http { url = \"http://127.0.0.1:$port/v1/kv\", headers = { [\"X-Vault-Token\"] = perry.secret \"vault\" }, pointer = \"/data/data/key\" }"
	eventually 30 curl -s -o /dev/null "http://127.0.0.1:$port/"
	joins fetched tag:vault
	hook "perry.key.http { url = \"http://127.0.0.1:$port/v1/kv\", pointer = \"/data/data/key\" }"
	run p start denied
	[ "$status" = 0 ]
	[[ $output == *"not on the tailnet: the auth key could not be fetched: http://127.0.0.1:$port/v1/kv answers 403"* ]]
	p delete -y denied
	refute grep -rqaE 'hvs-1234567890' "$DIR/agent.log" "$DIR/stderr" "$DIR/state.db" "$DIR/state.db-wal"
	refute grep -rqaE 'hskey-auth-[A-Za-z0-9]{4}' "$DIR"
}

@test "an API key that is not accepted: the workspace runs, and says which credential" {
	local had
	had=$(cat "$LAB/api.key")
	rm "$DIR/hooks/auth_key.lua"
	printf 'hskey-api-wrongwrong-%064d' 1 >"$LAB/api.key"
	run p start wrong
	printf %s "$had" >"$LAB/api.key"
	[ "$status" = 0 ]
	[[ $output == *"does not accept tailscale.credentials.lab"* ]]
	[ "$(p exec wrong -- echo fine)" = fine ]
	p delete -y wrong
}
