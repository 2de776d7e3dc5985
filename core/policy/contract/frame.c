#include "policy/contract/frame.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"

static void pack(const cJSON *j, struct buf *out)
{
	cleanup_free char *text = json_print(j);
	size_t n = strlen(text);
	unsigned char head[4] = { (unsigned char)n, (unsigned char)(n >> 8), (unsigned char)(n >> 16),
				  (unsigned char)(n >> 24) };
	buf_add(out, head, sizeof head);
	buf_add(out, text, n);
}

static uint32_t unpack(const unsigned char head[4])
{
	return (uint32_t)head[0] | (uint32_t)head[1] << 8 | (uint32_t)head[2] << 16 | (uint32_t)head[3] << 24;
}

/* Only read and write: the policy process may make no other calls on its descriptor. SIGPIPE is ignored there. */
int frame_send(int fd, const cJSON *j)
{
	cleanup_buf struct buf b = { 0 };
	pack(j, &b);
	if (b.len - 4 > FRAME_MAX)
		return -1;
	for (size_t done = 0; done < b.len;) {
		ssize_t n = write(fd, b.data + done, b.len - done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		done += (size_t)n;
	}
	return 0;
}

static int read_all(int fd, void *out, size_t want)
{
	for (size_t done = 0; done < want;) {
		ssize_t n = read(fd, (char *)out + done, want - done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		done += (size_t)n;
	}
	return 0;
}

cJSON *frame_recv(int fd)
{
	unsigned char head[4];
	if (read_all(fd, head, sizeof head) < 0)
		return NULL;
	uint32_t n = unpack(head);
	if (n > FRAME_MAX)
		return NULL;
	cleanup_free char *text = xmalloc(n + 1);
	if (read_all(fd, text, n) < 0)
		return NULL;
	return json_parse(text, n, "message", NULL);
}

static int wait_for(int fd, short what, int64_t until, struct perry_err **err)
{
	for (;;) {
		int64_t left = until - clock_mono_ms();
		if (left <= 0)
			return perry_fail(err, PERRY_ETIMEOUT, "no answer in time");
		struct pollfd p = { .fd = fd, .events = what };
		int n = poll(&p, 1, left > 60000 ? 60000 : (int)left);
		if (n > 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return perry_fail_errno(err, errno, "poll");
	}
}

int frame_send_until(int fd, const cJSON *j, int64_t until, struct perry_err **err)
{
	cleanup_buf struct buf b = { 0 };
	pack(j, &b);
	if (b.len - 4 > FRAME_MAX)
		return perry_fail(err, PERRY_ETOOLARGE, "more than %u MiB for the policy process", FRAME_MAX >> 20);
	for (size_t done = 0; done < b.len;) {
		ssize_t n = send(fd, b.data + done, b.len - done, MSG_NOSIGNAL);
		if (n > 0)
			done += (size_t)n;
		else if (n < 0 && errno == EAGAIN) {
			if (wait_for(fd, POLLOUT, until, err) < 0)
				return -1;
		} else if (n == 0 || errno != EINTR)
			return perry_fail(err, PERRY_EUNAVAILABLE, "the policy process is gone");
	}
	return 0;
}

static int recv_all(int fd, void *out, size_t want, int64_t until, struct perry_err **err)
{
	for (size_t done = 0; done < want;) {
		ssize_t n = recv(fd, (char *)out + done, want - done, 0);
		if (n > 0)
			done += (size_t)n;
		else if (n < 0 && errno == EAGAIN) {
			if (wait_for(fd, POLLIN, until, err) < 0)
				return -1;
		} else if (n == 0 || errno != EINTR)
			return perry_fail(err, PERRY_EUNAVAILABLE, "the policy process is gone");
	}
	return 0;
}

int frame_recv_until(int fd, int64_t until, cJSON **out, struct perry_err **err)
{
	unsigned char head[4];
	if (recv_all(fd, head, sizeof head, until, err) < 0)
		return -1;
	uint32_t n = unpack(head);
	if (n > FRAME_MAX)
		return perry_fail(err, PERRY_EPOLICY, "the policy process sent %u bytes at once; at most %u are read",
				  n, FRAME_MAX);
	cleanup_free char *text = xmalloc(n + 1);
	if (recv_all(fd, text, n, until, err) < 0)
		return -1;
	*out = json_parse(text, n, "policy process", err);
	return *out ? 0 : -1;
}
