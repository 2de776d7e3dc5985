# A tailnet lab of its own for a file of tests, beside an agent and its helpers.
# shellcheck source=tests/engine/helper.bash
load "${BASH_SOURCE[0]%/*}/../engine/helper.bash"
# shellcheck source=tests/tailnet/lab.bash
. "${BASH_SOURCE[0]%/*}/lab.bash"

# Skips what this machine cannot run; a build that is broken fails.
need_lab() {
	local code=0
	need_engine
	lab_possible || code=$?
	[ $code != 3 ] || skip "$LAB_REASON"
	[ $code = 0 ] || { echo "$LAB_REASON" >&2; return 1; }
}
# In setup_file, setup and teardown_file. The lab's owner is the process of this file of tests: should that die, the next lab_up cleans up.
lab_file_setup() {
	need_lab
	lab_up "$(mktemp -d /tmp/perry-tailnet-XXXXXX)" $$
	echo "$LAB" >"$BATS_FILE_TMPDIR/lab"
}
lab_file_use() { lab_use "$(cat "$BATS_FILE_TMPDIR/lab")"; }
lab_file_teardown() {
	local dir
	dir=$(cat "$BATS_FILE_TMPDIR/lab" 2>/dev/null) || return 0
	lab_down "$dir"
	rm -rf "$dir"
}
