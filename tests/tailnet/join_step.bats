#!/usr/bin/env bats
# perry-step's part: tailscaled under init, join and leave, in bare containers that no agent knows.
load helper

setup_file() { lab_file_setup tools; }
teardown_file() { lab_file_teardown; }
# The programs as the tools volume has them.
tools() {
	mkdir -p "$LAB/tools/bin"
	cp "$LAB_BIN/tailscale" "$LAB_BIN/tailscaled" "$BUILD/perry-step" "$LAB/tools/bin/"
}
setup() {
	lab_file_use
	C=jn-step-$BATS_TEST_NUMBER-$$
}
teardown() {
	docker rm -f -v "$C" >/dev/null 2>&1 || :
	docker volume rm "$C" >/dev/null 2>&1 || :
}
box() { # [docker run options]
	docker run -d --name "$C" --hostname "$C" --label "perry.lab=$LAB_BRIDGE" -v "${TOOLS:-$LAB/tools}:/opt/perry:ro" -v "$C:/var/lib/tailscale" -e TS_AUTHKEY=file:/run/perry/ts/authkey \
		--tmpfs /run/perry:rw,exec,nosuid,nodev,mode=755,size=96m "$@" --entrypoint /opt/perry/bin/perry-step debian:bookworm init >/dev/null
}
kernel_box() { box --cap-add NET_ADMIN --device /dev/net/tun "$@"; }
inside() { docker exec -i "$C" "$@"; }
step() { inside /opt/perry/bin/perry-step "$@"; }
# join HOSTNAME [KEY [more members]]: the answer, as JSON
join() { jq -cn --arg h "$1" --arg k "${2:-}" --arg u "$LAB_URL" "{hostname: \$h, login_server: \$u, timeout: 15} + (if \$k == \"\" then {} else {key: \$k} end) + {${3:-}}" | step join; }
is() { # FILTER EXPECTED, of the answer in $a
	local got
	got=$(jq -r "$1" <<<"$a")
	[ "$got" = "$2" ] || { echo "$1 is $got, not $2, in $a" >&2; return 1; }
}
pid_of_daemon() { inside sh -c 'for p in /proc/[0-9]*; do [ "$(cat $p/comm 2>/dev/null)" = tailscaled ] && echo ${p#/proc/}; done' | head -1; }
no_key_file() { inside sh -c '[ ! -e /run/perry/ts/authkey ]'; }

@test "joins, finds it done, renames, logs out and joins again" {
	local key
	key=$(lab_key --reusable)
	kernel_box
	a=$(join web "$key")
	is .did up
	is .state Running
	is .dnsName web.ws.test
	is .tun true
	is .magicDns true
	is .error null
	[ "$(lab_node_named web | jq -r .id)" = "$(jq -r .nodeId <<<"$a")" ]
	[ "$(lab_node_named web | jq -r '.ipAddresses[0]')" = "$(jq -r .ip <<<"$a")" ]
	[ "$(wc -l <<<"$a")" = 1 ]
	a=$(join web)
	is .did nothing
	is .dnsName web.ws.test
	a=$(join shop)
	is .did set
	is .dnsName shop.ws.test
	lab_until 5 lab_node_named shop
	a=$(step leave)
	is .left true
	a=$(join shop)
	is .error "it is logged out, and there is no key to join with"
	is .state NeedsLogin
	a=$(join shop "$key")
	is .did up
	is .dnsName shop.ws.test
	[ "$(docker logs "$C" 2>&1 | grep -c 'tailscale: connected as')" = 3 ]
	[ "$(inside tailscale ip -4)" = "$(jq -r .ip <<<"$a")" ]
}

@test "stopped and started it is there again by itself, and it ends when it is told to" {
	kernel_box
	a=$(join again "$(lab_key)")
	is .did up
	local ip from took
	ip=$(jq -r .ip <<<"$a")
	step ready
	from=$(date +%s%N)
	docker stop -t 60 "$C" >/dev/null
	took=$((($(date +%s%N) - from) / 1000000))
	echo "stopped in $took ms"
	[ "$took" -lt 30000 ]
	docker logs "$C" 2>&1 | grep -q '^\[perry\] stopped$'
	docker start "$C" >/dev/null
	a=$(join again)
	is .did nothing
	is .ip "$ip"
	# In another container with the same state, too.
	docker rm -f "$C" >/dev/null
	kernel_box
	a=$(join again)
	is .did nothing
	is .ip "$ip"
	is .dnsName again.ws.test
}

