#!/usr/bin/env bash
# make check: every test that this machine can run. Installs what they need, ends with "N passed, N failed, N skipped"; what was skipped and why stands above.
#   scripts/check.sh [SUITE...]   only these: lint unit lua asan (with ubsan) tsan fuzz, or a folder of tests/ with bats files (step, engine, ...);
#                                 of unit one half: pure or unit-engine
#   scripts/check.sh --as-is ...  installs and starts nothing: what make test and make test-engine use, after scripts/need.sh
#   CHECK_FUZZ_SECONDS (10)       how long each fuzz target runs
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
BUILD=$(realpath -m "${BUILD:-build}") # tests hand it to others, whose folder is another
export BUILD
fuzz_seconds=${CHECK_FUZZ_SECONDS:-10}
jobs=$(nproc)
as_is=
[ "${1-}" != --as-is ] || { as_is=yes && shift; }
only=" $* "
passed=0 failed=0 skipped=0
skips=()
work=$(mktemp -d)
trap '[ -z "${lane:-}" ] || scripts/second_engine.sh stop; rm -rf "$work"' EXIT

say() { printf '[%4d s] %s\n' "$SECONDS" "$*"; }
wanted() { [ "$only" = "  " ] || [[ $only == *" $1 "* ]]; }
root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi; }

