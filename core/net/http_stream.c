/* Connections taken out of HTTP. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "base/str.h"
#include "net/http_priv.h"

struct http_stream {
	struct http_slot *slot; /* NULL: a plain socket, which is ours */
	curl_socket_t fd;
	bool tls, ended, broken, shut;
	struct buf early; /* came with the head */
};

int http_stream_fd(const struct http_stream *s)
{
	return (int)s->fd;
}

bool http_stream_broken(const struct http_stream *s)
{
	return s->broken;
}

static ssize_t recv_plain(struct http_stream *s, void *bytes, size_t n)
{
	ssize_t got = recv(s->fd, bytes, n, 0);
	if (got > 0)
		return got;
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	s->ended = true;
	s->broken = got < 0;
	return -1;
}

ssize_t http_stream_recv(struct http_stream *s, void *bytes, size_t n)
{
	size_t got = 0;
	if (s->early.len) {
		got = n < s->early.len ? n : s->early.len;
		memcpy(bytes, s->early.data, got);
		buf_consume(&s->early, got);
		return (ssize_t)got;
	}
	if (s->ended)
		return -1;
	if (!s->slot)
		return recv_plain(s, bytes, n);
	CURLcode code = curl_easy_recv(s->slot->easy, bytes, n, &got);
	if (code == CURLE_AGAIN)
		return 0;
	if (code == CURLE_OK && got)
		return (ssize_t)got;
	s->ended = true;
	s->broken = code != CURLE_OK;
	return -1;
}

ssize_t http_stream_send(struct http_stream *s, const void *bytes, size_t n)
{
	size_t took = 0;
	if (s->shut || n == 0)
		return s->shut ? -1 : 0;
	if (!s->slot) {
		ssize_t sent = send(s->fd, bytes, n, MSG_NOSIGNAL);
		return sent < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : sent;
	}
	CURLcode code = curl_easy_send(s->slot->easy, bytes, n, &took);
	if (code == CURLE_AGAIN)
		return 0;
	return code == CURLE_OK ? (ssize_t)took : -1;
}

/* Present when libcurl brought OpenSSL along; curl has no call for the half-close that TLS knows. */
extern int SSL_shutdown(void *ssl) __attribute__((weak));

void http_stream_shutdown(struct http_stream *s)
{
	const struct curl_tlssessioninfo *tls = NULL;
	if (s->shut)
		return;
	s->shut = true;
	if (!s->tls) {
		shutdown(s->fd, SHUT_WR);
		return;
	}
	if (curl_easy_getinfo(s->slot->easy, CURLINFO_TLS_SSL_PTR, &tls) == CURLE_OK && tls && tls->internals &&
	    tls->backend == CURLSSLBACKEND_OPENSSL && SSL_shutdown)
		SSL_shutdown(tls->internals);
}

void http_stream_free(struct http_stream *s)
{
	if (!s)
		return;
	if (s->slot)
		http_slot_free(s->slot);
	else
		close(s->fd);
	buf_free(&s->early);
	free(s);
}

/* A stream may live for days, and curl's handles take 28 KB and two descriptors: what needs no TLS goes on without
 * them. */
static void leave_curl(struct http_stream *s)
{
	int fd = s->tls ? -1 : fcntl(s->fd, F_DUPFD_CLOEXEC, 3);
	if (fd < 0)
		return;
	http_slot_free(take_ptr(s->slot));
	s->fd = fd;
}

/* Waits until the connection can be read (or written). */
static int await(const struct http_stream *s, short events, struct http_call *c)
{
	int wait = http_time_left(c);
	if (wait == 0)
		return -1;
	struct pollfd p[2] = { { .fd = s->fd, .events = events },
			       { .fd = c->req->cancelled ? c->req->cancel_fd : -1, .events = POLLIN } };
	return poll(p, 2, wait) < 0 && errno != EINTR ? -1 : 0;
}

static int send_head(struct http_stream *s, struct http_call *c, const char *url)
{
	const struct http_req *req = c->req;
	const char *host = strstr(url, "://") + 3, *path = host + strcspn(host, "/");
	cleanup_buf struct buf out = { 0 };
	buf_addf(&out, "%s %s HTTP/1.1\r\nHost: %.*s\r\nConnection: Upgrade\r\n", req->method ? req->method : "POST",
		 *path ? path : "/", (int)(path - host), host);
	for (const char *const *p = req->headers; p && *p; p++)
		buf_addf(&out, "%s\r\n", *p);
	buf_addf(&out, "Content-Length: %zu\r\n\r\n", req->body ? req->body_len : 0);
	if (req->body)
		buf_add(&out, req->body, req->body_len);
	while (out.len) {
		ssize_t n = http_stream_send(s, out.data, out.len);
		if (n < 0 || (n == 0 && await(s, POLLOUT, c) != 0))
			return -1;
		buf_consume(&out, (size_t)n);
	}
	return 0;
}

/* Receives at most up to the end of the head; bytes behind it stay in the socket where they wake a poll (or, with TLS,
 * in early). */