@test "a tailscaled that is killed comes back, and so does one whose supervisor is killed" {
	kernel_box
	a=$(join back "$(lab_key)")
	is .did up
	inside sh -c "kill -9 $(pid_of_daemon)"
	a=$(join back)
	is .dnsName back.ws.test
	docker logs "$C" 2>&1 | grep -q 'tailscaled ended (137), starting it again in 0.2 s'
	inside sh -c "kill -9 \$(cut -d' ' -f4 /proc/$(pid_of_daemon)/stat)"
	a=$(join back)
	is .dnsName back.ws.test
}

@test "a key that is wrong, used or expired: the reason of the control server, at once" {
	local used from
	used=$(lab_key)
	kernel_box
	a=$(join bad "$used")
	is .state Running
	step leave
	from=$SECONDS
	a=$(join bad "$used")
	is .error "authkey already used"
	a=$(join bad hskey-auth-nonsense)
	[[ $(jq -r .error <<<"$a") == *"failed to parse auth-key"* ]]
	a=$(join bad "$(lab_key --expiry 1s && sleep 1.1)")
	is .error "authkey expired"
	[ $((SECONDS - from)) -lt 6 ]
	docker logs "$C" 2>&1 | grep -q '^\[perry\] tailscale: not connected: authkey already used$'
	a=$(join bad "$(lab_key)")
	is .state Running
}

@test "the control server is away or silent: it gives up in time and says why" {
	kernel_box
	a=$(join away "$(lab_key)" 'login_server: "http://127.0.0.1:9", timeout: 2')
	[[ $(jq -r .error <<<"$a") == *"connection refused"* ]]
	# Accepts and never answers.
	docker exec -d "$C" perl -MIO::Socket::INET -e '$s = IO::Socket::INET->new(LocalPort => 8099, Listen => 9) or die; push @c, $s->accept while 1'
	local from=$SECONDS
	a=$(join away "$(lab_key)" 'login_server: "http://127.0.0.1:8099", timeout: 2')
	[ $((SECONDS - from)) -lt 6 ]
	[ "$(jq -r .error <<<"$a")" != null ]
	a=$(step leave --timeout 2)
	no_key_file
	a=$(join away "$(lab_key)")
	is .state Running
}

@test "a logout that the control server did not hear is made when it is asked for again" {
	kernel_box
	a=$(join deaf "$(lab_key --reusable)")
	is .state Running
	lab_pause_control
	a=$(step leave --timeout 2)
	is .left false
	# Its tailscaled does nothing more by itself, and says that it waits for a login.
	docker restart -t 5 "$C" >/dev/null
	a=$(step leave --timeout 2)
	is .left false
	lab_resume_control
	docker restart -t 5 "$C" >/dev/null
	a=$(step leave)
	is .left true
	[ "$(lab_node_named deaf | jq -r .expiry)" != null ]
}

@test "the key is in root's file while it is needed, and gone also when join is killed" {
	local key pid
	key=$(lab_key)
	kernel_box
	docker exec -d "$C" perl -MIO::Socket::INET -e '$s = IO::Socket::INET->new(LocalPort => 8099, Listen => 9) or die; push @c, $s->accept while 1'
	join held "$key" 'login_server: "http://127.0.0.1:8099", timeout: 30' >"$BATS_TEST_TMPDIR/answer" 3>&- &
	there() { [ "$(inside cat /run/perry/ts/authkey)" = "$key" ]; }
	lab_until 10 there
	[ "$(inside stat -c '%a %U' /run/perry/ts/authkey /run/perry/ts | tr '\n' ' ')" = "600 root 700 root " ]
	[ "$(inside stat -f -c %T /run/perry/ts/authkey)" = tmpfs ]
	# In no argument list and no environment; nobody but root may look.
	inside sh -c 'cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ' >"$BATS_TEST_TMPDIR/seen" 2>/dev/null || :
	grep -qa tailscaled "$BATS_TEST_TMPDIR/seen"
	refute grep -qaF "$key" "$BATS_TEST_TMPDIR/seen"
	refute step exec --id peek -- cat /run/perry/ts/authkey
	pid=$(inside sh -c 'for p in /proc/[0-9]*; do tr "\0" " " <$p/cmdline 2>/dev/null | grep -q "^/opt/perry/bin/perry-step join" && { echo ${p#/proc/}; break; }; done')
	grep -q . <<<"$pid"
	[ "$(inside sed -n 's/^Max core file size *//p' "/proc/$pid/limits" | tr -s ' ' | cut -d' ' -f1)" = 0 ]
	inside sh -c "kill -9 $pid"
	lab_until 5 no_key_file
	wait
	# And its tailscale went with it.
	refute inside sh -c 'cat /proc/[0-9]*/cmdline | tr "\0" " " | grep -q "[t]ailscale up"'
}

