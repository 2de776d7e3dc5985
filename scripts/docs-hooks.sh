#!/bin/sh
# docs/hooks/reference.md and recipes.md, from the tables, the types, the built-in hooks and the examples, so that they are never out of date
# (make lint and the tests compare).
#   scripts/docs-hooks.sh reference|recipes
# shellcheck disable=SC2016 # backquotes are Markdown
set -eu
cd "$(dirname "$0")/.."
types=lua/types/perry.d.lua
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The comment that a hook begins with, as text.
about() { sed -n '2,${/^-- \{0,1\}/!q; s/^-- \{0,1\}//; p}' "$1"; }
code() { printf '```lua\n'; sed '1{/^-- perry: api=/d}' "$1"; printf '```\n'; }

recipe() { # FILE
	# The first sentence, and the point that it answers.
	printf '\n### %s\n\n' "$(about "$1" | tr '\n' ' ' | sed 's/\([.:]\) .*$/\1/; s/[.: ]*$//')"
	printf '`%s`: [%s](../../%s)\n\n' "$(basename "$1" .lua)" "$1" "$1"
	code "$1"
}

recipes() {
	cat <<'H'
# Recipes

Made by `scripts/docs-hooks.sh` from [examples/](../../examples/), which the tests run. Copy one beside your `config.json` (`~/.config/perry/hooks/`), try it with
`perry hooks preview`, and make it yours. Every one has its table tests next to it.

## One for every hook point
H
	while IFS='|' read -r name _; do
		recipe "examples/hooks/$name.lua"
	done <"$work/points"
	printf '\n## Other answers\n'
	for f in examples/recipes/*/*.lua; do
		case $f in *_test.lua) ;; *) recipe "$f" ;; esac
	done
}

# The tables, as lines: the preprocessor reads them as the compiler does.
tables() {
	cat >"$work/t.c" <<'C'
#include <stdio.h>
#include "policy/contract/points.h"
#define LIMITS_DECISION DECISION_LIMITS
#define LIMITS_CONSENT  DECISION_LIMITS
#define LIMITS_ACTION   ACTION_LIMITS
#define P(name, kind, result, rule, extra, since, summary) printf("%s|%s|%s|%d|%d|%s|%d|%s\n", #name, #kind, #rule, (int)(LIMITS_##kind.instructions / 1000000), LIMITS_##kind.cpu_ms, extra, since, summary);
#define C(name, cls, need, summary) printf("%s|%s|%s|%s\n", name, #cls, need, summary);
#define L(name, summary) printf("%s|ALL||%s\n", name, summary);
int main(int argc, char **argv)
{
	if (argc > 1) {
		POLICY_LOCALS(L)
		POLICY_CALLS(C)
	} else {
		POLICY_POINTS(P)
	}
	return 0;
}
C
	${CC:-cc} -Icore -o "$work/t" "$work/t.c"
	"$work/t" >"$work/points"
	"$work/t" calls >"$work/calls"
}

rule() {
	case $1 in
	STOP) echo "the operation stops before anything exists" ;;
	REFUSE) echo "counts as a refusal" ;;
	DEGRADE) echo "the workspace runs without a tailnet, with the message" ;;
	BUILTIN) echo "the built-in answer is used" ;;
	REPORT) echo "is shown on the workspace; nothing is undone" ;;
	esac
}

point() { # name kind rule instructions cpu extra since summary
	file=hooks/$1.lua
	alias=$(sed -n "s/^---@alias perry\.hook\.$1 fun(\(.*\)$/\1/p" $types)
	args=$(printf '%s' "$alias" | awk '{ depth = 1; for (i = 1; i <= length($0); i++) { c = substr($0, i, 1); if (c ~ /[({<]/) depth++; if (c ~ /[)}>]/) depth--; if (!depth) { print substr($0, 1, i - 1); exit } } }')
	answer=$(printf '%s' "$alias" | awk -v n="${#args}" '{ print substr($0, n + 4) }')
	printf '\n### %s\n\n%s.\n\n' "$1" "$(printf '%s' "$8" | awk '{ print toupper(substr($0, 1, 1)) substr($0, 2) }')"
	printf '| | |\n|---|---|\n'
	printf '| kind | %s |\n' "$(printf '%s' "$2" | tr '[:upper:]' '[:lower:]')"
	printf '| arguments | `%s` |\n' "$(printf '%s' "$args" | sed 's/|/\\|/g')"
	[ -z "$answer" ] || printf '| answers | `%s` |\n' "$(printf '%s' "$answer" | sed 's/|/\\|/g')"
	printf '| an error | %s |\n' "$(rule "$3")"
	printf '| limits | %s million instructions of Lua, %s s of CPU |\n' "$4" "$(($5 / 1000))"
	if [ -e "$file" ]; then
		printf '| built in | [%s](../../%s): %s |\n' "$file" "$file" "$(about "$file" | tr '\n' ' ' | sed 's/ *$//; s/|/\\|/g')"
	else
		printf '| built in | nothing |\n'
	fi
	printf '| example | [examples/hooks/%s.lua](../../examples/hooks/%s.lua) |\n| since | api %s |\n' "$1" "$1" "$7"
}

# The fields of a class of the types.
class() { # NAME
	printf '\n| field | type | |\n|---|---|---|\n'
	sed -n "/^---@class perry\.$1\$/,/^\$/p" $types | sed -n 's/^---@field //p' | awk '
	{ name = $1; rest = substr($0, length(name) + 2); depth = 0; quoted = 0
	  for (i = 1; i <= length(rest); i++) { c = substr(rest, i, 1)
	    if (c == "\"") quoted = !quoted
	    if (!quoted && c ~ /[({<]/) depth++
	    if (!quoted && c ~ /[)}>]/) depth--
	    if (c == " " && !depth && !quoted) break }
	  type = substr(rest, 1, i - 1); text = substr(rest, i + 1)
	  gsub(/\|/, "\\|", type); gsub(/\|/, "\\|", text)
	  printf "| `%s` | `%s` | %s |\n", name, type, text }'
}

classes() { # those below a name, in the order of the types
	sed -n "s/^---@class perry\.\($1[a-z_.]*\)\$/\1/p" $types
}

facts() {
	for c in $(classes ws) $(classes plan | grep -v container) $(classes ev) $(classes port) $(classes activity) $(classes req); do
		printf '\n### %s\n' "$c"
		class "$c"
	done
}

function_of() { # name: its lines in the types
	awk -v name="function perry.$1(" '
	/^---/ { text = text $0 "\n"; next }
	index($0, name) == 1 { printf "%s", text; print; exit }
	{ text = "" }' $types
}

primitives() {
	printf '\n| | | who may | a pack'"'"'s `needs` |\n|---|---|---|---|\n'
	while IFS='|' read -r name class need summary; do
		sig=$(function_of "$name" | sed -n 's/^function perry\.[a-z_.]*(\(.*\)) end$/\1/p')
		case $class in ALL) who=all ;; LOOK) who="all but \`authorize\`" ;; TOUCH) who="actions" ;; esac
		printf '| `perry.%s(%s)` | %s | %s | %s |\n' "$name" "$sig" "$summary" "$who" "${need:+\`$need\`}"
		function_of "$name" | sed -n 's/^---@param \([a-z]*\)?\{0,1\} \({.*}\).*$/\1 \2/p' | while read -r param type; do
			printf '| | `%s`: `%s` | | |\n' "$param" "$(printf '%s' "$type" | sed 's/|/\\|/g')"
		done
	done <"$work/calls"
}

reference() {
	cat <<'H'
# Reference

Made by `scripts/docs-hooks.sh` from the table of hook points, the types for editors and the built-in hooks. `perry hooks show POINT` says the same on the command line.

A **decision** answers a question: the highest layer that has the file answers, and may call `base()` for the answer of the layers below. A **consent** guards: every layer
that has the file is asked, and one refusal refuses. An **action** does something when something happened; it runs in every layer, built-in first. Decisions and consents may
look, actions may touch; [what confinement promises](confinement.md) has the limits.

The plan of a start asks `admit`, `image`, `auth_key`, `hostname`, `tailscale_up` (when the workspace joins a tailnet), `env`, `container` and `review`, in this order, before anything is touched. The others are asked when they come up.

## Hook points
H
	while IFS='|' read -r name kind on_error cpu wall extra since summary; do
		point "$name" "$kind" "$on_error" "$cpu" "$wall" "$extra" "$since" "$summary"
	done <"$work/points"
	cat <<'H'

## The facts

Read-only. A field with `?` is nil when it is not known now; a field that does not exist is an error that names the nearest. No fact is a secret.
H
	facts
	cat <<'H'

## The container spec

The answer of `container`, and `plan.container` for `review`. Everything is optional in an answer; nil is no limit.
H
	for c in $(classes plan.container); do
		[ "$c" = plan.container ] || printf '\n### %s\n' "$c"
		class "$c"
	done
	cat <<'H'

## perry

What hooks find under `perry`; `print` is `perry.log`.
H
	primitives
}

tables
case ${1:-} in
reference) reference ;;
recipes) recipes ;;
*)
	echo "usage: scripts/docs-hooks.sh reference|recipes" >&2
	exit 2
	;;
esac
