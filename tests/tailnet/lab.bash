# shellcheck shell=bash
# A real tailnet on one machine: Headscale, a DERP and STUN server on the address of a bridge of the lab's own, and nodes.
# For scripts and bats files, as root: `lab_up DIR` makes a lab (LAB is then DIR), `lab_use DIR` goes on with one, `lab_down DIR` removes everything.
# Each function returns 0, or not 0 with the reason on standard error; none waits for ever. README.md has the list.

# What runs is recorded here, outside of DIR, so that the next `lab_up` finds the leftovers of a run that died: N/ holds for the lab of bridge plabN
# its folder, its owner, and for each process its pid with the time at which it started.
LAB_RUN=${LAB_RUN:-/run/perry-tailnet}
LAB_HERE=${BASH_SOURCE[0]%/*}

lab__say() { printf 'lab: %s\n' "$*" >&2; }

# Can a lab run on this machine? Sets LAB_BIN to the folder of the built programs. If not: 3 for "this machine cannot", else something is broken;
# the reason is in LAB_REASON.
lab_possible() {
	local tool log code=0
	LAB_REASON=
	[ "$(id -u)" = 0 ] || LAB_REASON="it makes network namespaces: run as root"
	[ -c /dev/net/tun ] || LAB_REASON="there is no /dev/net/tun"
	for tool in curl flock ip jq nsenter openssl setsid unshare; do
		command -v $tool >/dev/null || LAB_REASON="there is no $tool"
	done
	[ -n "$LAB_REASON" ] || unshare -n -m -u true 2>/dev/null || LAB_REASON="network namespaces are not allowed here"
	[ -z "$LAB_REASON" ] || return 3
	log=$(mktemp)
	LAB_BIN=$("$LAB_HERE/build.sh" 2>"$log") || code=$?
	[ $code = 0 ] || LAB_REASON=$(tail -n 1 "$log" | sed 's/^tailnet: //')
	rm -f "$log"
	return $code
}

# lab_until SECONDS COMMAND...: runs it until it succeeds. What it prints the last time is printed.
lab_until() {
	local end=$((SECONDS + $1)) out
	shift
	while :; do
		if out=$("$@" 2>&1); then
			[ -z "$out" ] || printf '%s\n' "$out"
			return 0
		fi
		if [ $SECONDS -ge $end ]; then
			lab__say "not within the time: $* ($out)"
			return 1
		fi
		sleep 0.05
	done
}

# --- processes: started apart from the caller, known by pid and start time ---

# The time at which a process started; nothing for one that is gone or a zombie.
lab__born() {
	local stat
	stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
	read -ra stat <<<"${stat##*) }"
	[ "${stat[0]}" != Z ] && echo "${stat[19]}"
}
lab__record() { echo "$2 $(lab__born "$2")" >"$LAB_STATE/$1.proc"; } # NAME PID
# lab__start NAME COMMAND...
lab__start() {
	local name=$1
	shift
	setsid "$@" </dev/null >>"$LAB/$name.log" 2>&1 3>&- &
	lab__record "$name" $!
	disown $! 2>/dev/null || :
}
# The pid of a recorded process that still is the same one. lab_pid NAME [FILE]
lab_pid() {
	local pid born
	{ read -r pid born <"${2:-$LAB_STATE/$1.proc}"; } 2>/dev/null || return 1
	[ -n "$born" ] && [ "$(lab__born "$pid")" = "$born" ] && echo "$pid"
}
lab__gone() { ! lab__born "$1" >/dev/null; }
# Ends the process of a record file, and waits until it has ended. lab__end FILE [SIGNAL [SECONDS]]
lab__end() {
	local pid
	if pid=$(lab_pid - "$1"); then
		kill "-${2:-KILL}" "$pid" 2>/dev/null || :
		kill -CONT "$pid" 2>/dev/null || : # a stopped one takes no other signal
		lab_until "${3:-5}" lab__gone "$pid" 2>/dev/null || { kill -KILL "$pid"; lab_until 5 lab__gone "$pid"; }
	fi
	rm -f "$1"
}

# --- up and down ---

# lab_up DIR [OWNER]: DIR is made, or what a former lab left in it removed. A lab whose owner (a pid; 0: none) has ended is removed by the next lab_up.
lab_up() {
	local dir
	lab_possible || { lab__say "cannot run: $LAB_REASON"; return 3; }
	mkdir -p "$1" "$LAB_RUN" && dir=$(cd "$1" && pwd) || return 1
	{ flock -w 120 8 && lab__sweep "$dir" && lab__allocate "$dir" "${2:-0}"; } 8>"$LAB_RUN/lock" || return 1
	lab_use "$dir"
	# Docker lets nothing pass that it does not know, not even between two ports of a bridge: the machines would meet through DERP only.
	ip addr add "$LAB_IP/24" dev "$LAB_BRIDGE" && ip link set "$LAB_BRIDGE" up && lab__forward "$LAB_BRIDGE" -I && lab__derp && lab__headscale && return 0
	lab__say "it did not come up; $dir/*.log say more:"
	tail -n 5 "$dir"/*.log >&2
	lab_down "$dir"
	return 1
}
lab__forward() { # BRIDGE -I|-D
	! command -v iptables >/dev/null || iptables -w 10 "$2" FORWARD -i "$1" -o "$1" -m comment --comment "perry tailnet lab" -j ACCEPT
}
# A bridge and a record for a lab in DIR.
lab__allocate() { # DIR OWNER
	local n
	for n in $(seq 1 60) none; do
		[ "$n" != none ] || { lab__say "no free bridge"; return 1; }
		mkdir "$LAB_RUN/$n" 2>/dev/null || continue
		ip link add "plab$n" type bridge 2>/dev/null && break
		rmdir "$LAB_RUN/$n"
	done
	rm -rf "${1:?}"/*
	LAB_STATE=$LAB_RUN/$n
	echo "$1" >"$LAB_STATE/dir"
	[ "$2" = 0 ] || lab__record owner "$2"
	cat >"$1/lab.env" <<-X
		LAB_N=$n
		LAB_STATE=$LAB_STATE
		LAB_BRIDGE=plab$n
		LAB_IP=10.199.$n.1
		LAB_URL=http://10.199.$n.1:8085
		LAB_DOMAIN=ws.test
		LAB_HTTPS_URL=http://10.199.$n.1:8086
		LAB_HTTPS_DOMAIN=https.test
		LAB_BIN=$LAB_BIN
	X
}

# lab_use DIR: go on with a lab that is up.
lab_use() {
	LAB=$(cd "$1" && pwd) || return 1
	# shellcheck disable=SC1091
	. "$LAB/lab.env" 2>/dev/null || { lab__say "$1 holds no lab"; return 1; }
}

# Removes one lab by its record. lab__remove N
lab__remove() {
	local state=$LAB_RUN/$1 f pid ns bridge=plab$1
	# The tests' own processes in its namespaces are found by the namespace, as long as that is held by our process.
	for f in "$state"/*.ns.proc; do
		if [ -e "$f" ] && pid=$(lab_pid - "$f") && ns=$(readlink "/proc/$pid/ns/net"); then lab__end_inside "$ns"; fi
	done
	for f in "$state"/*.proc; do
		[ "$f" = "$state/owner.proc" ] || [ ! -e "$f" ] || lab__end "$f"
	done
	if command -v docker >/dev/null; then
		timeout 60 docker ps -aq --filter "label=perry.lab=$bridge" 2>/dev/null | xargs -r timeout 60 docker rm -f -v >/dev/null 2>&1
	fi
	lab__forward "$bridge" -D 2>/dev/null || :
	ip link del "$bridge" 2>/dev/null || :
	rm -rf "${state:?}"
}
# Kills all that is in a network namespace, given as /proc/PID/ns/net has it.
lab__end_inside() {
	local pid
	for pid in $(lab__inside_of "$1"); do kill -KILL "$pid" 2>/dev/null || :; done
}
lab__inside_of() { find /proc/[0-9]*/ns/net -maxdepth 0 -lname "${1/\[/\\[}" -printf '%H\n' 2>/dev/null | cut -d/ -f3; }
# Removes the lab of DIR and every other whose folder or owner is gone. Under the lock.
lab__sweep() { # DIR
	local state dir
	for state in "$LAB_RUN"/[0-9]*; do
		[ -d "$state" ] || continue
		dir=$(cat "$state/dir" 2>/dev/null || :)
		if [ "$dir" = "$1" ] || [ ! -e "$dir/lab.env" ] || { [ -e "$state/owner.proc" ] && ! lab_pid owner "$state/owner.proc" >/dev/null; }; then
			lab__remove "${state##*/}"
		fi
	done
}
# lab_down DIR: nothing of it is left running; its logs stay until DIR is removed by who made it.
lab_down() {
	local dir
	dir=$(cd "$1" 2>/dev/null && pwd) || dir=$1
	mkdir -p "$LAB_RUN" && { flock -w 120 8 && lab__sweep "$dir"; } 8>"$LAB_RUN/lock"
	rm -f "$dir/lab.env" "$dir/api.key" "$dir/api.header"
}
# What is up, for people.
lab_status() {
	local f name
	echo "control $LAB_URL ($LAB_DOMAIN), bridge $LAB_BRIDGE, programs $LAB_BIN"
	for f in "$LAB_STATE"/*.proc; do
		name=${f##*/}
		printf '%-20s %s\n' "${name%.proc}" "$(lab_pid - "$f" || echo ended)"
	done
	lab_nodes | jq -r '.[] | "node \(.id) \(.givenName) \(.ipAddresses[0]) \(.user.name) online=\(.online) expiry=\(.expiry)"'
}