@test "without a TUN device: userspace, with the way out in every environment" {
	box
	a=$(join user "$(lab_key)")
	is .state Running
	is .tun false
	docker logs "$C" 2>&1 | grep -q 'no TUN device can be used here'
	step ready
	[ "$(step exec --id env -- sh -c 'echo $HTTPS_PROXY $ALL_PROXY $no_proxy')" = "http://127.0.0.1:1055 socks5h://127.0.0.1:1055 localhost,127.0.0.0/8,::1" ]
	# What the user sets wins.
	echo "HTTPS_PROXY='mine'" | step write --mode 600 /run/perry/env
	[ "$(step exec --id env -- printenv HTTPS_PROXY)" = mine ]
}

@test "userspace by choice; two at once wait for each other" {
	kernel_box -e TS_USERSPACE=true
	local key
	key=$(lab_key)
	join chosen "$key" >"$BATS_TEST_TMPDIR/1" 3>&- &
	join chosen "$key" >"$BATS_TEST_TMPDIR/2" 3>&- &
	wait
	[ "$(cat "$BATS_TEST_TMPDIR"/[12] | jq -r .did | sort | tr '\n' ' ')" = "nothing up " ]
	[ "$(cat "$BATS_TEST_TMPDIR"/[12] | jq -r .tun | sort -u)" = false ]
}

@test "the reference to the key is not for the user's programs, and the image's own tailscale stays" {
	kernel_box
	step ready
	refute step exec --id env -- sh -c 'env | grep TS_'
	refute inside grep TS_ /run/perry/env.image
	[ "$(inside readlink /usr/local/bin/tailscale)" = /opt/perry/bin/tailscale ]
	docker rm -f "$C" >/dev/null
	mkdir -p "$BATS_TEST_TMPDIR/own"
	printf '#!/bin/sh\necho own\n' >"$BATS_TEST_TMPDIR/own/tailscale"
	chmod +x "$BATS_TEST_TMPDIR/own/tailscale"
	kernel_box -v "$BATS_TEST_TMPDIR/own/tailscale:/usr/bin/tailscale:ro"
	step ready
	[ "$(inside tailscale)" = own ]
}

@test "the name is taken: the answer says by whom; once that one is gone it can be had again" {
	kernel_box
	lab_node shared "$(lab_key)"
	a=$(join shared "$(lab_key)")
	is .dnsName shared-1.ws.test
	is .taken.online true
	is .taken.nodeId "$(lab_node_named shared | jq -r .id)"
	lab_api DELETE "/api/v1/node/$(jq -r .taken.nodeId <<<"$a")"
	a=$(join shared "" 'again: true')
	is .dnsName shared.ws.test
	is .taken null
}

@test "without tailscaled on the tools volume, or without a wish to join, nothing runs and join says so" {
	docker run -d --name "$C" --tmpfs /run/perry -v "$BUILD/perry-step:/opt/perry/bin/perry-step:ro" -e TS_AUTHKEY=file:/run/perry/ts/authkey \
		--entrypoint /opt/perry/bin/perry-step debian:bookworm init >/dev/null
	step ready
	docker logs "$C" 2>&1 | grep -q 'there is no tailscaled on the tools volume'
	a=$(join none key)
	is .error "there is no tailscaled on the tools volume"
	docker rm -f "$C" >/dev/null
	kernel_box -e TS_AUTHKEY=
	step ready
	[ -z "$(pid_of_daemon)" ]
}

@test "the log of tailscaled is kept in bounds; one that ends at once is started less and less often" {
	# A stand-in: the real one cannot be made to write that much.
	mkdir -p "$LAB/loud/bin"
	cp "$LAB/tools/bin/perry-step" "$LAB/loud/bin/"
	printf '#!/bin/sh\nhead -c 900000 /dev/zero | tr "\\0" x\n' >"$LAB/loud/bin/tailscaled"
	chmod +x "$LAB/loud/bin/tailscaled"
	TOOLS=$LAB/loud kernel_box
	thrice() { [ "$(docker logs "$C" 2>&1 | grep -c 'tailscaled ended (0), starting it again in')" = 3 ]; }
	lab_until 10 thrice
	docker logs "$C" 2>&1 | grep -q 'again in 0.8 s'
	[ "$(inside sh -c 'cat /run/perry/tailscaled.log*' | wc -c)" -gt 500000 ]
	[ "$(inside sh -c 'cat /run/perry/tailscaled.log*' | wc -c)" -lt 1100000 ]
}
