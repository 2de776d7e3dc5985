#include "cli/wire.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/number.h"

enum { MAX_HEAD = 64 << 10 };

void conn_close(struct conn *c)
{
	if (c->close)
		c->close(c->ctx);
	else if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	buf_free(&c->in);
}

/* Whatever the kernel says of it; its time-outs are those of a cut network, not ours. */
static int gone(struct perry_err **err, const char *what)
{
	perry_fail_errno(err, errno, "%s", what);
	if (err)
		(*err)->code = PERRY_EUNAVAILABLE;
	return -1;
}

static int put_all(struct conn *c, const char *p, size_t n, struct perry_err **err)
{
	while (n > 0) {
		ssize_t k = c->write ? c->write(c->ctx, p, n) : write(c->fd, p, n);
		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			return gone(err, "the agent went away");
		p += k;
		n -= (size_t)k;
	}
	return 0;
}

/* Like read(2); -1 with ETIME when the limit is over or a signal came. TLS may hold bytes that the descriptor knows
 * nothing of: it is asked first. */
static ssize_t read_until(struct conn *c, char *p, size_t n)
{
	struct pollfd wait = { .fd = c->fd, .events = POLLIN };
	for (bool asked = !c->read;; asked = true) {
		int64_t left = c->until - clock_mono_ms();
		if (asked && (left <= 0 || poll(&wait, 1, (int)left) <= 0)) {
			errno = ETIME;
			return -1;
		}
		if (!c->read)
			return read(c->fd, p, n);
		c->nonblock(c->ctx, true);
		ssize_t k = c->read(c->ctx, p, n);
		c->nonblock(c->ctx, false);
		if (k >= 0 || errno != EAGAIN)
			return k;
	}
}

/* More input; 0 at the end of the stream. */
static ssize_t fill(struct conn *c, struct perry_err **err)
{
	for (;;) {
		char *p = buf_reserve(&c->in, 16384);
		ssize_t k = c->until  ? read_until(c, p, 16384)
			    : c->read ? c->read(c->ctx, p, 16384)
				      : read(c->fd, p, 16384);
		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0 && c->until && errno == ETIME)
			return perry_fail(err, PERRY_ETIMEOUT, "the agent is silent");
		if (k < 0)
			return gone(err, "the agent's answer broke off");
		c->in.len += (size_t)k;
		c->in.data[c->in.len] = '\0';
		return k;
	}
}

char *wire_header(const struct answer *a, const char *name)
{
	size_t n = strlen(name);
	for (const char *line = buf_str(&a->head); *line;) {
		size_t len = strcspn(line, "\r\n");
		if (len > n && strncasecmp(line, name, n) == 0 && line[n] == ':') {
			const char *v = line + n + 1;
			while (*v == ' ')
				v++;
			return xstrndup(v, (size_t)(line + len - v));
		}
		line += len;
		line += strspn(line, "\r\n");
	}
	return NULL;
}

static int read_head(struct conn *c, struct answer *a, struct perry_err **err)
{
	char *end;
	while (!c->in.data || !(end = strstr(c->in.data, "\r\n\r\n"))) {
		if (c->in.len > MAX_HEAD)
			return perry_fail(err, PERRY_EINTERNAL, "what answered there is no agent (endless headers)");
		ssize_t k = fill(c, err);
		if (k < 0)
			return -1;
		if (k == 0)
			return perry_fail(err, PERRY_EUNAVAILABLE, "the agent closed the connection without an answer");
	}
	size_t n = (size_t)(end - c->in.data) + 2;
	buf_add(&a->head, c->in.data, n);
	buf_consume(&c->in, n + 2);
	if (strncmp(a->head.data, "HTTP/1.", 7) != 0 || a->head.len < 12)
		return perry_fail(err, PERRY_EINTERNAL, "what answered there is no agent (it does not speak HTTP)");
	a->status = atoi(a->head.data + 9);
	cleanup_free char *length = wire_header(a, "Content-Length");
	cleanup_free char *coding = wire_header(a, "Transfer-Encoding");
	a->length = -1;
	if (coding && strcasecmp(coding, "chunked") == 0)
		a->length = -2;
	else if (length && str_to_int(length, 0, 1LL << 40, &a->length) < 0)
		return perry_fail(err, PERRY_EINTERNAL, "the answer has no proper Content-Length");
	a->left = a->length >= 0 ? a->length : 0;
	a->ended = a->length == 0 || a->status == 204 || a->status == 101;
	return 0;
}

