#!/usr/bin/env bats
# Process 1: user, waiting for the environment, zombies, a quick and orderly end.
load helper

setup() {
	C=$PIM-init
	new_container "$C"
}
teardown() { docker rm -f "$C" "$C-2" >/dev/null 2>&1 || true; docker volume rm "$C-home" >/dev/null 2>&1 || true; }

@test "a bare image gets the user workspace, with its home and no password" {
	run step exec --id a -- sh -c 'id -un; id -u; echo "$HOME"; stat -c "%U %a" "$HOME"; test -f ~/.bashrc && echo skel'
	[ "$output" = $'workspace\n1000\n/home/workspace\nworkspace 755\nskel' ]
	run inside grep ^workspace: /etc/shadow
	[[ $output == workspace:\** ]]
}

@test "uid 1000 belongs to somebody else: workspace gets the next" {
	docker rm -f "$C" >/dev/null
	docker create --name "$C" --tmpfs /run/perry -v "$(realpath "$STEP_BIN")":/opt/perry/bin/perry-step:ro \
		--entrypoint /opt/perry/bin/perry-step "$IMAGE" init >/dev/null
	printf 'root:x:0:0:root:/root:/bin/bash\nnode:x:1000:1000::/home/node:/bin/sh' >"$BATS_TEST_TMPDIR/passwd"
	docker cp -q "$BATS_TEST_TMPDIR/passwd" "$C:/etc/passwd" 2>/dev/null || docker cp "$BATS_TEST_TMPDIR/passwd" "$C:/etc/passwd"
	docker start "$C" >/dev/null
	run step exec --id a -- id -u
	[ "$output" = 1001 ]
	run inside cat /etc/passwd
	[ "${lines[1]}" = node:x:1000:1000::/home/node:/bin/sh ]
}

@test "a home volume of another uid becomes the user's, root's files stay root's" {
	docker rm -f "$C" >/dev/null
	docker volume create "$C-home" >/dev/null
	docker run --rm -v "$C-home":/h "$IMAGE" sh -c 'mkdir /h/d; echo x >/h/d/f; echo r >/h/r; chown -R 1234:1234 /h; chown 0 /h/r; ln -s /etc/passwd /h/l; chown -h 1234 /h/l'
	new_container "$C" -v "$C-home":/home/workspace
	step exec --id a -- true
	run inside sh -c 'cd /home/workspace; stat -c "%n %U" . d d/f r l /etc/passwd'
	[ "$output" = $'. workspace\nd workspace\nd/f workspace\nr root\nl workspace\n/etc/passwd root' ]
}

@test "orphans are reaped" {
	step exec --id a -- sh -c 'for i in 1 2 3 4 5 6 7 8; do (sleep 0.1 &) ; done; exit 0'
	no_zombies() { [ "$(inside sh -c 'grep -l "^State:.Z" /proc/[0-9]*/status 2>/dev/null | wc -l')" = 0 ]; }
	eventually 30 sleeps_are 0.1 0
	eventually 30 no_zombies
}

@test "TERM ends everything before the engine would kill it, with exit code 0" {
	step ready
	docker exec -d "$C" /opt/perry/bin/perry-step exec --id bg -- sh -c 'trap "echo bye >/home/workspace/bye; exit" TERM; sleep 100 & wait'
	docker exec -d -t "$C" /opt/perry/bin/perry-step exec --id tty --login
	eventually 30 inside test -e /run/perry/exec/tty
	eventually 30 sleeps_are 100 1
	from=$(now_ms)
	docker stop -t 60 "$C" >/dev/null
	took=$(($(now_ms) - from))
	echo "took $took ms"
	[ "$took" -lt 30000 ]
	[ "$(docker inspect -f '{{.State.ExitCode}}' "$C")" = 0 ]
	docker cp "$C:/home/workspace/bye" "$BATS_TEST_TMPDIR/bye"
	[ "$(cat "$BATS_TEST_TMPDIR/bye")" = bye ]
	docker logs "$C" | grep -q '^\[perry\] stopped$'
}

@test "TERM reaches a process once" {
	step ready
	docker exec -d "$C" /opt/perry/bin/perry-step exec --id t -- sh -c 'trap "echo term >>~/terms" TERM; touch ~/armed; i=0; while [ $i -lt 40 ]; do sleep 0.01; i=$((i+1)); done; exit 0'
	eventually 30 inside test -e /home/workspace/armed
	docker stop -t 9 "$C" >/dev/null
	docker cp "$C:/home/workspace/terms" "$BATS_TEST_TMPDIR/terms"
	[ "$(wc -l <"$BATS_TEST_TMPDIR/terms")" = 1 ]
}

@test "one that ignores TERM is named and does not hold the stop beyond the grace" {
	step ready
	docker exec -d "$C" /opt/perry/bin/perry-step exec --id t -- sh -c 'trap "" TERM; touch ~/armed; while :; do sleep 0.2; done'
	eventually 30 inside test -e /home/workspace/armed
	from=$(now_ms)
	docker stop -t 60 "$C" >/dev/null
	took=$(($(now_ms) - from))
	echo "took $took ms"
	[ "$took" -gt 7000 ]
	[ "$took" -lt 40000 ]
	docker logs "$C" | grep -q 'did not end in time:.* sh('
}

@test "without an environment it goes on after ten seconds and says so" {
	ended() { docker logs "$C" | grep -q 'no environment came within 10 s'; }
	run ended
	[ "$status" != 0 ]
	sleep 10
	eventually 30 ended
	docker logs "$C" | grep -q '^\[perry\] ready'
}

@test "a stop while it waits for the environment does not wait" {
	from=$(now_ms)
	docker stop -t 60 "$C" >/dev/null
	[ $(($(now_ms) - from)) -lt 30000 ]
}

@test "a stopped container starts again, and its environment is asked for anew" {
	step ready
	docker stop -t 9 "$C" >/dev/null
	docker start "$C" >/dev/null
	step exec --id a -- true
	run inside test -e /run/perry/ready
	[ "$status" = 1 ]
}

@test "a read-only /etc does not stop it" {
	docker rm -f "$C" >/dev/null
	new_container "$C" --read-only
	step ready
	run step exec --id a --user root -- id -u
	[ "$output" = 0 ]
	run step exec --id a -- id -u
	[ "$status" = 125 ]
	[[ $output == *"no user workspace in this image"* ]]
}
