# A real agent on a real engine, and a browser that looks at its pages.
# shellcheck source=tests/engine/helper.bash
load "${BASH_SOURCE[0]%/*}/../engine/helper.bash"

need_browser() {
	command -v "${CHROMIUM:-chromium}" >/dev/null || skip "no chromium (scripts/packages.sh web)"
	"${BASH_SOURCE[0]%/*}/../../scripts/web.sh" check || skip "no playwright-core (scripts/web.sh check)"
}
# browse FILE TEST [NAME=VALUE ...]: one test of FILE.mjs. Pictures go to web-shots/ in the build folder.
browse() {
	local file=$1 name=$2
	shift 2
	env ORIGIN="http://localhost:$PORT" TOKEN="$TOKEN" SHOTS="$BUILD/web-shots" CHROMIUM="$(command -v "${CHROMIUM:-chromium}")" "$@" \
		timeout -k 5 300 node "${BASH_SOURCE[0]%/*}/$file.mjs" "$name"
}
# What a test made, whether it passed or not.
all_gone() {
	local names
	mapfile -t names < <(p list -q)
	[ ${#names[@]} = 0 ] || p delete -y "${names[@]}" >/dev/null
}
