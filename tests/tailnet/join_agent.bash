# shellcheck shell=bash
# An agent of its own on this machine's engine, whose workspaces join the file's lab. The agent's machine is on no tailnet.
# shellcheck source=tests/tailnet/helper.bash
load helper

# join_setup: for lab_file_setup.
join_setup() {
	ssh-keygen -q -t ed25519 -N '' -f "$LAB/id"
	jq -n --arg key "$(lab_key --reusable)" --arg url "$LAB_URL" '{authKey: $key, loginServer: $url}' >"$LAB/tailscale.json"
	export PERRY_TAILSCALE_DIR=$LAB_BIN PERRY_TAILSCALED_SOCKET=$LAB/none.sock
	# No variable of the agent's: it holds the key.
	local CONFIG_MORE
	CONFIG_MORE=", \"tailscale\": $(cat "$LAB/tailscale.json"), \"ssh\": {\"global\": {\"authorize\": [\"$LAB/id.pub\"]}}"
	engine_setup
	# Names are the engine's and the tailnet's: they must be nobody else's.
	echo "j$PORT" >"$BATS_FILE_TMPDIR/prefix"
}
# In setup. N: what every name of a workspace begins with.
join_use() {
	lab_file_use
	engine_use
	export PERRY_TAILSCALE_DIR=$LAB_BIN PERRY_TAILSCALED_SOCKET=$LAB/none.sock
	# shellcheck disable=SC2034
	N=$(cat "$BATS_FILE_TMPDIR/prefix")
}
# In teardown_file.
join_teardown() {
	[ ! -e "$BATS_FILE_TMPDIR/agent" ] || engine_teardown
	lab_file_teardown
}

# config KEY VALUE, or KEY alone to unset it; `key KEY` saves an auth key.
config() { if [ $# = 2 ]; then p agent config set "$1" "$2"; else p agent config unset "$1"; fi; }
key() { p agent config set tailscale.authKey --stdin <<<"$1"; }
# What the list has of a workspace: of NAME FILTER
of() { p list --json | jq -r --arg n "$1" ".[] | select(.name == \$n) | $2"; }
is() { # NAME FILTER EXPECTED
	local got
	got=$(of "$1" "$2")
	[ "$got" = "$3" ] || { echo "$2 of $1 is $got, not $3"; return 1; }
}
connected() { is "$1" .tailscale.status connected; }
failed_with() { # NAME TEXT
	local got
	got=$(of "$1" '.tailscale | select(.status == "failed") | .error')
	[[ $got == *"$2"* ]] || { of "$1" .tailscale; return 1; }
}
mend_has() { # NAME TEXT
	local got
	got=$(of "$1" .tailscale.mend)
	[[ $got == *"$2"* ]] || { of "$1" .tailscale; return 1; }
}
node_of() { lab_node_named "$1" | jq -r .id; }
no_node_named() { ! lab_node_named "$1"; }
inside() { # NAME COMMAND...
	local name=$1
	shift
	docker exec -i "workspace-$name" "$@"
}
# A web server in a workspace: web NAME PORT TEXT [ADDRESS]
web() {
	# shellcheck disable=SC2016
	docker exec -d "workspace-$1" perl -MIO::Socket::INET -e '$SIG{PIPE} = "IGNORE"; ($p, $t, $a) = @ARGV;
		$s = IO::Socket::INET->new(LocalAddr => $a, LocalPort => $p, Listen => 9, ReuseAddr => 1) or die;
		while ($c = $s->accept) { while (<$c>) { last if /^\r?$/ } print $c "HTTP/1.0 200 OK\r\n\r\n$t\n"; close $c }' "$2" "$3" "${4:-0.0.0.0}"
}
# get NODE URL [curl options]: from another machine of the tailnet
get() {
	local node=$1 url=$2
	shift 2
	lab_in "$node" curl -sS -m 3 --fail "$@" "$url"
}
