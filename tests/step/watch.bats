#!/usr/bin/env bats
# watch: what listens in the workspace, told as it changes.
load helper

setup_file() {
	load helper
	export C=$PIM-watch
	new_container "$C" --sysctl net.ipv6.conf.lo.disable_ipv6=0
	eventually 30 docker exec "$C" test -e /run/perry/up
}
teardown_file() { docker rm -f "$C" "$C-stop" "$C-proc" >/dev/null 2>&1 || :; }

setup() { OUT=$BATS_TEST_TMPDIR/out; }
teardown() {
	[ -z "${WATCHER:-}" ] || watch_end
	docker exec "$C" sh -c 'for p in /proc/[0-9]*; do [ "$(cat "$p/comm" 2>/dev/null)" = perl ] && kill -9 "${p#/proc/}"; done; :' 2>/dev/null || :
}

# Its standard input is a fifo that this test holds open on descriptor 9.
watch_begin() {
	mkfifo "$BATS_TEST_TMPDIR/in"
	docker exec -i "$C" /opt/perry/bin/perry-step watch <"$BATS_TEST_TMPDIR/in" >"$OUT" 2>&1 3>&- &
	WATCHER=$!
	exec 9>"$BATS_TEST_TMPDIR/in"
	eventually 30 test -s "$OUT"
}
watch_end() { exec 9>&-; wait "$WATCHER"; local code=$?; WATCHER=; return $code; }
FOUR='[4001,"127.0.0.1",true,"perl"] [4002,"0.0.0.0",false,"perl"] [4003,"::1",true,"perl"] [4004,"::",false,"perl"] '
four() {
	docker exec "$C" id workspace >/dev/null
	serve 4001 127.0.0.1 workspace
	serve 4002 0.0.0.0
	serve 4003 ::1
	serve 4004 ::
	sleep 0.5
	watch_begin
	head -n 1 "$OUT" | jq -c '.ports[] | [.number, .address, .loopback, .process]' | tr '\n' ' '
}
# serve PORT [ADDRESS] [USER]: a server that listens, until the test ends.
serve() {
	docker exec -d -u "${3:-root}" "$C" perl -MSocket -e '
		my ($port, $host) = @ARGV;
		my $six = $host =~ /:/;
		socket(my $s, $six ? PF_INET6 : PF_INET, SOCK_STREAM, 0) or die;
		setsockopt($s, SOL_SOCKET, SO_REUSEADDR, 1);
		bind($s, $six ? pack_sockaddr_in6($port, Socket::inet_pton(AF_INET6, $host)) : sockaddr_in($port, inet_aton($host))) or die $!;
		listen($s, 9) or die; sleep 1000' "$1" "${2:-127.0.0.1}"
}
last() { tail -n 1 "$OUT" | jq -c "$1"; }
listens() { [ "$(last "[.ports[].number] | contains([$1])")" = true ]; }
gone() { [ "$(last "[.ports[].number] | contains([$1])")" = false ]; }
pid_of_watch() { docker top "$C" -eo pid,comm | awk '$2 == "perry-watch" { print $1 }'; }

@test "the first line says what listens: address, loopback, process of another user" {
	four >"$BATS_TEST_TMPDIR/four"
	[ "$(cat "$BATS_TEST_TMPDIR/four")" = "$FOUR" ]
	[ "$(head -n 1 "$OUT" | jq '.ports[0].pid')" -gt 1 ]
}

@test "a kernel that cannot be asked over netlink is read from /proc" {
	printf '{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["socket"],"action":"SCMP_ACT_ERRNO","args":[{"index":0,"value":16,"op":"SCMP_CMP_EQ"}]}]}' >"$BATS_TEST_TMPDIR/seccomp.json"
	C=$C-proc
	new_container "$C" --sysctl net.ipv6.conf.lo.disable_ipv6=0 --security-opt seccomp="$BATS_TEST_TMPDIR/seccomp.json"
	eventually 30 docker exec "$C" test -e /run/perry/up
	four >"$BATS_TEST_TMPDIR/four"
	[ "$(cat "$BATS_TEST_TMPDIR/four")" = "$FOUR" ]
	watch_end
	docker rm -f "$C" >/dev/null
}

@test "a new listener is told within two seconds, and so is its end; nothing is said meanwhile" {
	watch_begin
	[ "$(cat "$OUT")" = '{"ports":[]}' ]
	sleep 2
	[ "$(wc -l <"$OUT")" = 1 ]
	local i began worst=0 took
	for i in 1 2 3; do
		serve 410$i
		eventually 30 docker exec "$C" grep -q ":$(printf %04X 410$i) " /proc/net/tcp
		began=$(now_ms)
		eventually 30 listens 410$i
		took=$(($(now_ms) - began))
		[ $took -le $worst ] || worst=$took
	done
	echo "# slowest of three: $worst ms" >&3
	[ "$(wc -l <"$OUT")" = 4 ]
	docker exec "$C" sh -c 'for p in /proc/[0-9]*; do [ "$(cat "$p/comm" 2>/dev/null)" = perl ] && kill -9 "${p#/proc/}"; done; :'
	eventually 30 gone 4103
}

@test "the end of its input ends it" {
	watch_begin
	local pid
	pid=$(pid_of_watch)
	[ -n "$pid" ]
	watch_end
	eventually 30 sh -c "! kill -0 $pid"
}

@test "a stop does not wait for it" {
	new_container "$C-stop"
	eventually 30 docker exec "$C-stop" test -e /run/perry/up
	mkfifo "$BATS_TEST_TMPDIR/stop"
	docker exec -i "$C-stop" /opt/perry/bin/perry-step watch <"$BATS_TEST_TMPDIR/stop" >"$OUT" 2>&1 3>&- &
	exec 8>"$BATS_TEST_TMPDIR/stop"
	eventually 30 test -s "$OUT"
	local began
	began=$(now_ms)
	docker stop -t 60 "$C-stop" >/dev/null
	local took=$(($(now_ms) - began))
	exec 8>&-
	docker logs "$C-stop" 2>&1 | grep -q 'stopped'
	[ $took -lt 30000 ]
}

@test "ten thousand sockets: a listener within two seconds, at most 0.1 % of a processor" {
	docker exec -d "$C" perl -MSocket -e '
		$SIG{PIPE} = "IGNORE"; my @keep;
		socket(my $l, PF_INET, SOCK_STREAM, 0); bind($l, sockaddr_in(4200, INADDR_ANY)); listen($l, 4096);
		for my $i (1 .. 5000) {
			socket(my $c, PF_INET, SOCK_STREAM, 0) or last;
			connect($c, sockaddr_in(4200, inet_aton("127.0.0." . (1 + $i % 200)))) or last;
			accept(my $a, $l) or last;
			push @keep, $c, $a;
		}
		open(my $f, ">", "/run/perry/many"); print $f scalar(@keep); close $f; sleep 1000'
	eventually 30 docker exec "$C" test -s /run/perry/many
	[ "$(docker exec "$C" cat /run/perry/many)" = 10000 ]
	watch_begin
	listens 4200
	local pid before after
	pid=$(pid_of_watch)
	sleep 2 # the first look reads all of the table
	before=$(awk '{ print $1 }' "/proc/$pid/schedstat")
	sleep 15
	after=$(awk '{ print $1 }' "/proc/$pid/schedstat")
	echo "# $(((after - before) / 1000)) us of processor time in 15 s" >&3
	[ $((after - before)) -le 15000000 ]
	serve 4201
	eventually 30 listens 4201
}
