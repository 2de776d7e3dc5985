#!/usr/bin/env bats
# The workspace image (small): SSH with keys only, one environment everywhere, supervised services.
load helper
bats_require_minimum_version 1.5.0

setup_file() {
	C=$PIM-image
	STEP_IMAGE=${PERRY_TEST_WORKSPACE_IMAGE:-perry:small}
	IMAGE=$STEP_IMAGE
	export C STEP_IMAGE
	docker image inspect "$IMAGE" >/dev/null # scripts/image.sh small makes it
	docker volume create "$C-home" >/dev/null
	new_container "$C" -p 127.0.0.1::22 -v "$C-home":/home/workspace
	ssh-keygen -q -t ed25519 -N '' -f "$BATS_FILE_TMPDIR/key"
	step write '~/.ssh/authorized_keys' --owner workspace <"$BATS_FILE_TMPDIR/key.pub"
	printf "LINES_='a\nb'\nQ='it'\\\\''s'\nPATH='/opt/mine:/usr/local/bin:/usr/bin:/bin'\n" | deliver_env
	step ready
	eventually 30 inside sh -c 'sv status /etc/perry/services/sshd | grep -q ^run:'
	ssh_config
	eventually 30 ssh -F "$BATS_FILE_TMPDIR/config" ws true
}
teardown_file() {
	docker rm -f "$C" >/dev/null
	docker volume rm "$C-home" >/dev/null
}
ssh_config() {
	port=$(docker port "$C" 22 | head -1)
	cat >"$BATS_FILE_TMPDIR/config" <<EOC
Host ws
	HostName 127.0.0.1
	Port ${port##*:}
	User workspace
	IdentityFile $BATS_FILE_TMPDIR/key
	IdentitiesOnly yes
	HostKeyAlias ws
	UserKnownHostsFile $BATS_FILE_TMPDIR/known
	StrictHostKeyChecking accept-new
	BatchMode yes
	LogLevel ERROR
EOC
}
ssh_ws() { ssh -F "$BATS_FILE_TMPDIR/config" "$@"; }
want=$'a\nb|it\'s|/opt/mine:/usr/local/bin:/usr/bin:/bin|/bin/bash|'
show='printf "%s|" "$LINES_" "$Q" "$PATH" "$SHELL"'

@test "a remote command, a login shell, a terminal and an exec see one environment" {
	run ssh_ws ws "$show"
	[ "$output" = "$want" ]
	run bash -c "echo '$show' | ssh -F $BATS_FILE_TMPDIR/config -T ws"
	[ "$output" = "$want" ]
	run bash -c "printf '%s; exit\n' '$show' | ssh -F $BATS_FILE_TMPDIR/config -tt ws bash -l | tr -d '\r'"
	[[ $output == *"$want"* ]]
	run step exec --id a -- sh -c "$show"
	[ "$output" = "$want" ]
	run step exec --id a --login -- sh -c "$show"
	[ "$output" = "$want" ]
	run inside su - workspace -c "$show"
	[ "$output" = "$want" ]
}

@test "a service sees it too, sshd itself does not" {
	inside sh -c 'mkdir -p /etc/perry/services/mine; printf "#!/bin/sh\nprintf \"%%s\" \"\$LINES_\" >/tmp/service; echo from the service; exec sleep 400\n" >/etc/perry/services/mine/run; chmod 755 /etc/perry/services/mine/run'
	for i in 1 2 3 4 5 6; do inside test -s /tmp/service && break; sleep 1; done # runsvdir looks every five seconds
	[ "$(inside cat /tmp/service)" = $'a\nb' ]
	docker logs "$C" 2>&1 | grep -q '^from the service$'
	run inside sh -c 'tr "\0" "\n" <"/proc/$(pgrep -o -x sshd)/environ" | grep -c LINES_'
	[ "$output" = 0 ]
	inside sh -c 'sv -w 2 down /etc/perry/services/mine >/dev/null; rm -r /etc/perry/services/mine'
}

@test "the image's own variables are there too, but not its HOME" {
	run ssh_ws ws 'echo "$LANG $NODE_EXTRA_CA_CERTS $HOME"'
	[ "$output" = "C.UTF-8 /etc/ssl/certs/ca-certificates.crt /home/workspace" ]
}

@test "the environment is not in what the engine shows" {
	run docker inspect "$C"
	[ "$status" = 0 ]
	[[ $output != *LINES_* ]]
}

@test "sftp, scp and rsync pass any byte" {
	head -c 300000 /dev/urandom >"$BATS_TEST_TMPDIR/f"
	echo "put $BATS_TEST_TMPDIR/f by-sftp" | sftp -q -F "$BATS_FILE_TMPDIR/config" -b - ws
	scp -q -F "$BATS_FILE_TMPDIR/config" "$BATS_TEST_TMPDIR/f" ws:by-scp
	scp -q -O -F "$BATS_FILE_TMPDIR/config" "$BATS_TEST_TMPDIR/f" ws:by-old-scp
	for f in by-sftp by-scp by-old-scp; do
		inside cat "/home/workspace/$f" | cmp - "$BATS_TEST_TMPDIR/f"
	done
	if command -v rsync; then
		rsync -e "ssh -F $BATS_FILE_TMPDIR/config" "$BATS_TEST_TMPDIR/f" ws:by-rsync
		inside cat /home/workspace/by-rsync | cmp - "$BATS_TEST_TMPDIR/f"
	fi
}

@test "a shell fed on standard input, as editors do it" {
	run bash -c "printf 'uname\necho \"\$Q\"\n' | ssh -F $BATS_FILE_TMPDIR/config -T ws bash"
	[ "$output" = $'Linux\nit\'s' ]
}

@test "a key with a command of its own stays restricted to it" {
	ssh-keygen -q -t ed25519 -N '' -f "$BATS_TEST_TMPDIR/restricted"
	{
		cat "$BATS_FILE_TMPDIR/key.pub"
		echo "command=\"echo only this\",restrict $(cat "$BATS_TEST_TMPDIR/restricted.pub")"
	} | step write '~/.ssh/authorized_keys' --owner workspace
	run ssh_ws -o IdentityFile=none -i "$BATS_TEST_TMPDIR/restricted" ws id
	[ "$output" = "only this" ]
}

@test "no password is taken from anybody, root does not come in" {
	run ssh_ws -o PubkeyAuthentication=no -o PreferredAuthentications=password,keyboard-interactive ws true
	[ "$status" = 255 ]
	run ssh_ws -o LogLevel=INFO -o PubkeyAuthentication=no -v ws true
	[[ $output == *"Authentications that can continue: publickey"* ]]
	[[ $output != *"continue: "*password* ]]
	inside sh -c 'mkdir -p /root/.ssh; cp /home/workspace/.ssh/authorized_keys /root/.ssh/; chown -R root /root/.ssh; chmod 700 /root/.ssh'
	run ssh_ws -l root ws true
	[ "$status" = 255 ]
	inside cut -d: -f1,2 /etc/shadow >"$BATS_TEST_TMPDIR/shadow"
	grep -q ^workspace: "$BATS_TEST_TMPDIR/shadow"
	refute grep -vE ':(\*|!\*?|!!)$' "$BATS_TEST_TMPDIR/shadow"
}

@test "sudo asks for nothing" {
	run ssh_ws ws sudo -n id -u
	[ "$output" = 0 ]
}

@test "host keys are root's, survive a new container, and no link leads them astray" {
	ssh_ws ws true
	[ "$(inside stat -c '%U %a' /home/workspace/.perry/hostkeys)" = "root 700" ]
	before=$(inside sha256sum /home/workspace/.perry/hostkeys/ssh_host_ed25519_key)
	docker rm -f "$C" >/dev/null
	new_container "$C" -p 127.0.0.1::22 -v "$C-home":/home/workspace
	step ready
	ssh_config
	eventually 30 ssh_ws ws true # the host key must be the one in known, under the alias
	[ "$(inside sha256sum /home/workspace/.perry/hostkeys/ssh_host_ed25519_key)" = "$before" ]
	step exec --id a -- sh -c 'mv ~/.perry ~/.mine; mkdir ~/evil; ln -s evil ~/.perry'
	docker restart -t 5 "$C" >/dev/null
	step exec --id a -- true
	[ "$(inside stat -c '%F %U' /home/workspace/.perry)" = "directory workspace" ]
	[ "$(inside sh -c 'ls -A /home/workspace/evil | wc -l')" = 0 ]
	inside sh -c 'cd /home/workspace; rm -rf evil .mine .perry.aside*'
	printf "LINES_='a\nb'\n" | deliver_env
	step ready
	rm "$BATS_FILE_TMPDIR/known"
	ssh_config
	eventually 30 ssh_ws ws true
}

@test "a service that dies comes back, and a stop with sessions open is quick" {
	pid=$(inside pgrep -o -x sshd)
	inside kill -9 "$pid"
	back() { [ -n "$(inside pgrep -o -x sshd)" ] && [ "$(inside pgrep -o -x sshd)" != "$pid" ]; }
	eventually 30 back
	eventually 30 ssh_ws ws true
	ssh_ws -tt ws >/dev/null 2>&1 </dev/zero &
	client=$!
	eventually 30 inside pgrep -x bash
	from=$(now_ms)
	docker stop -t 60 "$C" >/dev/null
	took=$(($(now_ms) - from))
	echo "took $took ms"
	[ "$took" -lt 30000 ] # half of what the engine waits before it kills
	wait $client || true
	docker logs "$C" 2>&1 | grep -q 'Accepted publickey for workspace'
	docker logs "$C" 2>&1 | grep -q '^\[perry\] stopped$'
}

@test "the Dockerfile refuses a variant that does not exist" {
	cd "$BATS_TEST_DIRNAME/../.."
	docker image inspect debian:bookworm >/dev/null 2>&1 || skip "no base image"
	run timeout 300 docker build -q --force-rm --build-arg VARIANT=middle --build-arg EXTRA_CA="$(scripts/host-ca.sh)" image
	[ "$status" != 0 ]
	[[ $output == *"VARIANT is small or full, not middle"* ]]
}
