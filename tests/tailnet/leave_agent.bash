# shellcheck shell=bash
# An agent whose workspaces join the lab's tailnet, and what the tests of leaving ask of both.

# In setup_file, by lab_file_setup: an agent with an API credential; keys are made for each join.
leave_agent() {
	umask 077
	# Somebody else's: it must be there at the end of each test. It stands for this machine's own Tailscale, too.
	lab_node phone "$(lab_key)"
	export PERRY_TAILSCALE_DIR=$LAB_BIN PERRY_TAILSCALED_SOCKET=$LAB/phone/tailscaled.sock
	engine_setup
	configure ".secrets.hs = \"file:$LAB/api.key\""
	with_credential
}
tailscale_config() { jq -cn --arg url "$LAB_URL" '{serve: false, loginServer: $url, credentials: {lab: {type: "headscale", url: $url, apiKey: "hs"}}}'; }
# configure JQ-FILTER: changes config.json, which the agent takes up by itself.
configure() {
	jq "$1" "$DIR/config.json" >"$DIR/config.new" && chmod 600 "$DIR/config.new" && mv "$DIR/config.new" "$DIR/config.json"
}
with_credential() { configure "del(.tailscale.authKey) | .tailscale = $(tailscale_config)"; }
with_key() { configure "del(.tailscale.credentials) | .tailscale.authKey = \"$1\""; }

names() { lab_nodes | jq -r '.[].givenName'; }
joined() { names | grep -qx "$1"; }
gone() { ! joined "$1"; }
node_id() { lab_node_named "$1" | jq -r .id; }
pending() { p tailnet status --json | jq -r '.pending[] | "\(.state) \(.hostname)"'; }
nothing_pending() { [ -z "$(pending)" ]; }

agent_killed_and_back() {
	agent_end KILL
	agent_again
	# shellcheck disable=SC1091
	. "$BATS_FILE_TMPDIR/agent"
}
