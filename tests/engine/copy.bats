#!/usr/bin/env bats
# `perry cp` for every pair of source and target, both ways, beside what `cp` makes of the same on one machine.
bats_require_minimum_version 1.5.0
load helper

setup_file() {
	engine_setup
	p start web
}
teardown_file() { engine_teardown; }
setup() { engine_use; }
BUILD_ABS=$(realpath "$BUILD")

# In the folder given: one of each that can be copied, and one of each that can be copied onto.
make_scene='
	set -e
	rm -rf "$1"; mkdir -p "$1"; cd "$1"
	mkdir src dst dst/folder dst/full dst/full/file dst/blocked
	echo content >src/file
	mkdir -p src/folder/sub; echo a >src/folder/a; echo b >src/folder/sub/b; ln -s a src/folder/inner
	ln -s file src/link-file; ln -s folder src/link-folder; ln -s nowhere src/link-nowhere
	echo old >dst/file; echo other >dst/other; ln -s other dst/link-file; ln -s folder dst/link-folder; ln -s nowhere dst/link-nowhere
	echo old >dst/blocked/folder; echo old >dst/folder/file'
show='cd "$1" && find . -printf "%P %y %l\n" | LC_ALL=C sort && find . -type f -exec sh -c "for f; do echo \"\$f: \$(cat \"\$f\")\"; done" sh {} + | LC_ALL=C sort'
sources="file file/ folder folder/ folder/. link-file link-folder link-folder/ missing"
targets="file file/ folder folder/ link-file link-folder link-nowhere missing missing/ missing/deep full blocked"

# Both sides in memory of the workspace would be refused, so the scene is below its home.
inside() { docker exec -u workspace workspace-web sh -c "$1" sh "${@:2}"; }
yes_no() { [ "$1" = 0 ] && echo yes || echo no; }

# What a link that is named itself becomes differs on the way out: it is followed, as cp -rH does.
compare() { # in|out
	local src dst want got want_rc got_rc bad=0 here=$BATS_TEST_TMPDIR/here want_dir=$BATS_TEST_TMPDIR/want flag=-r
	[ "$1" = in ] || flag=-rH
	for src in $sources; do
		for dst in $targets; do
			sh -c "$make_scene" sh "$want_dir"
			want_rc=0 got_rc=0
			(cd "$want_dir" && cp $flag "src/$src" "dst/$dst" 2>/dev/null) || want_rc=$?
			if [ "$1" = in ]; then
				sh -c "$make_scene" sh "$here"
				inside "$make_scene" /home/workspace/scene
				p cp "$here/src/$src" "web:scene/dst/$dst" 2>"$BATS_TEST_TMPDIR/err" || got_rc=$?
				got=$(inside "$show" /home/workspace/scene/dst)
			else
				sh -c "$make_scene" sh "$here"
				p cp "web:scene/src/$src" "$here/dst/$dst" 2>"$BATS_TEST_TMPDIR/err" || got_rc=$?
				got=$(sh -c "$show" sh "$here/dst")
			fi
			want=$(sh -c "$show" sh "$want_dir/dst")
			[ "$(yes_no $want_rc)" = "$(yes_no $got_rc)" ] && [ "$want" = "$got" ] && continue
			bad=$((bad + 1))
			echo "cp $1: $src -> $dst: cp answers $want_rc, perry $got_rc: $(cat "$BATS_TEST_TMPDIR/err")"
			diff <(echo "$want") <(echo "$got") || :
		done
	done
	[ $bad = 0 ]
}

@test "cp into a workspace does what cp -r does, for every pair" { compare in; }

@test "cp out of a workspace does what cp -rH does, for every pair" {
	inside "$make_scene" /home/workspace/scene
	compare out
}

@test "cp into and out of what is no disk is refused, also through a link" {
	echo x >"$BATS_TEST_TMPDIR/f"
	inside 'ln -sfn /dev/shm ~/shm; echo x >/dev/shm/there'
	for path in /dev/shm /dev/shm/x /dev/x /proc/x /sys/x /run/perry/x shm shm/x; do
		run p cp "$BATS_TEST_TMPDIR/f" "web:$path"
		echo "$path: $output"
		[ "$status" = 1 ]
		[[ "$output" == *"in memory"* ]]
	done
	for path in /dev/shm/there shm/there /proc/version; do
		run p cp "web:$path" "$BATS_TEST_TMPDIR/out"
		echo "$path: $output"
		[ "$status" = 1 ]
		[[ "$output" == *"in memory"* ]]
		[ ! -e "$BATS_TEST_TMPDIR/out" ]
	done
}

@test "cp out of a workspace makes no link that leads out of the copy, and says so" {
	inside '
		mkdir -p ~/proj/1/2/3/4/5/6/7/8; cd ~/proj
		for d in 1 1/2 1/2/3 1/2/3/4 1/2/3/4/5 1/2/3/4/5/6 1/2/3/4/5/6/7 1/2/3/4/5/6/7/8; do ln -sfn ../.. $d/s; done
		ln -sfn 1/../1/s/../../etc/passwd README; ln -sfn ../.bashrc up; ln -sfn /etc abs; ln -sfn 1/2 fine; ln -sfn ../proj/1 round'
	run p cp web:proj "$BATS_TEST_TMPDIR/proj"
	[ "$status" = 1 ]
	for link in README up abs round 1/s; do
		[ ! -L "$BATS_TEST_TMPDIR/proj/$link" ]
		[[ "$output" == *"left out $link -> "* ]]
	done
	[ "$(readlink "$BATS_TEST_TMPDIR/proj/fine")" = 1/2 ]
	inside 'ln -sfn /etc/hostname ~/single'
	p cp web:single "$BATS_TEST_TMPDIR/single"
	[ ! -L "$BATS_TEST_TMPDIR/single" ]
	[ "$(cat "$BATS_TEST_TMPDIR/single")" = "$(inside 'cat /etc/hostname')" ]
}

@test "cp of a folder's contents, of a name that is no UTF-8, and with a stopped workspace" {
	local name=$'caf\xe9'
	mkdir -p "$BATS_TEST_TMPDIR/more"
	echo x >"$BATS_TEST_TMPDIR/more/$name"
	inside 'mkdir -p ~/into; chmod 700 ~/into'
	(cd "$BATS_TEST_TMPDIR/more" && "$BUILD_ABS/perry" cp . web:into)
	inside 'test -f ~/into/caf? && test "$(stat -c %a ~/into)" = 700' # docker exec takes no such name
	p cp "$BATS_TEST_TMPDIR/more/$name" web:
	inside 'test -f ~/caf?'
	p stop web
	p cp web:into/. "$BATS_TEST_TMPDIR/back"
	[ "$(cat "$BATS_TEST_TMPDIR/back/$name")" = x ]
	p cp "$BATS_TEST_TMPDIR/more" web:stopped
	p start web
	inside 'test -f ~/stopped/caf?'
}
