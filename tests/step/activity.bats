#!/usr/bin/env bats
# activity: one sample of what goes on in a workspace.
load helper

setup_file() {
	load helper
	export C=$PIM-activity
	new_container "$C" --sysctl net.ipv6.conf.lo.disable_ipv6=0
	eventually 30 docker exec "$C" test -e /run/perry/up
	docker exec "$C" sh -c 'for n in claude make cc1 napping; do cp /bin/sleep /usr/local/bin/$n; done; cp /usr/bin/perl /usr/local/bin/tailscaled'
}
teardown_file() { docker rm -f "$C" "$C-two" "$C-ssh" >/dev/null 2>&1 || :; }
teardown() {
	docker exec "$C" sh -c 'for p in /proc/[0-9]*; do [ "${p#/proc/}" = 1 ] || grep -qE "sleep|claude|make|cc1|napping|perl|tailscaled|dd" "$p/comm" 2>/dev/null && kill -9 "${p#/proc/}"; done; :' 2>/dev/null || :
}

sample() { docker exec "${1:-$C}" /opt/perry/bin/perry-step activity | jq -c .activity; }
fact() { sample "${2:-$C}" | jq -c "$1"; }
is() { [ "$(fact "$1")" = "$2" ]; }
# server PORT ADDRESS: accepts and keeps what comes.
server() {
	docker exec -d "$C" perl -MSocket -e 'my ($port, $host) = @ARGV; my $six = $host =~ /:/;
		socket(my $s, $six ? PF_INET6 : PF_INET, SOCK_STREAM, 0); setsockopt($s, SOL_SOCKET, SO_REUSEADDR, 1);
		bind($s, $six ? pack_sockaddr_in6($port, Socket::inet_pton(AF_INET6, $host)) : sockaddr_in($port, inet_aton($host))) or die; listen($s, 9);
		my @keep; while (accept(my $c, $s)) { push @keep, $c }' "$1" "$2"
	eventually 30 docker exec "$C" sh -c "cat /proc/net/tcp /proc/net/tcp6 | grep -q ':$(printf %04X "$1") 0'"
}
# client PORT [PROGRAM] inside: connects, and stays.
client() { docker exec -d "$C" "${2:-perl}" -MSocket -e 'socket(my $s, PF_INET, SOCK_STREAM, 0); connect($s, sockaddr_in($ARGV[0], inet_aton("127.0.0.1"))) or die; sleep 1000' "$1"; }

@test "an empty workspace: nothing runs, nothing is connected, what can be counted is there" {
	run fact '[.agents, .builds, .connections, .ssh, (.cpuUsec > 0), (.ioBytes >= 0), (.netRx >= 0), .tailnetRx, .tailnetUnseen, .typed]'
	[ "$output" = '[[],[],[],0,true,true,true,null,null,null]' ]
}

@test "processor time is what the workspace used" {
	local before after
	before=$(fact .cpuUsec)
	docker exec "$C" perl -e 'my $n; for (;;) { $n++ for 1 .. 1e5; my ($u, $s) = times; last if $u + $s > 0.5 }'
	after=$(fact .cpuUsec)
	[ $((after - before)) -ge 500000 ]
	[ $((after - before)) -lt 1500000 ]
}

@test "agents are found by the name of the program and of the script's folder, builds with the age of the youngest" {
	docker exec "$C" sh -c 'mkdir -p /opt/@google/gemini-cli/dist; echo "sleep 1000" >/opt/@google/gemini-cli/dist/index.js'
	docker exec -d "$C" claude 1000
	docker exec -d "$C" perl /opt/@google/gemini-cli/dist/index.js
	docker exec -d "$C" make 1000
	docker exec -d "$C" cc1 1000
	docker exec -d "$C" napping 1000
	eventually 30 is '.agents | sort' '["claude","gemini"]'
	eventually 30 is '[.builds[].name] | sort' '["cc1","make"]'
	is '.processes | sort' '["cc1","claude","gemini","make","napping"]'
	sleep 2.1
	docker exec -d "$C" make 1000
	is '[.builds[] | .seconds >= (if .name == "make" then 0 else 2 end) and .seconds <= (if .name == "make" then 1 else 9 end)]' '[true,true]'
}

@test "a connection from outside counts, one of the workspace to its own server does not" {
	server 5432 127.0.0.1
	client 5432
	eventually 30 is '.accepted > 0' true
	is .connections '[]'
	server 3000 0.0.0.0
	local address
	address=$(docker inspect -f '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' "$C")
	exec 8<>"/dev/tcp/$address/3000" 7<>"/dev/tcp/$address/3000"
	eventually 30 is .connections '[{"port":3000,"count":2}]'
	exec 8>&- 7>&-
}

