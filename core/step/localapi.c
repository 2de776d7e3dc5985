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

#include "step/step.h"

#define ANSWER_MAX (16u << 20)

int local_open(const char *method, const char *path, const char *headers, const char *body)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX, .sun_path = TAILSCALED_SOCKET };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), saved;
	/* Any other Host, and any Origin, is refused. */
	char *head =
		xasprintf("%s /localapi/v0/%s HTTP/1.0\r\nHost: local-tailscaled.sock\r\n%sContent-Length: %zu\r\n\r\n",
			  method, path, headers ? headers : "", body ? strlen(body) : 0);
	int rc = fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof addr) || write_all(fd, head, strlen(head)) ||
		 (body && write_all(fd, body, strlen(body))) || fcntl(fd, F_SETFL, O_NONBLOCK);
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

static char *read_all(int fd, int timeout_ms, size_t *len)
{
	long long until = now_ms() + timeout_ms;
	size_t n = 0, cap = 4096;
	char *text = xrealloc(NULL, cap);
	for (;;) {
		if (cap - n < 2)
			text = xrealloc(text, cap *= 2);
		ssize_t got = read(fd, text + n, cap - n - 1);
		if (got == 0)
			break;
		n += got > 0 ? (size_t)got : 0;
		if (got > 0 || errno == EINTR)
			continue;
		struct pollfd p = { fd, POLLIN, 0 };
		long long left = until - now_ms();
		if (errno == EAGAIN && left > 0 && n < ANSWER_MAX && poll(&p, 1, (int)left) >= 0)
			continue;
		if (errno == EAGAIN)
			errno = ETIMEDOUT;
		free(text);
		return NULL;
	}
	text[n] = 0;
	*len = n;
	return text;
}

int local_call(const char *method, const char *path, const char *headers, const char *body, int timeout_ms,
	       struct local_answer *out)
{
	size_t len = 0;
	int fd = local_open(method, path, headers, body), saved;
	*out = (struct local_answer){ 0 };
	if (fd < 0)
		return -1;
	char *text = read_all(fd, timeout_ms, &len);
	saved = errno;
	close(fd);
	errno = saved;
	if (!text)
		return -1;
	int head = local_head(text, len, &out->status, out->etag);
	if (head <= 0) {
		free(text);
		errno = EPROTO;
		return -1;
	}
	memmove(text, text + head, len - (size_t)head + 1);
	out->body = text;
	out->len = len - (size_t)head;
	return 0;
}
