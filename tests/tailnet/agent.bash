# shellcheck shell=bash
# An agent on a node of the lab, and callers from the others.

# agent_on NODE [COMMAND...]: starts it there (COMMAND runs it: env A=B, setpriv ...) and waits for its line. DIR is its folder.
agent_on() {
	local node=$1
	shift
	NODE=$node
	DIR=${DIR:-$(mktemp -d "$LAB/agent-XXXXXX")}
	agent_config "\"allowHostAccess\": false ${CONFIG_MORE:-}"
	chown --reference="$DIR" "$DIR/config.json"
	: >"$DIR/stdout"
	agent_launch lab_in "$node" env PERRY_TAILSCALED_SOCKET="${SOCKET:-$LAB/$node/tailscaled.sock}" PERRY_CONFIG_DIR="$DIR" "$@" \
		"$BUILD/perry-agent" agent run -c "$DIR"
	disown
	lab_until 30 grep -q 'Agent running' "$DIR/stdout" || { cat "$DIR/stderr" >&2; return 1; }
	agent_is "$(head -n 1 "$DIR/agent.pid")"
	TOKEN=$(jq -r .auth.token "$DIR/config.json")
	printf 'NODE=%q\nDIR=%q\nPID=%q\nTOKEN=%q\n' "$NODE" "$DIR" "$PID" "$TOKEN" >"$BATS_FILE_TMPDIR/agent"
}
# The same, of a user who is neither root nor operator: by the words in AS, which `own` takes, too.
agent_of_nobody() {
	agent_clean_up
	DIR=$(mktemp -d "$LAB/agent-XXXXXX")
	chmod 755 "$LAB"
	chown 65534 "$DIR"
	agent_on agent "${AS[@]}"
}
# In setup: the agent of the test before, if there is one.
agent_use() {
	# shellcheck disable=SC1091
	[ ! -e "$BATS_FILE_TMPDIR/agent" ] || . "$BATS_FILE_TMPDIR/agent"
}
# Ends it, with the network that it kept ready for its next workspace.
agent_clean_up() {
	local id
	id=$(agent_id lab_in "$NODE")
	agent_end || :
	agent_networks_gone "$id" 2>/dev/null || true
}
# The command line on the agent's own machine; AS: a command that makes it another user's.
own() { lab_in "$NODE" env PERRY_CONFIG_DIR="$DIR" "${AS[@]}" "$BUILD/perry" "$@"; }
# And that of another node: from NODE COMMAND...
from() {
	local node=$1
	shift
	lab_in "$node" env PERRY_CONFIG_DIR="$LAB/client-$node" CURL_CA_BUNDLE="$LAB/https/ca.crt" SSL_CERT_FILE="$LAB/https/ca.crt" "$BUILD/perry" "$@"
}

# CODE and BODY of a call: call NODE URL [PROCEDURE [curl options]]
call() {
	local node=$1 url=$2 procedure=${3:-workspaces/list} out ca=()
	shift $(($# > 3 ? 3 : $#))
	[ ! -e "$LAB/https/ca.crt" ] || ca=(--cacert "$LAB/https/ca.crt")
	out=$(lab_in "$node" curl -s -m 20 "${ca[@]}" -w '\n%{http_code}' -X POST -H 'Content-Type: application/json' -d "${INPUT:-{\}}" "$@" "$url/rpc/$procedure")
	answer "$out"
}
# Until it is so: calls CODE NODE URL [PROCEDURE [curl options]]
calls() {
	local want=$1
	shift
	call "$@"
	[ "$CODE" = "$want" ] || { echo "wanted $want, got $CODE $BODY"; return 1; }
}
serve_config() { lab_ts "$NODE" serve status --json; }
has_said() { grep -qF -- "$1" "$DIR/stdout"; }
# Waits for it: what the start does not wait for comes a moment later.
said() { lab_until 10 has_said "$1"; }
# The lines of a start, on standard input. On a busy machine Tailscale takes more than the start waits for: then its lines come after the agent's own.
lines_are() {
	local want
	want=$(cat)
	lab_until 10 same_lines "$want"
	[[ $(head -n 1 "$DIR/stdout") == *'Agent running'* ]] || diff <(echo "$want") "$DIR/stdout"
}
same_lines() { diff <(sort <<<"$1") <(sort "$DIR/stdout"); }
