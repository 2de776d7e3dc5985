module perry/tests/tailnet/headscale

go 1.26.6

require github.com/juanfont/headscale v0.29.2