# --- DERP and Headscale ---

lab__derp() {
	mkdir -p "$LAB/derp"
	lab__start derper "$LAB_BIN/derper" -a "$LAB_IP:3343" -certmode manual -certdir "$LAB/derp" -hostname "$LAB_IP" -http-port -1 -stun-port 3478 -c "$LAB/derp/key.json"
	lab_until 10 grep -q 'sha256-raw:' "$LAB/derper.log" || return 1
	LAB_DERP_CERT=$(grep -o 'sha256-raw:[0-9a-f]*' "$LAB/derper.log" | head -1)
	echo "LAB_DERP_CERT=$LAB_DERP_CERT" >>"$LAB/lab.env"
	local id
	{
		# With fewer than three regions a client's network check waits its full three seconds.
		echo "regions:"
		for id in 900 901 902; do
			echo "  $id: {regionid: $id, regioncode: lab$id, regionname: lab$id, nodes: [{name: ${id}a, regionid: $id, hostname: $LAB_IP, certname: \"$LAB_DERP_CERT\", ipv4: $LAB_IP, ipv6: none, stunport: 3478, derpport: 3343, stuntestip: $LAB_IP}]}"
		done
	} >"$LAB/derp.yaml"
}
lab__headscale() {
	cat >"$LAB/headscale.yaml" <<-Y
		server_url: $LAB_URL
		listen_addr: ${LAB_URL#http://}
		metrics_listen_addr: ""
		grpc_listen_addr: $LAB_IP:50443
		noise: {private_key_path: $LAB/noise.key}
		prefixes: {v4: 100.64.0.0/10, v6: fd7a:115c:a1e0::/48, allocation: sequential}
		database: {type: sqlite, sqlite: {path: $LAB/db.sqlite, write_ahead_log: true}}
		dns: {magic_dns: true, base_domain: $LAB_DOMAIN, override_local_dns: false, nameservers: {global: []}}
		derp: {server: {enabled: false}, urls: [], paths: [$LAB/derp.yaml], auto_update_enabled: false}
		unix_socket: $LAB/hs.sock
		disable_check_updates: true
		logtail: {enabled: false}
		node: {expiry: 0, ephemeral: {inactivity_timeout: ${LAB_EPHEMERAL_TIMEOUT:-70s}}}
		tuning: {batch_change_delay: 20ms}
		policy: {mode: file, path: ""}
	Y
	lab_start_control || return 1
	(
		umask 077
		lab_headscale apikeys create -e 90d -o json | tr -d '"\n' >"$LAB/api.key" || exit 1
		printf 'Authorization: Bearer %s\n' "$(cat "$LAB/api.key")" >"$LAB/api.header"
	) || return 1
	lab_user owner >/dev/null && lab_user guest >/dev/null
}
# The headscale command line on this lab's server. Tables are coloured even into a pipe: use -o json.
lab_headscale() { timeout 20 "$LAB_BIN/headscale" -c "$LAB/headscale.yaml" "$@"; }
lab__healthy() { curl -sf -m 2 -o /dev/null "$LAB_URL/health" && [ -S "$LAB/hs.sock" ]; }
lab_start_control() {
	lab_pid headscale >/dev/null || lab__start headscale "$LAB_BIN/headscale" -c "$LAB/headscale.yaml" serve
	lab_until 15 lab__healthy
}
lab_stop_control() { lab__end "$LAB_STATE/headscale.proc" TERM 10; }
# A control server that accepts connections and never answers.
lab_pause_control() { kill -STOP "$(lab_pid headscale)"; }
lab_resume_control() { kill -CONT "$(lab_pid headscale)" && lab_until 15 lab__healthy; }

# lab_api METHOD PATH [BODY]: Headscale's REST API, as in `lab_api DELETE /api/v1/node/3`. Prints the answer; not 0 when it is an error.
lab_api() {
	curl -sS -m 20 --fail-with-body -X "$1" -H "@$LAB/api.header" ${3+-H 'Content-Type: application/json' --data-binary "$3"} "$LAB_URL$2"
}
# lab_user NAME: makes NAME@example.com if it is not there, prints its id.
lab_user() {
	local id
	id=$(lab_api GET "/api/v1/user?name=$1" | jq -r '.users[0].id // empty')
	[ -n "$id" ] || id=$(lab_api POST /api/v1/user "{\"name\":\"$1\",\"email\":\"$1@example.com\",\"displayName\":\"${1^}\"}" | jq -r .user.id)
	[ -n "$id" ] && echo "$id"
}
# lab_key [--ephemeral] [--reusable] [--tags tag:A,tag:B | --user NAME (owner)] [--expiry 1h]: a new key. Nodes of a tagged key have no user.
lab_key() {
	local ephemeral=false reusable=false tags='' user=owner expiry=1h
	while [ $# -gt 0 ]; do
		case $1 in
		--ephemeral) ephemeral=true ;;
		--reusable) reusable=true ;;
		--tags) tags=$2; shift ;;
		--user) user=$2; shift ;;
		--expiry) expiry=$2; shift ;;
		*) lab__say "lab_key knows no $1"; return 1 ;;
		esac
		shift
	done
	local seconds=${expiry%?}
	case $expiry in *s) ;; *m) seconds=$((seconds * 60)) ;; *h) seconds=$((seconds * 3600)) ;; *d) seconds=$((seconds * 86400)) ;; *) seconds=$expiry ;; esac
	[ -n "$tags" ] || user=$(lab_user "$user") || return 1
	lab_api POST /api/v1/preauthkey "$(jq -cn --arg user "$user" --arg tags "$tags" --arg at "$(date -u -d "$seconds seconds" +%FT%TZ)" \
		--argjson e $ephemeral --argjson r $reusable \
		'{ephemeral: $e, reusable: $r, expiration: $at} + if $tags == "" then {user: $user} else {aclTags: ($tags | split(","))} end')" | jq -re .preAuthKey.key
}
# The control server's nodes, a JSON array: id, name, givenName, ipAddresses, user.name, tags, online, expiry, ...
lab_nodes() { lab_api GET /api/v1/node | jq .nodes; }
# lab_node_named NAME: that node as JSON, not 0 when there is none.
lab_node_named() { lab_nodes | jq -e --arg n "$1" '.[] | select(.givenName == $n)'; }