@test "a server on :: sees IPv4 clients of the workspace as its own, too" {
	server 3001 ::
	client 3001
	eventually 30 is '.accepted > 0' true
	is .connections '[]'
}

@test "what tailscaled passes on from the tailnet counts; one that does not tell its bytes is said so" {
	server 3000 127.0.0.1
	client 3000 tailscaled
	eventually 30 is .connections '[{"port":3000,"count":1}]'
	is .tailnetUnseen true
}

@test "a terminal: how long nobody typed, how long nothing was printed" {
	docker exec -dt "$C" sleep 1000
	eventually 30 is '.typed != null' true
	docker exec "$C" touch -a -d '3 hours ago' /dev/pts/0
	is '[(.typed / 3600 | floor), .printed < 60]' '[3,true]'
}

@test "disk: bytes read and written" {
	local before
	before=$(fact .ioBytes)
	docker exec "$C" dd if=/dev/zero of=/var/tmp/x bs=1M count=8 oflag=direct 2>/dev/null || skip "no direct writes on this file system"
	[ $(($(fact .ioBytes) - before)) -ge 8388608 ] || skip "this kernel does not account for the disk of a container"
}

@test "cgroup version 2 (its files, made up: this machine may have version 1)" {
	local dir=$BATS_TEST_TMPDIR/cgroup
	mkdir "$dir"
	printf 'usage_usec 123456\nuser_usec 100\nsystem_usec 23\n' >"$dir/cpu.stat"
	printf '8:0 rbytes=1000 wbytes=500 rios=1 wios=1 dbytes=7 dios=0\n8:16 rbytes=30 wbytes=0 rios=1 wios=0 dbytes=0 dios=0\n' >"$dir/io.stat"
	new_container "$C-two" -v "$dir:/sys/fs/cgroup:ro"
	eventually 30 docker exec "$C-two" test -e /run/perry/up
	[ "$(fact '[.cpuUsec, .ioBytes]' "$C-two")" = '[123456,1530]' ]
	rm "$dir"/*
	[ "$(fact '[.cpuUsec, .ioBytes]' "$C-two")" = '[null,null]' ]
}

@test "an SSH session counts once, with a terminal, with a command and without either" {
	docker image inspect perry:small >/dev/null 2>&1 || skip "needs the image perry:small"
	local address key=$BATS_TEST_TMPDIR/key
	IMAGE=perry:small new_container "$C-ssh"
	eventually 30 docker exec "$C-ssh" test -e /run/perry/up
	ssh-keygen -q -t ed25519 -N '' -f "$key"
	docker exec -i "$C-ssh" sh -c 'mkdir -p ~workspace/.ssh /run/sshd && cat >~workspace/.ssh/authorized_keys && chown -R workspace ~workspace/.ssh && chmod -R go= ~workspace/.ssh
		ls /etc/ssh/ssh_host_* >/dev/null 2>&1 || ssh-keygen -A >/dev/null; usermod -p "*" workspace; /usr/sbin/sshd -p 2222' <"$key.pub"
	address=$(docker inspect -f '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' "$C-ssh")
	at() { exec ssh -F none -i "$key" -p 2222 -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR "$@" "workspace@$address" ${COMMAND:+"$COMMAND"}; }
	sessions() { [ "$(fact .ssh "$C-ssh")" = "$1" ]; }
	COMMAND="sleep 1000" at -tt </dev/null >/dev/null 2>&1 3>&- & local one=$!
	eventually 30 sessions 1
	COMMAND="sleep 1000" at -n >/dev/null 2>&1 3>&- & local two=$!
	eventually 30 sessions 2
	at -N >/dev/null 2>&1 3>&- & local three=$!
	eventually 30 sessions 3
	local ended
	ended=$(fact .sshEnded "$C-ssh")
	kill $one $two $three
	eventually 30 sessions 0
	[ "$(fact .sshEnded "$C-ssh")" -gt "$ended" ]
	ended=$(fact .sshEnded "$C-ssh")
	(COMMAND=true at -n)
	sessions 0
	[ "$(fact .sshEnded "$C-ssh")" -gt "$ended" ] # although nobody saw it
}

@test "what a sample costs" {
	local n=200 used
	used=$(docker exec "$C" sh -c 'a=$(cut -d" " -f1 /proc/self/schedstat); i=0; while [ $i -lt '$n' ]; do /opt/perry/bin/perry-step activity >/dev/null; i=$((i+1)); done; cat /proc/$$/stat' | awk '{ print $16 + $17 }')
	echo "# $((used * 10000 / n)) us of processor time, a new process included" >&3
	[ $((used * 10000 / n)) -le 20000 ]
}
