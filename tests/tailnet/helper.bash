# A tailnet lab of its own for a file of tests, beside an agent and its helpers.
# shellcheck source=tests/engine/helper.bash
load "${BASH_SOURCE[0]%/*}/../engine/helper.bash"
# shellcheck source=tests/tailnet/lab.bash
. "${BASH_SOURCE[0]%/*}/lab.bash"

# lab_file_setup [FUNCTION]: in setup_file. Makes the file's lab and then calls the function, which makes the nodes that all tests use. Where no lab can run
# it does nothing, and lab_file_use skips each test: a skip in setup_file fails in this bats. The lab's owner is the process of this file of tests:
# should that die, the next lab_up cleans up.
lab_file_setup() {
	local code=0
	lab_possible || code=$?
	docker image inspect perry:small >/dev/null 2>&1 || { code=3 LAB_REASON="no container engine answers, or it has no image perry:small"; }
	if [ $code != 0 ]; then
		echo "$LAB_REASON" | tee "$BATS_FILE_TMPDIR/no-lab" >&2
		[ $code = 3 ] # a build that is broken fails
		return
	fi
	lab_up "$(mktemp -d /tmp/perry-tailnet-XXXXXX)" $$
	echo "$LAB" >"$BATS_FILE_TMPDIR/lab"
	"${@-:}"
}
# In setup.
lab_file_use() {
	[ ! -e "$BATS_FILE_TMPDIR/no-lab" ] || skip "$(cat "$BATS_FILE_TMPDIR/no-lab")"
	lab_use "$(cat "$BATS_FILE_TMPDIR/lab")"
}
# In teardown_file.
lab_file_teardown() {
	local dir
	[ -e "$BATS_FILE_TMPDIR/lab" ] || return 0
	dir=$(cat "$BATS_FILE_TMPDIR/lab")
	lab_down "$dir"
	rm -rf "$dir"
}
