#!/usr/bin/env bats
# No text of ours, message or document, tells anybody to remove a volume: it may be somebody's home.

@test "no message and no document advises to remove a volume" {
	cd "${BATS_TEST_DIRNAME}/../.."
	run git grep -nIE 'docker[[:space:]]+(volume[[:space:]]+(rm|prune)|system[[:space:]]+prune.*--volumes|rm[[:space:]]+(-[a-z]*v|.*--volumes))|podman[[:space:]]+volume[[:space:]]+(rm|prune)' -- \
		core lua hooks docs image examples share README.md CHANGELOG.md ':!share/completion'
	echo "$output"
	[ "$status" = 1 ]
}
