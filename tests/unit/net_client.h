/* A plain client and a server with a few routes, for the tests of the server. */
#ifndef PERRY_TESTS_NET_CLIENT_H
#define PERRY_TESTS_NET_CLIENT_H
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "net/server.h"

#ifndef MSG_NOSIGNAL
#error needs Linux
#endif

#define LONG 30000 /* ms that no machine is too busy for */

static inline int client_connect(uint16_t port)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
				  .sin_port = htons(port),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof sa), 0);
	return fd;
}

/* -1 when the peer has closed. */
static inline int client_send(int fd, const char *text)
{
	size_t n = strlen(text), at = 0;
	while (at < n) {
		ssize_t w = send(fd, text + at, n - at, MSG_NOSIGNAL);
		if (w <= 0)
			return -1;
		at += (size_t)w;
	}
	return 0;
}

/* One read within ms: bytes, 0 at the end (or reset), -1 when nothing came. */
static inline ssize_t client_read(int fd, void *out, size_t n, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	if (poll(&p, 1, ms) <= 0)
		return -1;
	ssize_t r = recv(fd, out, n, 0);
	return r < 0 ? 0 : r;
}

struct answer {
	int status;
	char *head, *body;
	size_t body_len;
	bool closed; /* the peer closed before the answer was whole */
};

static inline void answer_free(struct answer *a)
{
	free(a->head);
	free(a->body);
	*a = (struct answer){ 0 };
}
#define cleanup_answer __attribute__((cleanup(answer_free)))

/* Reads exactly one answer with Content-Length (or until the end). Reads byte by byte, so that a pipelined one stays in
 * the socket. */
static inline struct answer client_answer(int fd, int ms)
{
	struct answer a = { 0 };
	struct buf text = { 0 };
	char c;
	ssize_t r = 0;
	while (!(text.len >= 4 && memcmp(text.data + text.len - 4, "\r\n\r\n", 4) == 0) &&
	       (r = client_read(fd, &c, 1, ms)) > 0)
		buf_addc(&text, c);
	if (r <= 0) {
		a.closed = r == 0;
		buf_free(&text);
		return a;
	}
	a.head = buf_take(&text);
	a.status = atoi(a.head + 9);
	const char *len = strcasestr(a.head, "\r\nContent-Length:");
	size_t want = len ? (size_t)atol(len + 17) : a.status == 101 ? 0 : SIZE_MAX;
	while (text.len < want && (r = client_read(fd, &c, 1, ms)) > 0)
		buf_addc(&text, c);
	a.closed = want != SIZE_MAX && text.len < want;
	a.body_len = text.len;
	a.body = buf_take(&text);
	return a;
}

static inline struct answer client_call(uint16_t port, const char *request)
{
	int fd = client_connect(port);
	client_send(fd, request);
	struct answer a = client_answer(fd, LONG);
	close(fd);
	return a;
}

#define GET(path) "GET " path " HTTP/1.1\r\nHost: x\r\n\r\n"

/* True when the peer closes within ms. */
static inline bool client_closed_within(int fd, int ms)
{
	char junk[4096];
	for (int64_t end = clock_mono_ms() + ms, left = ms; left > 0; left = end - clock_mono_ms()) {
		ssize_t r = client_read(fd, junk, sizeof junk, (int)left);
		if (r == 0)
			return true;
	}
	return false;
}

#define EVENTUALLY(cond) \
	do { \
		for (int64_t end_ = clock_mono_ms() + LONG; !(cond) && clock_mono_ms() < end_;) \
			usleep(2000); \
		assert_true(cond); \
	} while (0)

#endif
