#!/bin/sh
# docs/config.md from the table of keys, so that it is never out of date (make check compares).
set -eu
cd "$(dirname "$0")/.."
cat <<'H'
# config.json

In the configuration folder (`$PERRY_CONFIG_DIR`, else `~/.config/perry`), mode 0600. Constants live here, decisions in [hooks](hooks/).
`perry agent config` asks on a terminal for what one sets up first (token, GitHub, SSH keys, coding agents, Tailscale), step by step; Enter keeps what there is, `-` takes it away,
Ctrl-C stops and leaves finished steps saved; `perry agent config tailscale` is one step alone. `perry agent config set KEY VALUE` changes one key; the agent takes a change up by itself. A broken file stops the agent with file, line and column and is never overwritten;
one that is broken, emptied or removed while the agent runs leaves the last good configuration in force, its token included (only `auth.token` "" turns authentication off);
unknown keys are kept, and reported with the nearest known one. Secrets are read from standard input: `perry agent config set tailscale.authKey --stdin`.

| key | type | default | |
|---|---|---|---|
H
sed -n 's/^\tX("\([^"]*\)", "\([^"]*\)", \([a-z]*\), [0-9]*, [0-9]*, \(.*\), "\([^"]*\)").*$/\1|\2|\3|\4|\5/p' core/config/keys.h |
	while IFS='|' read -r key type secret dflt doc; do
		case $dflt in NULL) dflt="" ;; *) dflt="\`$(printf '%s' "$dflt" | sed 's/^"//; s/"$//; s/\\"/"/g')\`" ;; esac
		[ "$secret" = true ] && type="$type, secret"
		# shellcheck disable=SC2016
		printf '| `%s` | %s | %s | %s |\n' "$key" "$type" "$dflt" "$doc"
	done
cat <<'H'

Environment variables that stand above the file: `PERRY_PORT`, `PERRY_NO_HOST_ACCESS=true`, `PERRY_TAILSCALE_AUTH_KEY`. `perry agent show-config --origin` says where each value comes from. `PERRY_LOG` (`error`, `warn`, `info`, `debug`), or `perry agent run --log-level`, says how much stands in `agent.log`.
H
