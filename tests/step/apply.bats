#!/usr/bin/env bats
# Bundles: from an exec, and from init's own standard input at the start.
# shellcheck disable=SC2088 # ~ is the workspace's home, not ours
load helper

setup_file() {
	load helper
	export C=$PIM-apply
	new_container "$C"
	eventually 30 docker exec "$C" test -e /run/perry/up
}
teardown_file() { docker rm -f "$C" "$C-in" >/dev/null 2>&1 || :; }

@test "files: modes, owners, folders on the way" {
	{ entry file 600 user '~/.creds/deep/a' $'one\n'; entry file 755 root /run/perry/scripts/x '#!/bin/sh'; entry file 640 user '~/b' ''; } | bundle | step apply | grep -q 'apply: done'
	[ "$(inside stat -c '%a %U' /home/workspace/.creds /home/workspace/.creds/deep/a /run/perry/scripts/x /home/workspace/b | tr '\n' ' ')" = "700 workspace 600 workspace 755 root 640 workspace " ]
	[ "$(inside cat /home/workspace/.creds/deep/a)" = one ]
}

@test "the user's group reads what is root's, and a file that has another group is written again" {
	entry file 640 group /run/perry/env "A='b'" | bundle | step apply >/dev/null
	[ "$(inside stat -c '%a %U %G' /run/perry/env)" = "640 root workspace" ]
	inside chgrp root /run/perry/env
	entry file 640 group /run/perry/env "A='b'" | bundle | step apply >/dev/null
	[ "$(inside stat -c '%a %U %G' /run/perry/env)" = "640 root workspace" ]
}

@test "what has not changed is not written again" {
	entry file 600 user '~/same' text | bundle | step apply >/dev/null
	before=$(inside stat -c '%i %z' /home/workspace/same)
	entry file 600 user '~/same' text | bundle | step apply >/dev/null
	[ "$(inside stat -c '%i %z' /home/workspace/same)" = "$before" ]
	entry file 644 user '~/same' text | bundle | step apply >/dev/null
	[ "$(inside stat -c %a /home/workspace/same)" = 644 ]
}

@test "addresses that should be out of reach: it says which answer" {
	run bash -c "$(declare -f bundle step entry); C=$C; printf 'reach 127.0.0.1\\n' | bundle | step apply"
	[ "$status" = 0 ]
	[[ $output == *"[perry] reaches 127.0.0.1"*"apply: done"* ]]
	[ "$(step reach 127.0.0.1 none 127.0.0.2)" = $'127.0.0.1\n127.0.0.2' ]
	run bash -c "$(declare -f bundle step entry); C=$C; printf 'reach 1234567890.1234567890\\n' | bundle | step apply"
	[ "$status" = 1 ]
	[[ $output == *"malformed"* ]]
}

@test "default: only where there is none" {
	entry default 644 user '~/d' first | bundle | step apply >/dev/null
	entry default 644 user '~/d' second | bundle | step apply >/dev/null
	[ "$(inside cat /home/workspace/d)" = first ]
}

@test "block: the lines around it stay" {
	inside sh -c 'mkdir -p /home/workspace/.ssh; printf mine >/home/workspace/.ssh/k; chown -R workspace /home/workspace/.ssh'
	entry block 600 user '~/.ssh/k' $'a\nb\n' | bundle | step apply >/dev/null
	inside sh -c 'echo after >>/home/workspace/.ssh/k'
	entry block 600 user '~/.ssh/k' $'c\n' | bundle | step apply >/dev/null
	[ "$(inside grep -v '^#' /home/workspace/.ssh/k | tr '\n' ' ')" = "mine c after " ]
	entry block 600 user '~/.ssh/k' '' | bundle | step apply >/dev/null
	[ "$(inside cat /home/workspace/.ssh/k | tr '\n' ' ')" = "mine after " ]
	entry block 600 user '~/.ssh/none' '' | bundle | step apply >/dev/null
	run inside test -e /home/workspace/.ssh/none
	[ "$status" = 1 ]
}

@test "a link in the home leads nowhere; the other files are written" {
	inside sh -c 'ln -s /etc /home/workspace/out; chown -h workspace /home/workspace/out'
	run bash -c "{ $(declare -f entry bundle); { entry file 600 user '~/out/owned' x; entry file 600 user '~/fine' x; } | bundle; } | docker exec -i $C /opt/perry/bin/perry-step apply"
	[ "$status" = 1 ]
	[[ $output == *"/home/workspace/out/owned: Permission denied"*"apply: failed"* ]]
	run inside test -e /etc/owned
	[ "$status" = 1 ]
	inside test -e /home/workspace/fine
}

@test "what is no bundle, or not all of one, changes nothing" {
	for bad in 'nonsense' $'perry-bundle 9\nend' $'perry-bundle 99999999999\n' $'perry-bundle 20\nfile 600 user 99 3\n~/x'; do
		run bash -c 'printf %s "$1" | docker exec -i "$2" /opt/perry/bin/perry-step apply' sh "$bad" "$C"
		[ "$status" != 0 ]
	done
	run bash -c "{ $(declare -f entry bundle); { entry file 600 user '~/y' x; entry file 600 user relative x; } | bundle; } | docker exec -i $C /opt/perry/bin/perry-step apply"
	[ "$status" = 1 ]
	[[ $output == *"not absolute"* ]]
	run inside test -e /home/workspace/y
	[ "$status" = 1 ]
}

@test "init takes one from its standard input and goes on" {
	docker create -i --name "$C-in" -v "$(realpath "$STEP_BIN")":/opt/perry/bin/perry-step:ro --tmpfs /run/perry \
		--entrypoint /opt/perry/bin/perry-step "$IMAGE" init >/dev/null
	{ entry file 640 group /run/perry/env "A='b'"$'\n'; entry file 600 user '~/f' x; } | bundle 1 >"$BATS_TEST_TMPDIR/bundle"
	{ cat "$BATS_TEST_TMPDIR/bundle"; sleep 1; } | docker start -ai "$C-in" >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
	eventually 30 docker exec "$C-in" test -e /run/perry/ready
	[ "$(docker exec "$C-in" /opt/perry/bin/perry-step exec --id t -- sh -c 'echo $A; stat -c %U ~/f')" = $'b\nworkspace' ]
	eventually 30 sh -c "docker logs $C-in 2>&1 | grep -q 'ready'"
	docker logs "$C-in" 2>&1 | grep -q 'apply: done'
	docker rm -f "$C-in" >/dev/null
}
