#!/usr/bin/env bats
# kill -9 of the agent at any instant over operations of all kinds. ROUNDS rounds (make test-killed: many), each from its seed: SEED=n ROUNDS=1 is one again.
# BOUND: seconds after the agent's return in which all that was accepted must have ended. FIGURES: a file that gets a line for each round.
load helper

setup_file() { engine_setup; }
teardown_file() {
	local volumes
	volumes=$(. "$BATS_FILE_TMPDIR/agent" && docker volume ls -q --filter "label=perry.agent=$(agent_id)")
	engine_teardown
	[ -z "$volumes" ] || xargs docker volume rm -f <<<"$volumes" >/dev/null 2>&1 || :
}
setup() { engine_use; }

rpc_json() { curl -s -m 60 --unix-socket "$DIR/agent.sock" -X POST -H 'Content-Type: application/json' ${2:+-d "{\"json\":$2}"} "http://localhost/rpc/$1" | jq -c .json; }
under_way() { rpc_json operations/list '{}' | jq '[.[] | select(.state == "queued" or .state == "running")] | length'; }
none_under_way() { [ "$(under_way)" = 0 ]; }

# Asks for an operation; prints its id once it was accepted.
accept() {
	curl -s -m 60 --unix-socket "$DIR/agent.sock" -X POST -H 'Content-Type: application/json' -H 'Prefer: respond-async' \
		-d "{\"json\":$2}" "http://localhost/rpc/$1" | jq -r '.json.operation // empty'
}
# Operations that were accepted and have not ended, or that failed and do not say why: a line each.
unended() {
	local id
	while read -r id; do
		rpc_json operations/get "{\"id\":\"$id\"}" | jq -r --arg id "$id" '
			if .state == "done" then empty
			elif .state == "failed" or .state == "cancelled" then select((.error.message // "") == "") | "\($id) \(.state) and does not say why"
			else "\($id) is \(.state // "not known")" end'
	done < <(sort -u "$OUT/accepted")
	return 0
}
all_ended() { none_under_way && nothing unended; }

# A command that is not waited for. It ends when the agent is gone, or was never there.
aside() {
	said+="$*; "
	timeout 60 "$BUILD/perry" "$@" >/dev/null 2>&1 3>&- &
}
# One operation or command, not waited for. Refusals (busy, not there) are answers, too.
one() {
	local name=kil$((RANDOM % 4)) other=kil$((RANDOM % 4)) call='' input
	case $((RANDOM % 16)) in
	0 | 1 | 2) call=start input="{\"name\":\"$name\"}" ;;
	3) call=start input="{\"name\":\"$name\",\"env\":{\"R\":\"$RANDOM\"}}" ;;
	4) call=stop input="{\"name\":\"$name\"}" ;;
	5) call=restart input="{\"name\":\"$name\"}" ;;
	6 | 7) call=clone input="{\"sourceName\":\"$name\",\"cloneName\":\"$other\"}" ;;
	8) call=sync input="{\"name\":\"$name\"}" ;;
	9) call=delete input="{\"name\":\"$name\"}" ;;
	10) call=delete input='{"name":"kil3","keepHome":true}' ;; # the volume of this one may stay
	11) call=prune input='{}' ;;
	12) aside exec "$name" -- sh -c 'date >> ~/said; sleep 0.4' ;;
	13) aside cp "$OUT/big" "$name:in$((RANDOM % 3))" ;;
	14) aside cp "$name:/bin/bash" "$OUT/out$((RANDOM % 3))" ;;
	15) aside agent config set limits.pids $((1000 + RANDOM % 1000)) ;;
	esac
	if [ -z "$call" ]; then
		sleep "0.$((RANDOM % 3))"
		return
	fi
	said+="$call $input; "
	accept "workspaces/$call" "$input" >>"$OUT/accepted" 2>/dev/null 3>&- &
	sleep "0.$((RANDOM % 3))"
}

