#!/usr/bin/env bash
# Pictures of the README. docs/tour.svg and docs/tailnet.svg: what a terminal really showed, drawn as text. docs/web-*.png: pages in Chromium.
#   scripts/picture.sh tour      runs the commands in tmux against the agent of PERRY_CONFIG_DIR, with BUILD's perry
#   scripts/picture.sh tailnet   the same; that agent has a key of the tailnet that PHONE, a command to put before others, is on
#   scripts/picture.sh web       the same agent's pages, at ORIGIN, with its TOKEN
set -euo pipefail
cd "$(dirname "$0")/.."
scene=${1:?tour, tailnet or web}
bin=$(realpath "${BUILD:-build}")
if [ "$scene" = web ]; then
	p() { "$bin/perry" "$@"; }
	for ws in web api docs worker; do p start "$ws" >/dev/null; done
	p exec web -- sh -c 'git config --global user.email me@example.com; git config --global user.name me; git init -q -b main app && cd app && git commit -q --allow-empty -m "first" &&
		printf "all:\n\tfalse\n" >Makefile && echo "# app" >README.md'
	p exec web -- sh -c 'setsid perl -MIO::Socket::INET -e "our @s = IO::Socket::INET->new(LocalAddr => q(0.0.0.0), LocalPort => 5173, Listen => 5); sleep 600" >/dev/null 2>&1 &'
	p exec api -- sh -c 'setsid sh -c "timeout 300 sh -c \"while :; do :; done\"" >/dev/null 2>&1 &'
	p stop worker >/dev/null
	printf '%s\n' '$ 	cd app\r' '$ 	git log --oneline\r' 'first	ls\r' 'README.md	\r~.' | PATH="$bin:$PATH" python3 tests/lib/typist.py perry shell web >/dev/null
	exec node scripts/picture_web.mjs
fi
s=perry-picture-$$
tmux -L "$s" -f /dev/null new-session -d -x 92 -y 40 "env PS1='$ ' PATH='$bin:$PATH' TERM=xterm-256color bash --norc --noprofile"
trap 'tmux -L "$s" kill-server' EXIT
run() { # COMMAND SECONDS
	tmux -L "$s" send-keys "$1" Enter
	sleep "$2"
}
sleep 1
case $scene in
tour)
	run "perry start web" 6
	run "perry exec web -- sh -c 'whoami; uname -s'" 2
	run "perry start api --cpus 2 --memory 1GiB" 6
	run "perry list" 2
	run "perry explain web image" 2
	run "perry delete web </dev/null" 2
	;;
tailnet)
	run "on-the-phone() { $PHONE \"\$@\"; }; clear" 1
	run "perry start web" 12
	run "perry exec web -- sh -c 'python3 -m http.server --bind 127.0.0.1 3000 >log 2>&1 &'" 5
	run "perry ports web" 2
	run "on-the-phone curl -sI http://web:3000" 3
	run "perry tailnet" 2
	run "perry delete -y web" 5
	run "perry tailnet devices" 2
	;;
esac
text=$(tmux -L "$s" capture-pane -p | sed -e 's/[[:space:]]*$//' | sed -e :a -e '/^\n*$/{$d;N;ba' -e '}')
python3 - "$text" <<'P' >"docs/$scene.svg"
import html, sys
lines = sys.argv[1].split("\n")
if lines[-1] == "$":
    lines.pop()
print(f'<svg xmlns="http://www.w3.org/2000/svg" width="800" height="{len(lines) * 19 + 40}" font-family="ui-monospace, DejaVu Sans Mono, monospace" font-size="14">')
print('<rect width="100%" height="100%" rx="8" fill="#1b1f27"/>')
for i, line in enumerate(lines):
    colour = "#9ece6a" if line.startswith("$ ") else "#7aa2f7" if "✓" in line else "#f7768e" if line.startswith("perry:") else "#c8d0e0"
    print(f'<text x="20" y="{32 + i * 19}" fill="{colour}" xml:space="preserve">{html.escape(line)}</text>')
print("</svg>")
P
