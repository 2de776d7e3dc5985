#include "cli/full/tls.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "base/mem.h"
#include "net/http.h"

struct tls {
	struct http *http;
	struct http_stream *stream;
	bool nonblock;
};

static ssize_t wait_or_again(const struct tls *t, short events)
{
	struct pollfd p = { .fd = http_stream_fd(t->stream), .events = events };
	errno = EAGAIN;
	return t->nonblock || (poll(&p, 1, -1) < 0 && errno != EINTR) ? -1 : 0;
}

static ssize_t tls_read(void *ctx, void *bytes, size_t n)
{
	struct tls *t = ctx;
	for (;;) {
		ssize_t k = http_stream_recv(t->stream, bytes, n);
		if (k > 0)
			return k;
		if (k < 0) {
			errno = ECONNRESET;
			return http_stream_broken(t->stream) ? -1 : 0;
		}
		if (wait_or_again(t, POLLIN) < 0)
			return -1;
	}
}

static ssize_t tls_write(void *ctx, const void *bytes, size_t n)
{
	struct tls *t = ctx;
	for (;;) {
		ssize_t k = http_stream_send(t->stream, bytes, n);
		if (k > 0)
			return k;
		if (k < 0) {
			errno = EPIPE;
			return -1;
		}
		if (wait_or_again(t, POLLOUT) < 0)
			return -1;
	}
}

static void tls_nonblock(void *ctx, bool on)
{
	((struct tls *)ctx)->nonblock = on;
}

static void tls_close(void *ctx)
{
	struct tls *t = ctx;
	http_stream_free(t->stream);
	http_free(t->http);
	free(t);
}

int tls_connect(const char *host, int port, struct conn *out, struct perry_err **err)
{
	bool v6 = strchr(host, ':') != NULL;
	cleanup_free char *base = xasprintf("https://%s%s%s:%d", v6 ? "[" : "", host, v6 ? "]" : "", port);
	const char *ca = getenv("SSL_CERT_FILE"); /* as OpenSSL's own tools have it: behind a proxy that inspects TLS,
						     or with a CA of one's own */
	struct http_options options = { .base = base, .ca_file = ca && *ca ? ca : NULL };
	struct tls *t = xcalloc(1, sizeof *t);
	if (http_new(&t->http, &options, err) < 0 || http_connect(t->http, 10000, &t->stream, err) < 0) {
		http_free(t->http);
		free(t);
		if (err && *err)
			(*err)->code = PERRY_ENOAGENT;
		return perry_wrap(err, "cannot reach the agent at %s:%d", host, port);
	}
	fd_watch_peer(http_stream_fd(t->stream), true);
	*out = (struct conn){ .fd = http_stream_fd(t->stream),
			      .read = tls_read,
			      .write = tls_write,
			      .close = tls_close,
			      .nonblock = tls_nonblock,
			      .ctx = t };
	return 0;
}
