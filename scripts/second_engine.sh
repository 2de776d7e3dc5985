#!/bin/sh
# A second Docker Engine beside this machine's, in a network namespace of its own, so that tests which share an engine need not wait for those that use the
# machine's. Root only; prints the words that run a command with it, or says why there is none (exit 1).
#   scripts/second_engine.sh start [IMAGE...]   the images are taken over from the first engine
#   scripts/second_engine.sh stop
set -eu
name=perry2
dir=/run/$name
net=10.98.254
sock=unix://$dir/docker.sock

stop() {
	if [ -s "$dir/pid" ] && kill "$(cat "$dir/pid")" 2>/dev/null; then
		i=0
		while [ -e "$dir/pid" ] && [ $i -lt 100 ]; do sleep 0.1 && i=$((i + 1)); done
	fi
	iptables -t nat -D POSTROUTING -s $net.0/24 -j MASQUERADE 2>/dev/null || :
	iptables -D FORWARD -s $net.0/24 -j ACCEPT 2>/dev/null || :
	iptables -D FORWARD -d $net.0/24 -j ACCEPT 2>/dev/null || :
	ip link del ve-$name 2>/dev/null || :
	ip netns del $name 2>/dev/null || :
	rm -rf "$dir"
}
answers() { docker -H "$sock" version >/dev/null 2>&1; }

start() {
	stop
	mkdir -p "$dir"
	ip netns add $name
	ip -n $name link set lo up
	ip link add ve-$name type veth peer name eth0 netns $name
	ip addr add $net.1/24 dev ve-$name
	ip link set ve-$name up
	ip -n $name addr add $net.2/24 dev eth0
	ip -n $name link set eth0 up
	ip -n $name route add default via $net.1
	ip netns exec $name sysctl -qw net.ipv4.ip_forward=1
	iptables -t nat -A POSTROUTING -s $net.0/24 -j MASQUERADE
	iptables -I FORWARD -s $net.0/24 -j ACCEPT
	iptables -I FORWARD -d $net.0/24 -j ACCEPT
	# The namespace of the network only: what is mounted stays the machine's.
	setsid nsenter --net=/run/netns/$name dockerd -H "$sock" --data-root /var/lib/$name --exec-root "$dir/exec" --pidfile "$dir/pid" \
		>"/var/log/$name.log" 2>&1 </dev/null &
	i=0
	while ! answers; do
		i=$((i + 1))
		if [ $i = 240 ] || ! kill -0 $! 2>/dev/null; then
			tail -3 "/var/log/$name.log" >&2
			echo "the second engine did not start" >&2
			exit 1
		fi
		sleep 0.25
	done
	for image; do
		id=$(docker image inspect -f '{{.Id}}' "$image")
		[ "$(docker -H "$sock" image inspect -f '{{.Id}}' "$image" 2>/dev/null)" = "$id" ] || docker save "$image" | docker -H "$sock" load >/dev/null
	done
	echo "nsenter --net=/run/netns/$name env DOCKER_HOST=$sock"
}

case ${1:-} in
start) shift && start "$@" ;;
stop) stop ;;
*) sed -n '2,5s/^# \{0,1\}//p' "$0" && exit 2 ;;
esac
