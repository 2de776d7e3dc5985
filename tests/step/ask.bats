#!/usr/bin/env bats
# Which development servers refuse a name: by their own answers, recorded from Vite 6 to 8, Astro, webpack-dev-server 5, Django 5 (with and without DEBUG) and
# Rails, and by the real ones where npm brings them. perry-step is run here as it is: it needs no workspace for this.
load helper

setup_file() {
	STEP=$(realpath "$STEP_BIN")
	export STEP
	# Gives ports, then answers on each as its kind does, to every Host but localhost.
	cat >"$BATS_FILE_TMPDIR/servers.py" <<-'P'
		import socket, threading, time
		def answer(status, body, head=""):
		    return f"HTTP/1.1 {status}\r\n{head}Content-Length: {len(body)}\r\n\r\n{body}".encode()
		vite = 'Blocked request. This host ("web") is not allowed.\nTo allow this host, add "web" to `server.allowedHosts` in vite.config.js.'
		page = answer("200 OK", "<html>hi</html>")
		kinds = {
		    "vite": lambda path: answer("403 Forbidden", vite, "Content-Type: text/plain\r\n"),
		    "webpack": lambda path: answer("403 Forbidden", "Invalid Host header", "X-Powered-By: Express\r\n"),
		    "webpack4": lambda path: answer("200 OK", "Invalid Host header"),
		    "rails": lambda path: answer("403 Forbidden", "<header><h1>Blocked hosts: web</h1></header>"),
		    "django": lambda path: answer("400 Bad Request", "<title>DisallowedHost\n          at /</title>"),
		    "django-bare": lambda path: answer("400 Bad Request", "\n<!doctype html>\n<body>\n  <h1>Bad Request (400)</h1><p></p>\n</body>"),
		    "next": lambda path: answer("403 Forbidden", "") if path.startswith("/_next/") else answer("200 OK", "<p>hi</p>", "X-Powered-By: Next.js\r\n"),
		    "plain": lambda path: page,
		    "forbidden": lambda path: answer("403 Forbidden", "no"),
		    "talks": lambda path: answer("200 OK", "Blocked request. This host (" * 5000),
		    "garbage": lambda path: b"\x00\xff\n1 vite\n99999 django\n" * 100,
		    "silent": lambda path: time.sleep(600),
		}
		def serve(kind, s):
		    while True:
		        c = s.accept()[0]
		        threading.Thread(target=one, args=(kind, c), daemon=True).start()
		def one(kind, c):
		    head = b""
		    while b"\r\n\r\n" not in head:
		        got = c.recv(4096)
		        if not got:
		            return
		        head += got
		    lines = head.decode().split("\r\n")
		    known = any(l.startswith("Host: localhost:") for l in lines)
		    try:
		        c.sendall(page if known else kinds[kind](lines[0].split()[1]))
		    except OSError:
		        pass
		    c.close()
		for kind in kinds:
		    s = socket.create_server(("::1", 0), family=socket.AF_INET6) if kind == "webpack" else socket.create_server(("127.0.0.1", 0))
		    threading.Thread(target=serve, args=(kind, s), daemon=True).start()
		    print(kind, s.getsockname()[1], flush=True)
		print("up", flush=True)
		time.sleep(3600)
	P
	python3 "$BATS_FILE_TMPDIR/servers.py" >"$BATS_FILE_TMPDIR/ports" 3>&- &
	echo $! >"$BATS_FILE_TMPDIR/pid"
	eventually 30 grep -q up "$BATS_FILE_TMPDIR/ports"
}
teardown_file() { kill "$(cat "$BATS_FILE_TMPDIR/pid")"; }

port() { sed -n "s/^$1 //p" "$BATS_FILE_TMPDIR/ports"; }
says() { # KIND NAME WORD: what is said of it
	local got
	got=$("$STEP" ask "$(port "$1")" "$2")
	[ "$got" = "${3:+$(port "$1") $3}" ] || { echo "$1 $2: $got" >&2; return 1; }
}

@test "each is known by its own words, and only when it refuses" {
	local kind
	for kind in vite webpack rails django next; do says "$kind" web "$kind"; done
	says webpack4 web webpack
	says django-bare web.tail1234.ts.net django
	for kind in vite webpack webpack4 rails django django-bare next; do says "$kind" localhost ""; done
}

@test "what only looks like it is none, and no bytes of a server come out" {
	local kind
	for kind in plain forbidden talks garbage silent; do says "$kind" web ""; done
	run "$STEP" ask 1 web
	[ "$status" = 0 ]
	[ -z "$output" ]
}

@test "several at once" {
	run "$STEP" ask "$(port vite)" web "$(port silent)" web "$(port django)" web
	[ "$status" = 0 ]
	[ "$(sort <<<"$output")" = "$(printf '%s vite\n%s django\n' "$(port vite)" "$(port django)" | sort)" ]
}

@test "what is no port or no name is refused" {
	local args
	for args in "" 80 "0 web" "70000 web" "80x web" "80 we/b" "80 we\nb"; do
		# shellcheck disable=SC2086
		run "$STEP" ask $args
		[ "$status" = 2 ]
	done
	run "$STEP" ask 80 $'web\r\nX: y'
	[ "$status" = 2 ]
}

@test "the real Vite" {
	command -v npm >/dev/null && command -v node >/dev/null || skip "node and npm are not here"
	[ -n "${PERRY_TEST_NPM:-}" ] || skip "brings packages from the network; PERRY_TEST_NPM=1 does it"
	local dir=$BATS_FILE_TMPDIR/npm port version
	mkdir -p "$dir"
	cd "$dir"
	echo '{"private":true}' >package.json
	npm install --no-audit --no-fund vite6@npm:vite@6 vite7@npm:vite@7 vite@latest >&2
	echo hi >index.html
	for version in vite6 vite7 vite; do
		port=$(free_port)
		__VITE_ADDITIONAL_SERVER_ALLOWED_HOSTS=web node "node_modules/$version/bin/vite.js" --host 127.0.0.1 --port "$port" --strictPort >&2 3>&- &
		eventually 60 curl -sf -o /dev/null "http://127.0.0.1:$port/"
		[ -z "$("$STEP" ask "$port" web)" ]
		[ "$("$STEP" ask "$port" web.tail1234.ts.net)" = "$port vite" ]
		kill $!
	done
}
