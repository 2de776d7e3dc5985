#!/usr/bin/env bats
# What "make lint" says of commit subjects, and of documents that name files.
bats_require_minimum_version 1.5.0

setup() {
	HERE=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
	R=$BATS_TEST_TMPDIR/repository
	mkdir -p "$R/scripts"
	export HOME=$BATS_TEST_TMPDIR GIT_CONFIG_NOSYSTEM=1 GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@x GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@x
	git init -q "$R"
	cd "$R" || return 1
}
subject() { git commit -q --allow-empty -m "$1"; }
with_check() {
	cp "$HERE/scripts/commits.sh" scripts/
	git add scripts
	subject "lint: check commit subjects"
}

@test "commits: only those since the check came are looked at" {
	subject "A subject of the time before, which is not as it should be, and too long, too."
	with_check
	scripts/commits.sh
	subject "agent: say who calls"
	subject "docs, web/ui: say it once"
	scripts/commits.sh
}

@test "commits: too long, without an area, not an imperative, with a full stop" {
	with_check
	local text bad=("agent: $(printf 'x%.0s' {1..66})" "no area" "Agent: an area is small" "agent:no space" "agent: added a gate" "agent: add a gate.")
	subject "agent: $(printf 'x%.0s' {1..65})"
	scripts/commits.sh
	for text in "${bad[@]}"; do
		subject "$text"
		run scripts/commits.sh
		[ "$status" = 1 ]
		[[ $output == *": $text: "* ]]
		[ "${#lines[@]}" = 1 ]
		git reset -q --hard HEAD^
	done
}

@test "commits: from the latest release on, and in a shallow or detached clone" {
	with_check
	subject "old and bad"
	git tag v1.0.0
	subject "agent: go on"
	scripts/commits.sh
	subject "new and bad"
	run scripts/commits.sh
	[ "$status" = 1 ]
	[[ $output == *"new and bad"* ]]
	refute_old
	git clone -q --depth 2 "file://$R" ../shallow
	cd ../shallow
	run scripts/commits.sh
	[ "$status" = 1 ]
	[[ $output == *"new and bad"* ]]
	git checkout -q --detach HEAD^ 2>/dev/null || git checkout -q --detach HEAD~0
	git clone -q --depth 1 "file://$R" ../one
	cd ../one
	scripts/commits.sh # the boundary has no parent to compare with
	cd "$R"
	git checkout -q --detach HEAD^
	scripts/commits.sh
}
refute_old() { [[ $output != *"old and bad"* ]] || return 1; }

@test "commits: a tree without history has nothing to look at" {
	with_check
	rm -rf .git
	run scripts/commits.sh
	[ "$status" = 0 ]
	[[ $output == *"no git history"* ]]
}

@test "documents and comments name files that are there, and links lead somewhere" {
	cp "$HERE/scripts/docs-files.sh" scripts/
	mkdir -p core/agent docs tests/unit
	printf '/* See agent/b.c, core/agent/*.c. */\n' >core/agent/a.c
	printf '#include "agent/none.h"\nconst char *s = "core/agent/none.c";\n' >core/agent/b.c
	printf '[a](../core/agent/a.c#L1) `core/agent/{a,b}.c` `core/agent/NAME.c` `tests/unit/` [w](https://example.com/x)\n' >docs/d.md
	git add .
	run scripts/docs-files.sh
	echo "$output"
	[ "$status" = 0 ]
	local text
	for text in 'core/agent/none.c' 'agent/none.h' 'core/none/' 'core/agent/{a,none}.c'; do
		printf '/* one\n * %s */\n' "$text" >core/agent/c.c
		echo "see $text" >docs/e.md
		run scripts/docs-files.sh
		echo "$output"
		[ "$status" = 1 ]
		[ "$output" = "docs/e.md:1: there is no $text
core/agent/c.c:2: there is no $text" ]
	done
	rm core/agent/c.c
	echo '[gone](gone.md)' >docs/e.md
	run scripts/docs-files.sh
	[ "$status" = 1 ]
	[ "$output" = "docs/e.md:1: the link to gone.md leads nowhere" ]
}