static int recv_head(struct http_stream *s, struct http_call *c)
{
	struct buf *head = &c->res->head;
	char bytes[4096];
	for (;;) {
		size_t want = sizeof bytes;
		ssize_t n = s->tls ? 0 : recv(s->fd, bytes, sizeof bytes, MSG_PEEK | MSG_DONTWAIT);
		if (n > 0) { /* how much of what is there belongs to the head? */
			size_t had = head->len;
			buf_add(head, bytes, (size_t)n);
			const char *end = memmem(head->data, head->len, "\r\n\r\n", 4);
			want = end ? (size_t)(end + 4 - head->data) - had : (size_t)n;
			head->len = had;
		}
		n = http_stream_recv(s, bytes, want);
		if (n < 0 || head->len > HTTP_HEAD_MAX || (n == 0 && await(s, POLLIN, c) != 0))
			return -1;
		buf_add(head, bytes, (size_t)n);
		const char *end = head->len ? memmem(head->data, head->len, "\r\n\r\n", 4) : NULL;
		if (!end)
			continue;
		size_t used = (size_t)(end + 4 - head->data);
		buf_add(&s->early, head->data + used, head->len - used);
		head->len = used;
		head->data[used] = '\0';
		const char *space = strchr(head->data, ' ');
		c->res->status = str_starts(head->data, "HTTP/1.") && space ? (int)strtol(space + 1, NULL, 10) : 0;
		return c->res->status ? 0 : -1;
	}
}

/* Takes one chunked body apart in place; false while it is incomplete. */
static bool unchunk(const struct buf *raw, struct buf *out)
{
	const char *p = buf_str(raw), *end = p + raw->len;
	out->len = 0;
	while (p < end) {
		char *after;
		unsigned long size = strtoul(p, &after, 16);
		const char *line = memchr(p, '\n', (size_t)(end - p));
		if (!line || after == p)
			return false;
		if (size == 0)
			return true;
		p = line + 1;
		if (size > (size_t)(end - p))
			return false;
		buf_add(out, p, size);
		p += size + 2 < (size_t)(end - p) ? size + 2 : (size_t)(end - p);
	}
	return false;
}

/* The body of an answer that is no upgrade: an error text, so a short one. */
static void recv_refusal(struct http_stream *s, struct http_call *c)
{
	cleanup_buf struct buf raw = { 0 };
	char bytes[4096], value[64];
	bool chunked =
		http_header(c->res, "Transfer-Encoding", value, sizeof value) && strcasecmp(value, "chunked") == 0;
	size_t length = !chunked && http_header(c->res, "Content-Length", value, sizeof value)
				? strtoul(value, NULL, 10)
				: HTTP_DEFAULT_MAX;
	while (raw.len < length && raw.len < c->max && !(chunked && unchunk(&raw, &c->res->body))) {
		ssize_t n = http_stream_recv(s, bytes, sizeof bytes);
		if (n < 0 || (n == 0 && await(s, POLLIN, c) != 0))
			break;
		buf_add(&raw, bytes, (size_t)n);
	}
	if (!chunked)
		buf_add(&c->res->body, raw.data, raw.len < length ? raw.len : length);
}

/* Connects (TLS included) and sends nothing. */
static struct http_stream *connect_only(struct http *h, struct http_call *c, const char *url, struct perry_err **err)
{
	struct http_slot *slot = http_slot_new(err);
	if (!slot)
		return NULL;
	http_set_common(h, slot->easy, c, url);
	curl_easy_setopt(slot->easy, CURLOPT_CONNECT_ONLY, 1L);
	if (http_judge(c, http_drive(c, slot), slot->easy, url, err) != 0) {
		http_slot_free(slot);
		return NULL;
	}
	struct http_stream *s = xcalloc(1, sizeof *s);
	s->slot = slot;
	s->tls = str_starts(url, "https://");
	curl_easy_setopt(slot->easy, CURLOPT_ERRORBUFFER, NULL); /* it was this call's */
	if (curl_easy_getinfo(slot->easy, CURLINFO_ACTIVESOCKET, &s->fd) == CURLE_OK && s->fd != CURL_SOCKET_BAD)
		return s;
	cleanup_free char *shown = http_shown_url(c, url);
	http_stream_free(s);
	perry_fail(err, PERRY_EUNAVAILABLE, "the connection to %s broke off", shown);
	return NULL;
}

int http_connect(struct http *h, int timeout_ms, struct http_stream **out, struct perry_err **err)
{
	struct http_req req = { .url = "/", .timeout_ms = timeout_ms };
	struct http_res res = { 0 };
	struct http_call c = { 0 };
	http_call_init(&c, &req, &res);
	cleanup_free char *url = http_full_url(h, &req);
	*out = connect_only(h, &c, url, err);
	http_res_free(&res);
	return *out ? 0 : -1;
}

int http_hijack(struct http *h, const struct http_req *req, struct http_stream **out, struct http_res *res,
		struct perry_err **err)
{
	struct http_call c = { 0 };
	*out = NULL;
	if (http_call_begin(&c, req, res, err) != 0)
		return -1;
	cleanup_free char *url = http_full_url(h, req);
	struct http_stream *s = connect_only(h, &c, url, err);
	if (!s)
		return -1;
	if (send_head(s, &c, url) != 0 || recv_head(s, &c) != 0) {
		cleanup_free char *shown = http_shown_url(&c, url);
		http_stream_free(s);
		return c.ending != BY_ITSELF ? http_ended_by(&c, c.ending, shown, err)
					     : perry_fail(err, PERRY_EUNAVAILABLE, "the answer of %s broke off", shown);
	}
	if (res->status == 101 || res->status == 200) {
		leave_curl(s);
		*out = s;
		return 0;
	}
	recv_refusal(s, &c);
	http_stream_free(s);
	return 0;
}