things() { docker "$@" --filter "label=perry.agent=$ID"; }
# What must hold once nothing is under way: echoes what does not.
broken() {
	local names ws list
	list=$(rpc_json workspaces/list)
	names=" $(jq -r '.[].name' <<<"$list" | tr '\n' ' ')"
	things ps -q --filter status=paused | grep -q . && echo "something is paused"
	things ps -aq --filter label=perry.helper | grep -q . && echo "a helper is left"
	for ws in $(things ps -a --format '{{.Label "perry.workspace"}}') $(things volume ls --format '{{.Label "perry.workspace"}}' | grep -v kil3); do
		[[ $names == *" $ws "* ]] || echo "something of $ws is left, which is no workspace"
	done
	for ws in kil0 kil1 kil2; do
		[[ $names == *" $ws "* ]] || { docker volume inspect "workspace-$ws" >/dev/null 2>&1 && echo "the volume of $ws is left"; }
	done
	[ "$(things network ls -q | wc -l)" -le $(($(jq length <<<"$list") + 1)) ] || echo "networks are left"
	for ws in $(jq -r '.[] | select(.status == "running") | .name' <<<"$list"); do
		[ "$(timeout 30 "$BUILD/perry" exec "$ws" -- echo fine 2>&1)" = fine ] || echo "$ws is called running and runs nothing"
	done
	for ws in $(jq -r '.[] | select(.status == "error" and (.error // "") == "") | .name' <<<"$list"); do echo "$ws is in error and does not say why"; done
	for ws in $(jq -r '.[].name' <<<"$list"); do
		case $(rpc_json workspaces/inspect "{\"name\":\"$ws\"}" | jq -r .state) in creating | deleting) echo "$ws stays half made" ;; esac
	done
	whole
	return 0
}
# Settings are whole, and what was copied out is whole or not there.
whole() {
	local file
	jq -e '.auth.token | length > 20' "$DIR/config.json" >/dev/null || echo "config.json is damaged"
	for file in "$OUT"/out*; do
		[ ! -e "$file" ] || cmp -s "$OUT/bash" "$file" || echo "$file is a part of what was copied"
	done
}
sound() { [ -z "$(broken)" ]; }

round() { # SEED
	local i n back said=
	RANDOM=$1
	: >"$OUT/accepted"
	n=$((10 + RANDOM % 11))
	for ((i = 0; i < n; i++)); do one; done
	sleep "$((RANDOM % 3)).$((RANDOM % 10))"
	for ((i = 0; i <= RANDOM % 3; i++)); do # some are killed again while they recover
		agent_end KILL
		agent_again
		sleep "0.$((RANDOM % 10))"
	done
	back=$(now_ms)
	eventually "${BOUND:-120}" all_ended || { unended >&2; rpc_json operations/list '{}' | jq -c '.[] | select(.state == "queued" or .state == "running")' >&2; echo "seed $1: $said" >&2; return 1; }
	[ -z "${FIGURES:-}" ] || echo "seed $1: $(sort -u "$OUT/accepted" | wc -l) accepted, all ended $(($(now_ms) - back)) ms after the agent's return" >>"$FIGURES"
	# Networks and helpers go in the background.
	eventually 60 sound || { broken >&2; echo "seed $1: $said" >&2; return 1; }
}

@test "kill -9 in the middle of everything: all that was accepted ends, nothing is paused, nothing is left" {
	local seed=${SEED:-$RANDOM} i
	ID=$(agent_id)
	[ -n "$ID" ]
	OUT=$BATS_TEST_TMPDIR
	head -c 3000000 /dev/urandom >"$OUT/big"
	docker run --rm --entrypoint cat perry:small /bin/bash >"$OUT/bash"
	for ((i = 0; i < ${ROUNDS:-3}; i++)); do
		round $((seed + i))
		[ "$((i % 10))" != 9 ] || echo "# $((i + 1)) rounds" >&3
	done
}
