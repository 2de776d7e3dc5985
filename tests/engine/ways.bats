#!/usr/bin/env bats
# Another way in: whoever comes by perry exec, perry shell, ssh, an editor's server, a service, a script of the start or a terminal of the API finds the
# same environment, user, folder and limits. With the real OpenSSH client, and the environment only as a start writes it.
bats_require_minimum_version 1.5.0
load helper

setup_file() {
	ssh-keygen -q -t ed25519 -N '' -f "$BATS_FILE_TMPDIR/key"
	printf '#!/bin/sh\n[ ! -e ~/facts.sh ] || sh ~/facts.sh >~/facts.script\n' >"$BATS_FILE_TMPDIR/first.sh"
	CONFIG_MORE=", \"scripts\": {\"post_start\": [\"$BATS_FILE_TMPDIR/first.sh\"]}, \"agents\": {\"github\": {\"token\": \"token-of-github\"}},
		\"ssh\": {\"global\": {\"authorize\": [\"$(cat "$BATS_FILE_TMPDIR/key.pub")\"]}}"
	make -s -C "${BATS_TEST_DIRNAME}/../.." "$BUILD/test/hostile-step" >&2
	export PERRY_STEP=$BUILD/test/hostile-step # honest but for no_channel
	engine_setup
	cat >"$BATS_FILE_TMPDIR/facts.sh" <<-'S'
		umask
		ulimit -a
		id
		pwd
		# what a terminal, a connection or a shell has for itself
		unset SHLVL OLDPWD TERM COLORTERM SSH_CLIENT SSH_CONNECTION SSH_TTY LINES COLUMNS MAIL LS_COLORS
		env | grep -v '^_=' | sort
	S
}
teardown_file() {
	engine_teardown
	[ ! -e "$BATS_FILE_TMPDIR/images" ] || xargs -r docker image rm <"$BATS_FILE_TMPDIR/images" >/dev/null 2>&1 || :
}
setup() { engine_use; }

# It has an SSH server that answers: sets PORT_OF.
ssh_to() { # NAME [SSH ARGUMENTS...]
	local name=$1
	shift
	ssh -p "$(ssh_port "$name")" "${SSH_OPTIONS[@]}" workspace@127.0.0.1 "$@"
}
ssh_port() { p list --json | jq -r --arg n "$1" '.[] | select(.name == $n) | .ports.ssh'; }
SSH_OPTIONS=(-i "$BATS_FILE_TMPDIR/key" -o IdentitiesOnly=yes -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR)

# A helper in it that knows no channel, as that of a workspace which an older agent made.
no_channel() { # NAME
	p exec "$1" -- sh -c 'mkdir hostile; printf "#!/bin/sh\necho usage: perry-step >&2; exit 2\n" >hostile/channel; chmod 755 hostile/channel'
	p restart "$1"
}

