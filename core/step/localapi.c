#include "step/localapi.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/mem.h"
#include "step/step.h"

#define ANSWER_MAX (16u << 20)
#define READ_SIZE  4096

int local_open(const char *method, const char *path, const char *headers, const char *body)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX, .sun_path = TAILSCALED_SOCKET };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), saved;
	/* Any other Host, and any Origin, is refused. */
	char *head =
		xasprintf("%s /localapi/v0/%s HTTP/1.0\r\nHost: local-tailscaled.sock\r\n%sContent-Length: %zu\r\n\r\n",
			  method, path, headers ? headers : "", body ? strlen(body) : 0);
	int rc = fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof addr) || fd_write_all(fd, head, strlen(head)) ||
		 (body && fd_write_all(fd, body, strlen(body))) || fcntl(fd, F_SETFL, O_NONBLOCK);
	saved = errno;
	free(head);
	if (rc && fd >= 0)
		close(fd);
	errno = saved;
	return rc ? -1 : fd;
}

int local_head(const char *text, size_t n, int *status, char etag[96])
{
	const char *end = memmem(text, n, "\r\n\r\n", 4), *line, *next;
	etag[0] = 0;
	if (!end)
		return n > 65536 ? -1 : 0;
	if (sscanf(text, "HTTP/1.%*1[01] %d", status) != 1)
		return -1;
	for (line = text; line < end; line = next + 2) {
		next = memmem(line, (size_t)(end + 2 - line), "\r\n", 2);
		if (!strncasecmp(line, "etag:", 5))
			sscanf(line + 5, " %95[^\r]", etag);
	}
	return (int)(end + 4 - text);
}

static int read_all(int fd, int timeout_ms, struct buf *out)
{
	long long until = now_ms() + timeout_ms;
	for (;;) {
		ssize_t got = read(fd, buf_reserve(out, READ_SIZE), READ_SIZE);
		if (got == 0) {
			out->data[out->len] = 0;
			return 0;
		}
		out->len += got > 0 ? (size_t)got : 0;
		if (got > 0 || errno == EINTR)
			continue;
		struct pollfd p = { fd, POLLIN, 0 };
		long long left = until - now_ms();
		if (errno == EAGAIN && left > 0 && out->len < ANSWER_MAX && poll(&p, 1, (int)left) >= 0)
			continue;
		if (errno == EAGAIN)
			errno = ETIMEDOUT;
		return -1;
	}
}

int local_call(const char *method, const char *path, const char *headers, const char *body, int timeout_ms,
	       struct local_answer *out)
{
	struct buf text = { 0 };
	int fd = local_open(method, path, headers, body), saved;
	*out = (struct local_answer){ 0 };
	if (fd < 0)
		return -1;
	int rc = read_all(fd, timeout_ms, &text), head = 0;
	saved = errno;
	close(fd);
	if (rc == 0 && (head = local_head(buf_str(&text), text.len, &out->status, out->etag)) <= 0)
		saved = EPROTO;
	if (head <= 0) {
		buf_free(&text);
		errno = saved;
		return -1;
	}
	buf_consume(&text, (size_t)head);
	out->len = text.len;
	out->body = buf_take(&text);
	return 0;
}