# Counts a TAP file into p, f and s, prints what failed, remembers the skips.
count_tap() { # SUITE FILE EXIT_CODE NAME
	local suite=$1 file=$2 code=$3 name=$4 line
	p=$(grep -ciE '^ok .*' "$file")
	f=$(grep -c '^not ok ' "$file")
	f=$((f - $(grep -cE '^not ok [0-9]+ # SKIP' "$file"))) # as cmocka 1.1 writes a skip
	s=0
	local reason='' planned=0
	while IFS= read -r line; do
		case $line in
		1..*[0-9]) planned=$((planned + ${line#1..})) ;;
		[sS]kip*:* | "# "[sS]kip*:*) reason=${line#*: } ;;
		*ok*"# skip"* | *ok*"# SKIP"*)
			s=$((s + 1))
			[[ $line == not* ]] || p=$((p - 1))
			local why=${line#*# [sS][kK][iI][pP]}
			# bats gives the reason here, cmocka the name; a C test says its reason in a line of its own, "skip: ..."
			[[ $line != not* ]] || why="no reason given"
			[ -z "$reason" ] || why=$reason
			skips+=("$suite: $(sed -E 's/^(not )?ok [0-9]+ *-? *//; s/^# SKIP //; s/ *# *(skip|SKIP).*//' <<<"$line")${why:+ ($(sed 's/^[ (]*//; s/)$//' <<<"$why"))}")
			reason=''
			;;
		esac
	done <"$file"
	sed -n '/^not ok/,/^\(ok\|not ok\|1\.\.\)/ { /^ok/d; /^not ok [0-9]* # SKIP/d; p; }' "$file" | head -60
	# A program that died, hung or stopped half-way has failed, whatever it printed before.
	if [ "$f" = 0 ] && { [ "$code" != 0 ] || [ $((p + s)) -lt "$planned" ]; }; then
		f=1
		echo "not ok - $name ended with $code after $((p + s)) of $planned tests$([ "$code" != 124 ] || echo ' (time is up)'):"
		tail -25 "$file" | sed 's/^/#   /'
	fi
}
# One suite: a function that calls tap or case for each part.
suite() { # NAME FUNCTION...
	local name=$1 at=$SECONDS
	shift
	wanted "$name" || return 0
	sp=0 sf=0 ss=0 current=$name
	"$@"
	passed=$((passed + sp)) failed=$((failed + sf)) skipped=$((skipped + ss))
	say "$(printf '%-10s %d passed, %d failed, %d skipped (%d s)' "$name" "$sp" "$sf" "$ss" $((SECONDS - at)))"
}
tap() { # SECONDS NAME COMMAND...: a program that prints TAP
	local limit=$1 name=$2 code=0
	shift 2
	timeout -k 10 "$limit" "$@" >"$work/tap" 2>&1 </dev/null || code=$?
	count_tap "$current" "$work/tap" $code "$name"
	sp=$((sp + p)) sf=$((sf + f)) ss=$((ss + s))
}
one() { # SECONDS NAME COMMAND...: a program that is one test
	local limit=$1 name=$2 code=0
	shift 2
	timeout -k 10 "$limit" "$@" >"$work/one" 2>&1 </dev/null || code=$?
	if [ $code = 0 ]; then
		sp=$((sp + 1))
		return 0
	fi
	sf=$((sf + 1))
	echo "not ok - $name (exit $code)"
	tail -40 "$work/one" | sed 's/^/#   /'
	return 1
}
skip() { # COUNT WHAT REASON
	ss=$((ss + $1))
	skips+=("$current: $2 ($3)")
}

lint() {
	one 60 layers scripts/layers.sh
	one 600 "make lint" make -s lint
}
# Runs one unit test into $work/unit/NAME; the words after it are put before the program.
unit_one() { # FOLDER NAME WORD...
	local dir=$1 n=$2 code=0
	shift 2
	timeout -k 10 600 env CMOCKA_MESSAGE_OUTPUT=TAP "$@" "$dir/test/$n" >"$work/unit/$n" 2>&1 </dev/null || code=$?
	echo $code >"$work/unit/$n.code"
}
# At most LANES of them at once.
unit_lanes() { # LANES FOLDER WORD... -- NAME...
	local lanes=$1 dir=$2 before=() n running=0
	shift 2
	while [ "$1" != -- ]; do before+=("$1") && shift; done
	shift
	for n; do
		[ $running -lt "$lanes" ] || { wait -n && running=$((running - 1)); }
		unit_one "$dir" "$n" "${before[@]+"${before[@]}"}" &
		running=$((running + 1))
	done
	wait
}
# The unit tests under BUILD=$1 that are in the folders $units of tests/unit; further words are put before each program. Those of
# tests/unit/engine share one engine and run one after another, the others beside them, the long ones (of the large files) first.
unit() {
	local dir=$1 c lanes engine=() pure=()
	shift
	rm -rf "$work/unit" && mkdir "$work/unit"
	[[ $units != *pure* ]] || mapfile -t pure < <(unit_names pure)
	[[ $units != *engine* ]] || [ -n "$no_engine" ] || mapfile -t engine < <(unit_names engine)
	# Alone they wait for disks and clocks most of the time; beside the engine's one is enough for each processor that is left.
	lanes=$((${#engine[@]} == 0 ? 3 * jobs : jobs > 1 ? jobs - 1 : 1))
	(unit_lanes 1 "$dir" "$@" -- "${engine[@]+"${engine[@]}"}") &
	(unit_lanes "$lanes" "$dir" "$@" -- "${pure[@]+"${pure[@]}"}")
	wait $!
	for c in "${pure[@]+"${pure[@]}"}" "${engine[@]+"${engine[@]}"}"; do
		if [ -x "$dir/test/$c" ]; then
			count_tap "$current" "$work/unit/$c" "$(cat "$work/unit/$c.code")" "$c"
			sp=$((sp + p)) sf=$((sf + f)) ss=$((ss + s))
		else
			sf=$((sf + 1))
			echo "not ok - $c: not built; is its prefix a module?"
		fi
	done
	for c in tests/unit/*_test.c; do
		[ ! -e "$c" ] || { sf=$((sf + 1)) && echo "not ok - $c: belongs in tests/unit/pure or tests/unit/engine"; }
	done
	[[ $units != *engine* ]] || [ -z "$no_engine" ] ||
		skip "$(cat tests/unit/engine/*_test.c | grep -c cmocka_unit_test)" "all of tests/unit/engine" "$no_engine"
}
unit_names() { # FOLDER
	local c
	find "tests/unit/$1" -name '*_test.c' -printf '%s %f\n' | sort -rn | while read -r _ c; do echo "${c%.c}"; done
}
unit_plain() {
	one 900 "build of the unit tests" make -s -j"$jobs" UNIT="$units" unit-tests && sp=$((sp - 1)) && unit "$BUILD"
}
sanitized() { # FOLDER SANITIZER
	local dir=$BUILD/$1 before=()
	# Without this the thread sanitizer meets memory layouts that it does not know on some kernels.
	[ "$2" != thread ] || before=(setarch -R)
	one 1500 "build with -fsanitize=$2" make -s -j"$jobs" BUILD="$dir" SAN="$2" unit-tests || return 0
	sp=$((sp - 1))
	ASAN_OPTIONS=detect_leaks=1:abort_on_error=0 UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1 TSAN_OPTIONS=halt_on_error=1 unit "$dir" "${before[@]}"
}
fuzz() {
	local c t
	one 900 "build of the fuzz targets" make -s -j"$jobs" fuzz-build || return 0
	sp=$((sp - 1))
	for c in tests/fuzz/*_fuzz.c; do
		t=$BUILD/fuzz/fuzzer/$(basename "$c" _fuzz.c)
		mkdir -p "$t.corpus"
		one $((fuzz_seconds + 60)) "fuzz of $(basename "$t")" "$t" -max_total_time="$fuzz_seconds" -timeout=10 -rss_limit_mb=2048 \
			-artifact_prefix="$t." "$t.corpus"
	done
}
lua_tests() {
	if [ -x tests/lua/run ]; then tap 300 tests/lua/run tests/lua/run; fi
}
bats_tests() { # FOLDER
	local n f
	n=$(cat "$1"/*.bats | grep -c '^@test ')
	if [ -n "$no_engine" ] && [ "$1" != tests/scripts ]; then
		skip "$n" "all $n tests of $1" "$no_engine"
		return 0
	fi
	if [ "$1" = tests/scripts ]; then
		bats_at_once "$1"
		return 0
	fi
	for f in "$1"/*.bats; do
		tap "${CHECK_SUITE_SECONDS:-900}" "$f" "${on_engine[@]+"${on_engine[@]}"}" bats --tap "$f"
	done
}
# Files that share nothing, beside each other.
bats_at_once() { # FOLDER
	local c to=$work/at-once running=()
	mkdir "$to"
	for c in "$1"/*.bats; do
		{
			timeout -k 10 "${CHECK_SUITE_SECONDS:-900}" bats --tap "$c" >"$to/${c##*/}" 2>&1 </dev/null
			echo $? >"$to/${c##*/}.code"
		} &
		running+=($!)
	done
	wait "${running[@]}"
	for c in "$1"/*.bats; do
		count_tap "$current" "$to/${c##*/}" "$(cat "$to/${c##*/}.code")" "$c"
		sp=$((sp + p)) sf=$((sf + f)) ss=$((ss + s))
	done
}

if [ -z "$as_is" ]; then
	say "packages"
	scripts/packages.sh build run check || exit 1
fi
units="pure engine"
if [[ $only == *" pure "* ]]; then units=pure; fi
if [[ $only == *" unit-engine "* ]]; then units=engine; fi
folders=()
for d in tests/step tests/engine tests/cli tests/*; do
	compgen -G "$d/*.bats" >/dev/null && [[ " ${folders[*]-} " != *" $d "* ]] && wanted "${d#tests/}" && folders+=("$d")
done
# What is compiled beside the tests takes only the time that nobody else wants: some of them have deadlines.
beside() { chrt --idle 0 "$@"; }
# On a bare machine the tailnet's programs are minutes of compiling, which the first suites leave time for.
tailnet_build=
if wanted tailnet && [ "$(id -u)" = 0 ] && [ -z "$as_is" ]; then
	beside tests/tailnet/build.sh >/dev/null 2>"$work/tailnet" </dev/null &
	tailnet_build=$!
fi
no_engine=
if [ -n "$as_is" ]; then
	[ "$units" = pure ] || docker image inspect perry:small >/dev/null 2>&1 || no_engine="no engine with the image perry:small"
elif [ ${#folders[@]} -gt 0 ] || wanted unit || wanted unit-engine || wanted asan || wanted tsan; then
	say "engine and image"
	if docker version >/dev/null 2>&1 || root scripts/docker.sh >"$work/engine" 2>&1; then
		if ! docker version >/dev/null 2>&1; then
			no_engine="$(id -un) may not use the Docker Engine: run this as root, or join the group of its socket"
		elif ! scripts/image.sh small >"$work/image" 2>&1 && ! root scripts/image.sh small >"$work/image" 2>&1; then
			no_engine="no workspace image: $(tail -1 "$work/image")"
		fi
	else
		no_engine="no Docker Engine: $(tail -1 "$work/engine")"
	fi
fi

# The build with its warnings is a test too. When it fails the suites still run: they tell more than one error message.
build() { say building; one 1200 make make -s -k -j"$jobs" all || :; }
suite build build
suite lint lint
case $units in
pure) suite pure unit_plain ;;
engine) suite unit-engine unit_plain ;;
*) suite unit unit_plain ;;
esac
suite lua lua_tests
# The suites that follow wait most of the time: what the last ones need is built meanwhile. They build it again, which is where an error shows.
{
	! wanted asan || beside make -s BUILD="$BUILD/asan" SAN=address,undefined unit-tests
	! wanted tsan || beside make -s BUILD="$BUILD/tsan" SAN=thread unit-tests
	! wanted fuzz || beside make -s fuzz-build
} >/dev/null 2>&1 </dev/null &
built_ahead=$!

# Another engine of the same API; its tests are skipped where it cannot be had.
! wanted engine || [ -n "$as_is" ] || scripts/packages.sh podman >/dev/null 2>&1 || :
! wanted web || [ -n "$as_is" ] || scripts/packages.sh web >/dev/null 2>&1 || : # a browser
tailnet_log=$work/tailnet
tailnet_suite() {
	if [ -n "$tailnet_build" ]; then
		say "programs of the tailnet"
		tail --pid="$tailnet_build" -f /dev/null
		sed -n 's/^tailnet: \(.* took .*\)/           \1/p' "$tailnet_log"
	fi
	suite tailnet bats_tests tests/tailnet
}
# The tailnet's files wait most of the time. Where there can be a second engine they keep the machine's own, and the other folders have that one meanwhile.
on_engine=()
lane=
# shellcheck disable=SC2031
if [ -z "$as_is" ] && [ -z "$no_engine" ] && [ -z "${DOCKER_HOST:-}" ] && [ "$(id -u)" = 0 ] && [ ${#folders[@]} -gt 1 ] && [[ " ${folders[*]} " == *" tests/tailnet "* ]]; then
	if words=$(scripts/second_engine.sh start perry:small debian:bookworm 2>"$work/second"); then
		read -ra on_engine <<<"$words"
		say "a second engine: the tailnet's tests run beside the others"
		mkdir "$work/lane"
		(
			# shellcheck disable=SC2030 # that is why it writes its counts
			work=$work/lane on_engine=() passed=0 failed=0 skipped=0 skips=()
			tailnet_suite
			{ echo "$passed $failed $skipped" && printf '%s\n' "${skips[@]+"${skips[@]}"}"; } >"$work/counts"
		) >"$work/lane.out" 2>&1 &
		lane=$!
	else
		say "no second engine ($(tail -1 "$work/second")): one after another"
	fi
fi
for d in "${folders[@]+"${folders[@]}"}"; do
	if [ "$d" != tests/tailnet ]; then
		suite "${d#tests/}" bats_tests "$d"
	elif [ -z "$lane" ]; then
		tailnet_suite
	fi
done
# shellcheck disable=SC2031
if [ -n "$lane" ]; then
	scripts/second_engine.sh stop
	wait "$lane"
	cat "$work/lane.out"
	if [ -s "$work/lane/counts" ]; then
		{
			read -r p f s
			passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
			while IFS= read -r line; do skips+=("$line"); done
		} <"$work/lane/counts"
	else
		failed=$((failed + 1))
		echo "not ok - the tailnet's tests broke off"
	fi
fi
wait "$built_ahead"
# The two go together in one build; the thread sanitizer goes with no other.
suite asan sanitized asan address,undefined
suite tsan sanitized tsan thread
suite fuzz fuzz

if [ ${#skips[@]} -gt 0 ]; then
	echo "skipped:"
	printf '  %s\n' "${skips[@]}"
fi
say "all suites"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