# What each way that this workspace has sees, into files.
facts() { # NAME WITH_SSH
	local name=$1 into=$BATS_TEST_TMPDIR/facts
	mkdir -p "$into"
	p cp "$BATS_FILE_TMPDIR/facts.sh" "$name":facts.sh
	p exec "$name" -- sh facts.sh >"$into/exec"
	echo 'sh facts.sh' | p shell "$name" >"$into/shell"
	p shell "$name" -- sh facts.sh >"$into/shell-command"
	script -qec "$BUILD/perry shell $name" /dev/null <<<'sh facts.sh >facts.tty; exit' >/dev/null
	"$BATS_TEST_DIRNAME/../lib/terminal_client.py" "$DIR/agent.sock" "$name" 'sh facts.sh >facts.api; exit'
	p exec "$name" -- sh -s <<<'sh facts.sh' >"$into/exec-input"
	# A server that stays when the command that started it has ended.
	p exec "$name" -- sh -c 'setsid sh facts.sh >facts.left 2>&1 </dev/null &'
	eventually 30 p exec "$name" -- grep -q ^USER= facts.left
	p exec "$name" -- cat facts.left >"$into/exec-left"
	p restart "$name" # runs the script
	p exec "$name" -- cat facts.tty >"$into/tty"
	p exec "$name" -- cat facts.api >"$into/api"
	p exec "$name" -- cat facts.script >"$into/script"
	[ "$2" = ssh ] || return 0
	eventually 30 ssh_to "$name" true
	ssh_to "$name" sh facts.sh >"$into/ssh"
	ssh_to "$name" bash -l <<<'sh facts.sh' >"$into/ssh-login"
	ssh_to "$name" -T <<<'sh facts.sh' >"$into/ssh-input"
	ssh_to "$name" -tt 'sh facts.sh >facts.ssh' >/dev/null
	scp -q -P "$(ssh_port "$name")" "${SSH_OPTIONS[@]}" workspace@127.0.0.1:facts.ssh "$into/ssh-tty"
	editor "$name" "$into"
}
# As VS Code and Zed do: a script on the standard input of a shell makes a folder, the server comes by sftp, is started from another such script, stays
# when that connection ends, and is reached through a forward.
editor() { # NAME INTO
	local name=$1 into=$2 port
	ssh_to "$name" -T sh -s <<<'mkdir -p ~/.editor-server' >/dev/null
	{ cat "$BATS_FILE_TMPDIR/facts.sh"; echo 'exec perl ~/.editor-server/listen'; head -c 60000000 /dev/zero | tr '\0' '#'; } >"$BATS_TEST_TMPDIR/server"
	echo 'use Socket; socket(my $s, PF_INET, SOCK_STREAM, 0); bind($s, sockaddr_in(4555, inet_aton("127.0.0.1"))) or die; listen($s, 5);
		while (accept(my $c, $s)) { syswrite($c, "editor\n"); close $c }' >"$BATS_TEST_TMPDIR/listen"
	printf 'put %s .editor-server/server\nput %s .editor-server/listen\nchmod 755 .editor-server/server\n' "$BATS_TEST_TMPDIR/server" "$BATS_TEST_TMPDIR/listen" |
		sftp -q -b - -P "$(ssh_port "$name")" "${SSH_OPTIONS[@]}" workspace@127.0.0.1 >/dev/null
	timeout 60 "$BASH" -c "$(declare -f ssh_to ssh_port p); $(declare -p SSH_OPTIONS BUILD); ssh_to $name -T bash -l" \
		<<<'setsid nohup sh ~/.editor-server/server >~/facts.editor 2>/dev/null </dev/null &' >/dev/null
	port=$(free_port)
	ssh -p "$(ssh_port "$name")" "${SSH_OPTIONS[@]}" -N -L "$port:127.0.0.1:4555" workspace@127.0.0.1 3>&- &
	eventually 30 answers "$port"
	kill $!
	p exec "$name" -- cat facts.editor >"$into/editor"
}
answers() { [ "$(exec 2>/dev/null; cat <"/dev/tcp/127.0.0.1/$1")" = editor ]; }
# A service of the image runs as root, in a folder of its own; all else is as everywhere.
service() { # NAME
	local own='^(HOME|USER|LOGNAME|SHELL|PWD)=|^uid=|^/'
	p exec -u root "$1" -- sh -c 'mkdir -p /etc/perry/services/facts && cat >/etc/perry/services/facts/run && chmod 755 /etc/perry/services/facts/run' <<-'S'
		#!/bin/sh
		sh /home/workspace/facts.sh >/tmp/facts.service
		/opt/perry/bin/perry-step exec --id a-service -- sh facts.sh >/tmp/facts.service-user
		echo done >/tmp/facts.done
		exec sleep 1000
	S
	p restart "$1" # with the environment of this start
	eventually 30 p exec "$1" -- test -s /tmp/facts.done
	diff -u <(grep -vE "$own" "$BATS_TEST_TMPDIR/facts/exec") <(p exec "$1" -- cat /tmp/facts.service | grep -vE "$own")
	p exec "$1" -- grep -q '^uid=0(root)' /tmp/facts.service
	p exec "$1" -- cat /tmp/facts.service-user >"$BATS_TEST_TMPDIR/facts/service-user"
}
all_the_same() {
	local way same=0
	[ -s "$BATS_TEST_TMPDIR/facts/exec" ]
	for way in "$BATS_TEST_TMPDIR"/facts/*; do diff -u "$BATS_TEST_TMPDIR/facts/exec" "$way" || same=1; done
	return $same
}

@test "what start -e sets is there over SSH, and no connection prints anything else" {
	p start web -e GREETING="it's
fine" -e A=b
	eventually 30 ssh_to web true
	run --separate-stderr ssh_to web 'printf "%s|" "$A" "$GREETING" "$GITHUB_TOKEN"'
	[ "$output" = "b|it's
fine|token-of-github|" ]
	[ -z "$stderr" ]
	run --separate-stderr ssh_to web bash -l <<<'echo "$A $GITHUB_TOKEN"'
	[ "$output" = "b token-of-github" ]
	[ -z "$stderr" ]
	echo bytes >"$BATS_TEST_TMPDIR/f"
	run scp -P "$(ssh_port web)" "${SSH_OPTIONS[@]}" "$BATS_TEST_TMPDIR/f" workspace@127.0.0.1:
	[ "$status" = 0 ]
	[ -z "$output" ]
	[ "$(p exec web -- cat f)" = bytes ]
	run --separate-stderr p exec web -- sudo su - workspace -c 'echo "$A"'
	[ "$output" = b ]
	[ -z "$stderr" ]
}

@test "the environment is its user's and root's alone, and only root's to change" {
	[ "$(p exec web -- stat -c '%a %U %G' /run/perry/env)" = "640 root workspace" ]
	p exec -u root web -- useradd other
	run p exec -u other web -- cat /run/perry/env
	[ "$status" = 1 ]
	[[ $output != *token-of-github* ]]
	run p exec web -- sh -c 'echo LD_PRELOAD=/tmp/x >>/run/perry/env'
	[ "$status" != 0 ]
}

@test "on our image every way in finds the same" {
	p start all -e A=b -e LANG=C.UTF-8
	facts all ssh
	grep -q '^A=b$' "$BATS_TEST_TMPDIR/facts/exec"
	grep -q '^/home/workspace$' "$BATS_TEST_TMPDIR/facts/exec"
	service all
	all_the_same
}

# An image that is made for one test. COMMANDS run as root in a container of FROM; the rest goes to docker commit.
image_of() { # FROM COMMANDS [OPTIONS OF docker commit...]
	local c="perry-ways-$$-$RANDOM" from=$1 commands=$2
	shift 2
	docker run --name "$c" --network none --user 0 --entrypoint /bin/sh "$from" -c "$commands" >&2
	IMAGE=$c
	docker commit "$@" "$c" "$IMAGE" >/dev/null
	docker rm "$c" >/dev/null
	echo "$IMAGE" >>"$BATS_FILE_TMPDIR/images"
}

@test "from another machine a start names no port of that machine's own 127.0.0.1" {
	run p start away
	[ "$output" = "ssh -p $(ssh_port away) workspace@127.0.0.1" ]
	[ "$(PERRY_AGENT=http://localhost:$PORT PERRY_TOKEN=$(p agent show-token) p start away)" = "perry shell away" ]
}

@test "where no channel can be had every way in finds the same, by execs of the engine, and the same as over the channel" {
	p start both -e A=b -e LANG=C.UTF-8
	p screen both 2>&1 | grep -q 'has no session$'
	p cp "$BATS_FILE_TMPDIR/facts.sh" both:facts.sh
	p exec both -- sh facts.sh >"$BATS_TEST_TMPDIR/over"
	no_channel both
	facts both ssh
	service both
	all_the_same
	diff -u "$BATS_TEST_TMPDIR/over" "$BATS_TEST_TMPDIR/facts/exec"
	run p screen both
	[ "$status" = 6 ]
	[[ $output == *"has no sessions"* ]]
	run p exec both -- sh -c 'cat; exit 7' <<<in
	[ "$status" = 7 ]
	[ "$output" = in ]
	run -127 p exec both -- /no/such
	run script -qec "$BUILD/perry shell both -- sh -c 'stty size; exit 5'" /dev/null </dev/null
	[ "$status" = 5 ]
	p delete -y both
}

@test "an image with a user, an entry point, a folder and variables of its own" {
	image_of perry:small 'useradd -m app' -c 'USER app' -c 'ENTRYPOINT ["/bin/false"]' -c 'WORKDIR /srv' -c 'ENV MINE="of the image"'
	p start own --image "$IMAGE" -e A=b
	facts own ssh
	grep -q '^MINE=of the image$' "$BATS_TEST_TMPDIR/facts/exec"
	grep -q '^uid=[0-9]*(workspace)' "$BATS_TEST_TMPDIR/facts/exec"
	grep -q '^/home/workspace$' "$BATS_TEST_TMPDIR/facts/exec"
	service own
	all_the_same
}

# No bash and no SSH server: every other way in works, and none is shown that nobody serves.
poor() { # NAME
	run --separate-stderr p start "$1" --image "$IMAGE" -e A=b
	[ "$status" = 0 ]
	[ "$output" = "perry shell $1" ]
	facts "$1" without
	grep -q '^A=b$' "$BATS_TEST_TMPDIR/facts/exec"
	grep -q '^SHELL=/bin/sh$' "$BATS_TEST_TMPDIR/facts/exec"
	all_the_same
	run bash -c 'echo "echo in \$0; exit 5" | "$0"/perry shell "$1"' "$BUILD" "$1"
	[ "$status" = 5 ]
	[[ $output == "in "*sh ]]
	[ "$(docker inspect -f '{{len .HostConfig.PortBindings}}' "workspace-$1")" = 0 ]
	[ "$(ssh_port "$1")" = 0 ]
	[[ $(p info "$1" | grep -i ^ssh) == *"no SSH server"* ]]
	run p shell "$1" --ssh
	[ "$status" = 6 ]
	[[ $output == *"no SSH server"* ]]
}

@test "a Debian without bash" {
	image_of debian:bookworm 'rm -f /bin/bash /usr/bin/bash' -c 'ENV PATH=/opt/mine/bin:/usr/bin:/bin'
	poor debian
	grep -q '^PATH=/opt/mine/bin:/usr/bin:/bin$' "$BATS_TEST_TMPDIR/facts/tty" # /etc/profile has another one
}

@test "an image of busybox alone" {
	command -v busybox >/dev/null || skip "busybox-static is not installed"
	local root=$BATS_TEST_TMPDIR/root
	mkdir -p "$root"/{bin,etc,tmp,root,proc,sys,dev}
	cp "$(command -v busybox)" "$root/bin/busybox"
	for name in $("$root/bin/busybox" --list); do [ "$name" = busybox ] || ln -s busybox "$root/bin/$name"; done
	echo 'root:x:0:0:root:/root:/bin/sh' >"$root/etc/passwd"
	echo 'root:x:0:' >"$root/etc/group"
	IMAGE=perry-ways-busybox-$$
	tar -C "$root" -c . | docker import - "$IMAGE" >/dev/null
	rm -r "$root"
	echo "$IMAGE" >>"$BATS_FILE_TMPDIR/images"
	poor busybox
}

@test "a workspace without a network shows no SSH port either" {
	mkdir -p "$DIR/hooks"
	cat >"$DIR/hooks/container.lua" <<-'L'
		-- perry: api=1
		return function(ws, base)
		  local spec = base()
		  if ws.name == "cut" then spec.network = "none" end
		  return spec
		end
	L
	p start cut
	[ "$(ssh_port cut)" = 0 ]
	[[ $(p info cut | grep -i ^ssh) == *"no network"* ]]
	rm "$DIR/hooks/container.lua"
}

third() { # ADDRESS N: its first three numbers, the third one N more
	local a b c
	IFS=. read -r a b c _ <<<"$1"
	echo "$a.$b.$((c + $2))"
}

@test "an engine whose networks and ports this process does not see" {
	[ "$(id -u)" = 0 ] && unshare -n true 2>/dev/null || skip "needs root and network namespaces"
	local i range base net c
	DIR=$BATS_TEST_TMPDIR/elsewhere
	unset PORT
	mkdir -m 700 "$DIR"
	agent_config '"allowHostAccess": false'
	range=$(jq -r .networkRange "$DIR/config.json") base=$(jq -r '.sshPortRange | split("-")[0]' "$DIR/config.json")
	# 36 networks from the bottom of its range, and its first five ports.
	net=${range%/*}
	for i in $(seq 0 35); do
		docker network create --subnet "$(third "$net" $((i / 16))).$((i % 16 * 16))/28" "perry-ways-$$-$i" >/dev/null
	done
	python3 -c "import socket, time
held = [socket.create_server(('127.0.0.1', $base + i)) for i in range(5)]
time.sleep(600)" 3>&- &
	c=$!
	# shellcheck disable=SC2016
	agent_launch env PERRY_CONFIG_DIR="$DIR" unshare -n sh -c 'ip link set lo up; exec "$0" agent run -p 7399 -c "$1"' "$BUILD/perry-agent" "$DIR"
	agent_wait
	export PERRY_CONFIG_DIR=$DIR
	p start one
	[ "$(ssh_port one)" = $((base + 5)) ]
	run p start two
	[ "$status" = 0 ]
	[[ $output != *"is taken"* ]]
	[ "$(ssh_port two)" = $((base + 6)) ]
	p delete -y one two
	i=$(agent_id)
	agent_end
	agent_networks_gone "$i"
	kill $c
	docker network ls -q --filter "name=perry-ways-$$-" | xargs -r docker network rm >/dev/null
}
