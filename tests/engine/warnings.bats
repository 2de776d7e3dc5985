#!/usr/bin/env bats
# What goes wrong in an operation and does not end it: on standard error, in the answer, in the event, in the journal.
bats_require_minimum_version 1.5.0
load helper

setup_file() { engine_setup; }
teardown_file() { engine_teardown; }
# Each test begins with an agent that runs, the configuration of the file and no workspace.
setup() {
	engine_use
	curl -sf -o /dev/null --unix-socket "$DIR/agent.sock" http://localhost/health || agent_again
	config "del(.scripts, .credentials, .ssh, .tailscale)"
}
teardown() {
	local ws
	for ws in $(p list -q 2>/dev/null || true); do p delete -y "$ws" >/dev/null 2>&1 || true; done
}

# config JQ: changes config.json as an editor would; the agent takes it from there.
config() {
	jq "$1" "$DIR/config.json" >"$DIR/config.new"
	chmod 600 "$DIR/config.new"
	mv "$DIR/config.new" "$DIR/config.json"
}
# The warnings of the newest operation on a workspace, as its event, its record and its record's answer have them.
of_event() { p events --json | jq -sc --arg n "$1" '[.[] | select(.kind == "operation" and .workspace == $n and .state != "running" and .state != "queued")] | last | .warnings'; }
operation() { rpc operations/list "{\"workspace\":\"$1\",\"limit\":1}"; jq -c ".json[0]$2" <<<"$BODY"; }
# everywhere NAME JQ: the filter holds for the warnings in all three.
everywhere() {
	local have
	for have in "$(of_event "$1")" "$(operation "$1" .warnings)" "$(operation "$1" .result.warnings)"; do
		jq -e "$2" <<<"$have" >/dev/null || { echo "not so: $have"; return 1; }
	done
}
script() { # NAME TEXT
	printf '#!/bin/sh\n%b\n' "$2" >"$DIR/$1"
	chmod +x "$DIR/$1"
	config ".scripts.post_start = [\"$DIR/$1\"]"
}
# A script that fails with this code, and says what would move the cursor.
failing() { script fails.sh 'echo first; printf "oh \\\\033[31mno\\\\233 \\\\302\\\\2332J\\\\n"; exit '"$1"; } # CODE
# ended STATUS: of the last run, with what it said when it is another.
ended() { [ "$status" = "$1" ] || { echo "exit $status: $output $stderr"; return 1; }; }
kill_agent() {
	kill -9 "$PID"
	wait "$PID" 2>/dev/null || true
	eventually 10 refute kill -0 "$PID" 2>/dev/null
}

@test "without one nothing has any" {
	run --separate-stderr p start web --json
	ended 0
	# shellcheck disable=SC2154 # set by run
	[ -z "$stderr" ]
	jq -e 'has("warnings") | not' <<<"$output"
	[ "$(of_event web)" = null ]
	[ "$(operation web .warnings)" = null ]
	[ "$(operation web .result.status)" = '"running"' ]
}

@test "a script of post_start that fails: 0, a warning with what it said, and nothing of it moves the cursor" {
	failing 3
	run --separate-stderr p start web --json
	ended 0
	[[ $stderr == "perry: warning: web: $DIR/fails.sh failed with exit code 3: first"$'\n'"  oh  [31mno"* ]]
	refute grep -q "$(printf '\033\\|\302\233')" <<<"$stderr"
	jq -e '.status == "running" and (.warnings | length == 1) and (.warnings[0] | .step == "scripts" and (.message | contains("exit code 3")))' <<<"$output"
	everywhere web 'length == 1 and .[0].step == "scripts" and (.[0].message | contains("fails.sh failed with exit code 3"))'
	[[ $(p info web --json | jq -r .error) == *"exit code 3"* ]]
}

@test "a script that failed: the agent that was killed and is back still says so" {
	failing 3
	p start web
	kill_agent
	agent_again
	everywhere web 'length == 1 and .[0].step == "scripts"'
	# So does a start of what runs.
	run --separate-stderr p start web
	ended 0
	[[ $stderr == *"perry: warning: web: $DIR/fails.sh failed with exit code 3"* ]]
}

@test "a script that failed is shown by perry events when nobody waited" {
	failing 5
	run --separate-stderr p start --no-wait web
	ended 0
	[ -z "$stderr" ]
	told() { p events | grep -q "warning    web scripts .*exit code 5"; }
	eventually 60 told
	refute grep -q "$(printf '\033')" <(p events)
}

