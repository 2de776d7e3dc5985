#!/usr/bin/env bats
# Every command that takes a workspace's name, with what is no name and with a name that nobody has: the exit code and the message. No engine is needed.
load "${BATS_TEST_DIRNAME:-.}/../api/helper.bash"

setup_file() {
	export DIR PORT PID TOKEN
	agent_start
}
teardown_file() { agent_clean; }

# % is the name.
table() {
	cat <<-'T'
		start %
		start --dry-run %
		stop %
		restart %
		delete %
		delete -y %
		info %
		logs %
		logs -f %
		shell %
		shell --ssh %
		shell % -- id
		shell % -l
		screen %
		exec % -- true
		exec -n % -- true
		exec -t % -- true
		cp %:notes HERE/notes
		cp HERE/file %:notes
		cp %:notes -
		cp - %:notes
		clone % other
		clone other %
		adopt %
		ports %
		ports % 3000
		ports --clear %
		proxy %
		proxy % 3000
		sync %
		explain %
		explain % image
		hooks run --workspace % hostname
		tailnet serve % 3000
	T
}

# each NAME: CODE and SAID of every row, which is checked by the command that follows.
each() { # NAME COMMAND...
	local name=$1 line words
	shift
	: >"$BATS_TEST_TMPDIR/file"
	while read -r line; do
		line=${line//%/$name}
		read -ra words <<<"${line//HERE/$BATS_TEST_TMPDIR}"
		CODE=0
		SAID=$(PERRY_CONFIG_DIR=$DIR timeout 60 "$BUILD/perry" "${words[@]}" </dev/null 2>&1 >/dev/null 3>&-) || CODE=$?
		"$@" || { echo "perry ${words[*]}: $CODE: $SAID"; return 1; }
	done < <(table)
}

@test "the table has every command that takes a name" {
	local command
	while read -r command; do
		table | grep -q "^$command " || { echo "no row for: $command"; return 1; }
	done < <(PERRY_CONFIG_DIR=$DIR "$BUILD/perry" help | sed -nE 's/^  ([a-z-]+( [a-z-]+)*)  .*/\1/p' | while read -r command; do
		# shellcheck disable=SC2086
		"$BUILD/perry" help $command | head -1 | grep -qE '^perry [a-z -]+ (\[?(NAME|SRC)|.*--workspace NAME)' && echo "$command"
	done)
}

wrong_usage() { [ "$CODE" = 2 ] && [[ $SAID == *'Use lowercase letters, numbers, and hyphens'* ]]; }
@test "what is no name is wrong usage, and it is said what a name may have" {
	each My_App wrong_usage
	each a.b wrong_usage
}

not_found() {
	# A start makes what is not there; without an engine it cannot.
	[[ $SAID == *Docker* ]] || { [ "$CODE" = 5 ] && [[ $SAID == *'not found'* ]]; }
}
@test "a name that nobody has is not found" {
	each no-such-one not_found
}

@test "one that is nearly right is named" {
	agent_end
	python3 - "$DIR/state.db" <<-'P'
		import sqlite3, sys
		d = sqlite3.connect(sys.argv[1])
		d.execute("INSERT INTO workspaces(name, id, created, doc) VALUES ('website', 'website', 1, '{\"name\":\"website\",\"id\":\"website\"}')")
		d.commit()
	P
	agent_start
	local words
	for words in "stop webiste" "info webiste" "exec webiste -- true" "cp webiste:a $BATS_TEST_TMPDIR/a" "logs webiste" "proxy webiste" "clone webiste x"; do
		# shellcheck disable=SC2086
		run env PERRY_CONFIG_DIR="$DIR" "$BUILD/perry" $words </dev/null
		[ "$status" = 5 ]
		[[ $output == *'Workspace not found'*'did you mean website?'* ]] || { echo "$words: $output"; return 1; }
	done
}

@test "of several names the wrong one is said as well" {
	run env PERRY_CONFIG_DIR="$DIR" "$BUILD/perry" stop no-such-one My_App
	[ "$status" = 5 ]
	[[ $output == *'My_App: Input validation failed'*'Use lowercase letters'*'no-such-one: Workspace not found'* ]]
	run env PERRY_CONFIG_DIR="$DIR" "$BUILD/perry" stop My_App no-such-one
	[ "$status" = 2 ]
	[[ $output == *'no-such-one: Workspace not found'*'Use lowercase letters'* ]]
}