# --- nodes ---

lab__inside() { # NAME COMMAND...: in its namespaces
	local pid
	pid=$(lab_pid "$1.ns") || { lab__say "there is no node $1"; return 1; }
	shift
	nsenter -t "$pid" -n -m -u --wdns="$PWD" -- "$@"
}
# lab_host NAME: a machine on the lab's bridge: namespaces for network, mounts (an /etc of its own) and host name. No tailscaled yet.
lab_host() {
	local name=$1 pid i
	[ ! -e "$LAB_STATE/$name.ns.proc" ] || { lab__say "there is a node $name already"; return 1; }
	mkdir -p "$LAB/$name/state" && cp -a /etc "$LAB/$name/etc" || return 1
	# Nobody answers there: names that are not of the tailnet fail fast.
	rm -f "$LAB/$name/etc/resolv.conf"
	echo "nameserver 127.0.0.1" >"$LAB/$name/etc/resolv.conf"
	# shellcheck disable=SC2016
	lab__start "$name.ns" unshare -n -m -u sh -c 'mount --bind "$1/etc" /etc && hostname "$2" && ip link set lo up && touch "$1/ready" && exec sleep infinity' - "$LAB/$name" "$name"
	lab_until 10 test -e "$LAB/$name/ready" || { tail -n 3 "$LAB/$name.ns.log" >&2; return 1; }
	pid=$(lab_pid "$name.ns") || return 1
	for i in $(seq 2 250); do
		# The kernel refuses a name that is taken, so two calls at once do not meet.
		ip link add "${LAB_BRIDGE}n$i" type veth peer name eth0 netns "$pid" 2>/dev/null && break
	done
	ip link set "${LAB_BRIDGE}n$i" master "$LAB_BRIDGE" up &&
		lab__inside "$name" sh -c "ip addr add 10.199.$LAB_N.$i/24 dev eth0 && ip link set eth0 up && ip route add default via $LAB_IP"
}
# lab_tailscaled NAME [VARIABLE=VALUE...]: (again) its tailscaled, on kernel TUN, with the state it had.
lab_tailscaled() {
	local name=$1
	shift
	rm -f "$LAB/$name/tailscaled.sock"
	lab__start "$name.tailscaled" nsenter -t "$(lab_pid "$name.ns")" -n -m -u -- env TS_DISABLE_PORTMAPPER=1 TS_LOGS_DIR="$LAB/$name/state" "$@" \
		"$LAB_BIN/tailscaled" --statedir="$LAB/$name/state" --socket="$LAB/$name/tailscaled.sock" --no-logs-no-support
	lab_until 10 test -S "$LAB/$name/tailscaled.sock" || { tail -n 5 "$LAB/$name.tailscaled.log" >&2; return 1; }
}
# lab_tailscaled_kill NAME [SIGNAL]: without a word to the control server (KILL), or as the machine's service would (TERM).
lab_tailscaled_kill() { lab__end "$LAB_STATE/$1.tailscaled.proc" "${2:-KILL}" 10; }
# lab_node NAME [KEY [tailscale up options]]: a machine with tailscaled that has joined; its socket is LAB/NAME/tailscaled.sock. No KEY: it does not join.
lab_node() {
	local name=$1 key=${2:-}
	shift $(($# > 2 ? 2 : $#))
	lab_host "$name" && lab_tailscaled "$name" || return 1
	[ -z "$key" ] || lab_join "$name" "$key" "$@"
}
# lab_join NAME KEY [tailscale up options]: LAB_LOGIN is the control server's URL (Headscale's).
lab_join() {
	local name=$1 key=$2 code=0
	shift 2
	(umask 077 && printf '%s\n' "$key" >"$LAB/$name/key")
	lab_ts "$name" up --login-server="${LAB_LOGIN:-$LAB_URL}" --auth-key="file:$LAB/$name/key" --hostname="$name" --timeout=30s "$@" || code=$?
	rm -f "$LAB/$name/key"
	return $code
}
# lab_in NAME COMMAND...: as on that machine: its network, and names as the tailnet's DNS has them.
lab_in() { lab__inside "$@"; }
# lab_ts NAME ARGUMENTS...: the tailscale command line of that node.
lab_ts() {
	local name=$1
	shift
	timeout "${LAB_TS_SECONDS:-60}" "$LAB_BIN/tailscale" --socket="$LAB/$name/tailscaled.sock" "$@"
}
# lab_node_down NAME: the machine is gone, and with it its processes and its address; the control server is told nothing.
lab_node_down() {
	local pid
	if pid=$(lab_pid "$1.ns"); then lab__end_inside "$(readlink "/proc/$pid/ns/net")"; fi
	lab__end "$LAB_STATE/$1.tailscaled.proc"
	lab__end "$LAB_STATE/$1.ns.proc"
	rm -rf "${LAB:?}/$1"
}
# lab_container NAME KEY [docker run options]: a node in a bare container of perry:small, made by nobody but us. Its name is printed.
lab_container() {
	local name=$1 key=$2 c=$LAB_BRIDGE-$1
	shift 2
	timeout 60 docker run -d --init --name "$c" --hostname "$name" --label "perry.lab=$LAB_BRIDGE" --cap-add NET_ADMIN --device /dev/net/tun \
		-e TS_DISABLE_PORTMAPPER=1 -v "$LAB_BIN:/opt/tailnet:ro" "$@" "${LAB_IMAGE:-perry:small}" \
		/opt/tailnet/tailscaled --statedir=/var/lib/tailscale --socket=/run/tailscale/tailscaled.sock --no-logs-no-support >/dev/null || return 1
	lab_until 10 docker exec "$c" test -S /run/tailscale/tailscaled.sock || return 1
	# shellcheck disable=SC2016
	[ -z "$key" ] || printf '%s\n' "$key" | timeout 60 docker exec -i "$c" sh -c 'umask 077; cat >/run/key
		/opt/tailnet/tailscale up --login-server="$1" --auth-key=file:/run/key --hostname="$2" --timeout=30s --accept-dns=false; code=$?; rm -f /run/key; exit $code' - "${LAB_LOGIN:-$LAB_URL}" "$name" || return 1
	echo "$c"
}
# lab_ip NAME: the tailnet's address of a node of ours.
lab_ip() { lab_ts "$1" ip -4; }

# --- a second control server, with HTTPS certificates in its tailnet (control/main.go says what it lacks) ---

# Its CA is LAB/https/ca.crt, its only key (reusable) LAB/https/key.
lab_https_up() {
	mkdir -p "$LAB/https"
	(
		umask 077
		head -c 24 /dev/urandom | od -An -tx1 | tr -d ' \n' >"$LAB/https/key"
		openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj '/CN=tailnet lab' \
			-keyout "$LAB/https/ca.key" -out "$LAB/https/ca.crt" 2>"$LAB/https/openssl.log"
	) || return 1
	lab_https_start
}
lab_https_start() {
	lab__start control "$LAB_BIN/control" -a "${LAB_HTTPS_URL#http://}" -domain "$LAB_HTTPS_DOMAIN" -key-file "$LAB/https/key" \
		-derp "$LAB_IP:3343" -stun-port 3478 -derp-cert "$LAB_DERP_CERT"
	lab_until 10 curl -sf -m 2 -o "$LAB/https/nodes" "$LAB_HTTPS_URL/lab/nodes"
}
# lab_https_node NAME [tailscale up options]: a node that has joined it, with a certificate for NAME.https.test.
lab_https_node() {
	local name=$1
	shift
	lab_host "$name" && lab_https_cert "$name.$LAB_HTTPS_DOMAIN" "$LAB/$name/state/certs" || return 1
	# Another ACME server than the default makes tailscaled take a certificate of a CA that it does not know.
	lab_tailscaled "$name" TS_DEBUG_ACME_DIRECTORY_URL=http://127.0.0.1:1/ &&
		LAB_LOGIN=$LAB_HTTPS_URL lab_join "$name" "$(cat "$LAB/https/key")" "$@"
}
# lab_https_cert FQDN FOLDER: FQDN.crt and FQDN.key.
lab_https_cert() {
	mkdir -p "$2" && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj "/CN=$1" -addext "subjectAltName=DNS:$1" \
		-addext 'basicConstraints=critical,CA:FALSE' -CA "$LAB/https/ca.crt" -CAkey "$LAB/https/ca.key" -keyout "$2/$1.key" -out "$2/$1.crt" 2>>"$LAB/https/openssl.log"
}
# Its nodes, a JSON array: ID, User, Name, Addresses, Expired.
lab_https_nodes() { curl -sf -m 10 "$LAB_HTTPS_URL/lab/nodes"; }
lab_https_expire() { curl -sf -m 10 -X POST "$LAB_HTTPS_URL/lab/expire?id=$1"; } # ID