@test "a script that failed fails the start with scripts.fail_on_error, and its text is no less harmless" {
	failing 5
	config ".scripts.fail_on_error = true"
	run --separate-stderr p start web
	ended 1
	[[ $stderr == *"fails.sh failed with exit code 5"*"perry restart web"* ]]
	refute grep -q "$(printf '\033\\|\302\233')" <<<"$stderr"
}

# on_terminal COMMAND...: what perry writes to a terminal, without what is its own (a line begun anew), has nothing that a terminal acts on. In SHOWN.
on_terminal() {
	SHOWN=$(command script -qec "$(printf '%q ' "$BUILD/perry" "$@")" /dev/null </dev/null | python3 -c '
import sys, unicodedata
raw = sys.stdin.buffer.read().replace(b"\r", b"").replace(b"\x1b[K", b"")
text = raw.decode(errors="surrogateescape")
bad = {hex(ord(c)) for c in text if c != "\n" and (unicodedata.category(c) in ("Cc", "Cf", "Cs"))}
print(text.encode(errors="replace").decode())
sys.exit(f"acts on the terminal: {bad}: {raw!r}" if bad else 0)')
}

# Colours, the title, C1 as a byte and as UTF-8, bidi controls, a carriage return.
@test "nothing that a script or a hook says acts on the terminal that a start is on" {
	local evil='\\033[31mred\\033]0;title\\007 \\233c1 \\302\\2332J \\342\\200\\256bidi\\rover'
	script talks.sh "printf '$evil\\n'; sleep 1; printf '$evil\\n' >&2; exit 3"
	on_terminal start web
	[[ $SHOWN == *"talks.sh failed with exit code 3"*red* ]] || { echo "$SHOWN"; return 1; }
	on_terminal info web
	[[ $SHOWN == *red* ]] || { echo "$SHOWN"; return 1; }
	on_terminal list
	on_terminal events
	[[ $SHOWN == *red* ]] || { echo "$SHOWN"; return 1; }
	config ".scripts.fail_on_error = true"
	on_terminal restart web || [[ $SHOWN == *red* ]]
	[[ $SHOWN == *"talks.sh failed"* ]] || { echo "$SHOWN"; return 1; }
	config "del(.scripts)"
	# A hook that refuses, one that fails, and one whose answer is shown.
	mkdir -p "$DIR/hooks"
	local words='\27[31mred\27]0;title\7 \155c1 \194\1552J \226\128\174bidi\rover'
	printf 'return function(ws) return ws.name ~= "refused", "%s" end\n' "$words" >"$DIR/hooks/admit.lua"
	on_terminal start refused
	[[ $SHOWN == *red* ]] || { echo "$SHOWN"; return 1; }
	printf 'return function() error("%s") end\n' "$words" >"$DIR/hooks/env.lua"
	on_terminal start broken
	[[ $SHOWN == *red* ]] || { echo "$SHOWN"; return 1; }
	rm "$DIR/hooks/env.lua"
	printf 'return function(ws, env) env.WORD = "%s" return env end\n' "$words" >"$DIR/hooks/env.lua"
	on_terminal start --dry-run shown
	on_terminal start shown
	on_terminal explain shown --all
	rm -r "$DIR/hooks"
}

@test "a script that is not there is named" {
	config ".scripts.post_start = [\"$DIR/no-such.sh\"]"
	run --separate-stderr p start web
	ended 0
	[[ $stderr == "perry: warning: web: there is no $DIR/no-such.sh (scripts.post_start)" ]]
}

@test "killed after the script failed: the operation that goes on has not forgotten" {
	script slow.sh 'echo once >> ~/ran; exit 4'
	printf '#!/bin/sh\ntouch ~/second; sleep 3\n' >"$DIR/then.sh"
	chmod +x "$DIR/then.sh"
	config ".scripts.post_start = [\"$DIR/slow.sh\", \"$DIR/then.sh\"]"
	p start --no-wait killed
	eventually 60 docker exec workspace-killed test -e /home/workspace/second
	kill_agent
	agent_again
	done_again() { [ "$(operation killed .state)" = '"done"' ]; }
	eventually 60 done_again
	everywhere killed 'length == 1 and (.[0].message | contains("slow.sh failed with exit code 4"))'
	[ "$(p exec killed -- cat ran)" = once ]
}

@test "a file that this machine does not have is named; the others come" {
	echo here >"$DIR/here"
	config ".credentials.files = {\"~/.here\": \"$DIR/here\", \"~/.gone\": \"$DIR/gone\"} | .ssh.global.copy = [\"$DIR/id_gone\"]"
	run --separate-stderr p start filed --json
	ended 0
	[[ $stderr == *"perry: warning: filed: ~/.gone is not copied: $DIR/gone: No such file or directory"* ]]
	[[ $stderr == *"perry: warning: filed: the key $DIR/id_gone is not copied: No such file or directory"* ]]
	jq -e '.warnings | length == 2 and all(.step == "sync")' <<<"$output"
	everywhere filed 'length == 2 and all(.step == "sync")'
	[ "$(p exec filed -- cat .here)" = here ]
	# Files are all that a sync is for: here it is 1.
	run --separate-stderr p sync filed --json
	ended 1
	[[ $stderr == *"filed: ~/.gone is not copied"* ]]
	jq -e '.success and (.warnings | length == 2)' <<<"$output"
	everywhere filed 'length == 2'
}

@test "a file that cannot be written inside is named, and a start goes on" {
	echo here >"$DIR/here"
	p start filed
	p exec filed -- mkdir .dir
	config ".credentials.files = {\"~/.here\": \"$DIR/here\", \"~/.dir\": \"$DIR/here\"}"
	run --separate-stderr p restart filed
	ended 0
	[[ $stderr == "perry: warning: filed: cannot be written: /home/workspace/.dir: Is a directory" ]]
	status_is filed running
	run --separate-stderr p sync --all
	ended 1
	[[ $stderr == *"perry: warning: filed: cannot be written: /home/workspace/.dir: Is a directory"* ]]
	[[ $output == *"filed"*ok* ]]
	rpc workspaces/syncAll
	jq -e '.json | .failed == 0 and (.results[] | select(.name == "filed") | .success and (.warnings | length == 1))' <<<"$BODY"
	everywhere filed 'length == 1 and (.[0].message | contains("/home/workspace/.dir"))'
	p exec filed -- rmdir .dir
	run --separate-stderr p sync filed
	ended 0
	[ -z "$stderr" ]
}

@test "a clone has warnings, too" {
	echo here >"$DIR/here"
	p start filed
	p exec filed -- mkdir .dir
	config ".credentials.files = {\"~/.dir\": \"$DIR/here\"}"
	run --separate-stderr p clone filed copied
	ended 0
	[[ $stderr == *"perry: warning: copied: cannot be written: /home/workspace/.dir: Is a directory"* ]]
	everywhere copied 'length == 1'
}

@test "a join that fails: 0, why and what mends it" {
	config '.tailscale = {authKey: "hskey-auth-nobody-knows", loginServer: "http://127.0.0.1:1", joinTimeout: 5}'
	run --separate-stderr p start joins --json
	ended 0
	[[ $stderr == "perry: warning: joins: not on the tailnet: "*$'\n'"  "*"perry start joins"* ]]
	jq -e '.tailscale.status == "failed" and (.warnings | length == 1) and (.warnings[0] | .step == "tailscale" and .mend != null)' <<<"$output"
	everywhere joins 'length == 1 and .[0].step == "tailscale" and (.[0].message | startswith("not on the tailnet: ")) and .[0].mend != null'
	# Tried again, or not: it is not there, and a start says so.
	run --separate-stderr p start joins
	ended 0
	[[ $stderr == *"perry: warning: joins: not on the tailnet: "* ]]
	kill_agent
	agent_again
	everywhere joins 'length == 1 and .[0].step == "tailscale"'
}

@test "a restart right after a setting of tailscale was changed is not refused for the join that the agent tries again" {
	config '.tailscale = {authKey: "hskey-auth-nobody-knows", loginServer: "http://127.0.0.1:1", joinTimeout: 5}'
	p start joins
	# Packets to there get no answer.
	p agent config set tailscale.loginServer http://198.18.255.1:1
	tries_again() { rpc operations/list '{"workspace":"joins","limit":1}' && jq -e '.json[0] | .kind == "start" and .caller.kind == "agent"' <<<"$BODY"; }
	eventually 30 tries_again
	run --separate-stderr p restart joins
	ended 0
	[[ $stderr == *"perry: warning: joins: not on the tailnet: "* ]]
	status_is joins running
}
