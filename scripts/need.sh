#!/bin/sh
# Says what a target of the Makefile lacks on this machine, with the command that brings it, and is then not 0: scripts/need.sh TARGET
# Nothing but sh is taken for granted here.
set -u
lacking=0
lacks() { # WHAT, COMMAND THAT BRINGS IT
	echo "$1 is missing: $2" >&2
	lacking=1
}
commands() { # SECTION OF packages.txt, COMMAND...
	section=$1
	shift
	for c; do
		command -v "$c" >/dev/null 2>&1 || lacks "$c" "scripts/packages.sh $section"
	done
}
headers() { # SECTION, HEADER OF A LIBRARY...
	section=$1
	shift
	command -v "${compiler%% *}" >/dev/null 2>&1 || return 0 # said already
	for h; do
		# shellcheck disable=SC2046,SC2086 # several words
		echo "#include <$h>" | $compiler $(pkg-config --cflags lua5.4 2>/dev/null) -E -o /dev/null - 2>/dev/null ||
			lacks "$h" "scripts/packages.sh $section"
	done
}
build() {
	compiler=${CC:-gcc}
	commands build "${compiler%% *}" make pkg-config musl-gcc node npm
	headers build curl/curl.h microhttpd.h wslay/wslay.h cjson/cJSON.h sqlite3.h lua.h seccomp.h archive.h qrencode.h
}
unit() {
	build
	commands check git
	headers check cmocka.h
}
engine() {
	if ! command -v docker >/dev/null 2>&1; then
		lacks docker "scripts/docker.sh (as root)"
	elif ! docker version >/dev/null 2>&1; then
		lacks "a Docker Engine that answers" "scripts/docker.sh $(id -un) (as root)"
	elif ! docker image inspect perry:small >/dev/null 2>&1; then
		lacks "the image perry:small" "scripts/image.sh small"
	fi
}
clang_runtime() {
	command -v clang >/dev/null 2>&1 || return 0
	echo 'int main(void) { return 0; }' | clang -fsanitize=address,undefined -x c -o /dev/null - 2>/dev/null ||
		lacks "clang's sanitizers" "scripts/packages.sh check"
}

case ${1:-} in
test)
	unit
	commands check bats jq python3
	;;
test-unit)
	unit
	;;
test-engine)
	unit
	commands check bats jq python3 curl ssh rsync tmux
	engine
	;;
asan | ubsan | tsan)
	unit
	case ${UNIT:-engine} in *engine*) engine ;; esac
	;;
test-web)
	unit
	commands check bats jq python3 curl
	commands web "${CHROMIUM:-chromium}"
	engine
	;;
test-tailnet*)
	build
	commands check bats jq curl python3
	commands run ip
	[ "$(id -u)" = 0 ] || lacks "the right to make network namespaces" "sudo make $1"
	[ -c /dev/net/tun ] || lacks /dev/net/tun "modprobe tun (as root)"
	command -v go >/dev/null 2>&1 || lacks go "https://go.dev/dl/, the version in tests/tailnet/tailscale/go.mod"
	engine
	;;
fuzz*)
	build
	commands check clang
	clang_runtime
	;;
bench)
	build
	commands check python3
	engine
	;;
lint)
	build
	commands check clang clang-format shellcheck luacheck git python3
	;;
fmt*)
	commands check clang-format git
	;;
run)
	build
	;;
gdb)
	build
	commands debug gdb
	;;
*)
	echo "usage: scripts/need.sh TARGET (see make help)" >&2
	exit 2
	;;
esac
exit $lacking
