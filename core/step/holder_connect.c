/* Connections on a channel to servers in the workspace. */
#include "step/holder.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/mem.h"

struct dialing {
	struct server_address to[SERVER_ADDRESSES];
	size_t n, at;
	int why; /* the first one did not answer */
	unsigned port;
};

static void try_next(struct stream *st);

static void on_output(struct source *s, unsigned events)
{
	struct stream *st = s->owner;
	ssize_t n = stream_pass(st, s->fd, FRAME_STDOUT);
	if (n < 0 && errno == EBUSY)
		source_want(s, 0);
	else if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		stream_exit(st, 0); /* the server's end is the end: what it has not read then it does not want */
}

static void on_writable(struct source *s, unsigned events)
{
	struct stream *st = s->owner;
	stream_write(st);
	if (st->eof && st->in_at == st->in.len && st->to.fd >= 0) {
		shutdown(st->to.fd, SHUT_WR); /* the server may go on */
		source_close(&st->to);
	}
}

static void connected(struct stream *st)
{
	int one = 1, again = fcntl(st->from[0].fd, F_DUPFD_CLOEXEC, 3);
	free(take_ptr(st->dialing));
	if (again < 0) {
		stream_error(st, 503, "cannot connect: %s", strerror(errno));
		return;
	}
	setsockopt(again, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	st->from[0].ready = on_output;
	source_want(&st->from[0], EPOLLIN);
	source_open(&st->to, again, on_writable, st);
	stream_opened(st, "{}");
	on_writable(&st->to, 0);
}

static void on_dialed(struct source *s, unsigned events)
{
	struct stream *st = s->owner;
	int e = 0;
	socklen_t n = sizeof e;
	getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &e, &n);
	if (!e) {
		source_want(s, 0);
		connected(st);
		return;
	}
	if (!st->dialing->why)
		st->dialing->why = e;
	source_close(s);
	try_next(st);
}

static void try_next(struct stream *st)
{
	struct dialing *d = st->dialing;
	while (d->at < d->n) {
		const struct server_address *to = &d->to[d->at++];
		int fd = socket(to->addr.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		if (fd >= 0 && (!connect(fd, &to->addr.any, to->len) || errno == EINPROGRESS)) {
			source_open(&st->from[0], fd, on_dialed, st);
			source_want(&st->from[0], EPOLLOUT);
			return;
		}
		if (!d->why)
			d->why = errno;
		if (fd >= 0)
			close(fd);
	}
	char text[128];
	snprintf(text, sizeof text, "perry-step: nothing answers on port %u: %s\n", d->port, strerror(d->why));
	stream_send(st, FRAME_STDERR, text, strlen(text));
	stream_exit(st, 1);
}

static void open_connect(struct stream *st, struct span from)
{
	long long port;
	if (!json_int(json_get(from, "port"), 1, 65535, &port)) {
		stream_error(st, 400, "connect needs a port");
		return;
	}
	st->dialing = xcalloc(1, sizeof *st->dialing);
	st->dialing->port = (unsigned)port;
	st->dialing->n = server_addresses((in_port_t)port, st->dialing->to, SERVER_ADDRESSES);
	try_next(st);
}

static void on_input(struct stream *st)
{
	if (!st->dialing)
		on_writable(&(struct source){ .owner = st }, 0);
}

static void on_room(struct stream *st)
{
	if (!st->dialing)
		source_want(&st->from[0], EPOLLIN);
}

static void on_free(struct stream *st)
{
	free(st->dialing);
	source_close(&st->from[0]);
	source_close(&st->to);
}

const struct kind kind_connect = {
	.name = "connect", .open = open_connect, .input = on_input, .room = on_room, .free = on_free
};
