#!/bin/sh
# Prints the certificates (PEM) that this machine trusts beyond those of its distribution: behind a proxy that inspects TLS
# the image needs them to fetch anything. Usually prints nothing.
set -eu
bundle=/etc/ssl/certs/ca-certificates.crt
[ -r "$bundle" ] && [ -d /usr/share/ca-certificates ] || exit 0
# One certificate a line, newlines as "|"; what the distribution ships comes first and is not printed.
one_line() { awk '/-----BEGIN CERT/ { c = "" } { sub(/\r$/, ""); c = c $0 "|" } /-----END CERT/ { print c }' "$@"; }
shipped=$(mktemp)
trap 'rm -f "$shipped"' EXIT
find /usr/share/ca-certificates -name '*.crt' -exec cat {} + | one_line >"$shipped"
one_line "$bundle" | awk 'NR == FNR { seen[$0] = 1; next } !seen[$0]' "$shipped" - | tr '|' '\n' | sed '/^$/d'