int wire_send(struct conn *c, const char *method, const char *path, const char *host, const char *headers,
	      const void *body, size_t n, struct answer *out, struct perry_err **err)
{
	cleanup_buf struct buf req = { 0 };
	*out = (struct answer){ 0 };
	buf_addf(&req, "%s %s HTTP/1.1\r\nHost: %s\r\n%s", method, path, host, headers);
	if (body || strcmp(method, "POST") == 0)
		buf_addf(&req, "Content-Type: application/json\r\nContent-Length: %zu\r\n", n);
	buf_adds(&req, "\r\n");
	buf_add(&req, body, n);
	if (put_all(c, req.data, req.len, err) < 0)
		return -1;
	return read_head(c, out, err);
}

/* The size line of the next chunk. */
static int next_chunk(struct conn *c, struct answer *a, struct perry_err **err)
{
	for (;;) {
		/* The line end that closes the chunk before. */
		while (c->in.len && (c->in.data[0] == '\r' || c->in.data[0] == '\n'))
			buf_consume(&c->in, 1);
		char *end = c->in.len ? strstr(c->in.data, "\r\n") : NULL;
		if (end) {
			char *stop;
			a->left = strtoll(c->in.data, &stop, 16);
			if (stop == c->in.data || a->left < 0)
				return perry_fail(err, PERRY_EINTERNAL, "the answer's chunks are broken");
			buf_consume(&c->in, (size_t)(end - c->in.data) + 2);
			a->ended = a->left == 0;
			return 0;
		}
		ssize_t k = fill(c, err);
		if (k < 0)
			return -1;
		if (k == 0)
			return perry_fail(err, PERRY_EUNAVAILABLE, "the agent's answer broke off");
	}
}

ssize_t wire_body(struct conn *c, struct answer *a, void *bytes, size_t n, struct perry_err **err)
{
	if (!a->ended && a->length == -2 && a->left == 0 && next_chunk(c, a, err) < 0)
		return -1;
	if (a->ended)
		return 0;
	if (c->in.len == 0) {
		ssize_t k = fill(c, err);
		if (k < 0)
			return -1;
		if (k == 0) {
			a->ended = true;
			return a->length == -1 ? 0
					       : perry_fail(err, PERRY_EUNAVAILABLE, "the agent's answer broke off");
		}
	}
	size_t k = c->in.len < n ? c->in.len : n;
	if (a->length != -1 && (long long)k > a->left)
		k = (size_t)a->left;
	memcpy(bytes, c->in.data, k);
	buf_consume(&c->in, k);
	if (a->length != -1) {
		a->left -= (long long)k;
		a->ended = a->length >= 0 && a->left == 0;
	}
	return (ssize_t)k;
}

int wire_body_all(struct conn *c, struct answer *a, size_t max, struct buf *out, struct perry_err **err)
{
	for (;;) {
		char *p = buf_reserve(out, 16384);
		ssize_t k = wire_body(c, a, p, 16384, err);
		if (k < 0)
			return -1;
		out->len += (size_t)k;
		if (out->data)
			out->data[out->len] = '\0';
		if (k == 0)
			return 0;
		if (out->len > max)
			return perry_fail(err, PERRY_ETOOLARGE, "the agent's answer is larger than %zu bytes", max);
	}
}

void answer_free(struct answer *a)
{
	buf_free(&a->head);
	*a = (struct answer){ 0 };
}
