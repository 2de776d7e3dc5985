/* connect: standard input and output joined to a server in the workspace, also to one that is bound to a loopback
 * address. */
#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "step/step.h"

#define PIECE 65536

static void add(struct server_address *out, size_t max, size_t *n, const struct sockaddr *from, in_port_t port)
{
	if (*n == max)
		return;
	struct server_address *a = &out[(*n)++];
	a->len = from->sa_family == AF_INET ? sizeof a->addr.v4 : sizeof a->addr.v6;
	memcpy(&a->addr, from, a->len);
	if (from->sa_family == AF_INET)
		a->addr.v4.sin_port = htons(port);
	else
		a->addr.v6.sin6_port = htons(port);
}

/* The loopback addresses first, then the workspace's own: a server may be bound to that one alone. */
size_t server_addresses(in_port_t port, struct server_address *out, size_t max)
{
	const struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	const struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	struct ifaddrs *all = NULL;
	size_t n = 0;
	add(out, max, &n, (const struct sockaddr *)&v4, port);
	add(out, max, &n, (const struct sockaddr *)&v6, port);
	if (getifaddrs(&all) == 0)
		for (struct ifaddrs *i = all; i; i = i->ifa_next)
			if (i->ifa_addr && (i->ifa_addr->sa_family == AF_INET || i->ifa_addr->sa_family == AF_INET6))
				add(out, max, &n, i->ifa_addr, port);
	if (all)
		freeifaddrs(all);
	return n;
}

static int dial(const struct server_address *to)
{
	int fd = socket(to->addr.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
	if (fd >= 0 && connect(fd, &to->addr.any, to->len)) {
		int e = errno;
		close(fd);
		errno = e;
		return -1;
	}
	if (fd >= 0)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	return fd;
}

int server_dial(in_port_t port)
{
	struct server_address all[SERVER_ADDRESSES];
	size_t n = server_addresses(port, all, ARRAY_LEN(all));
	int fd = dial(&all[0]), refused = errno;
	for (size_t i = 1; i < n && fd < 0; i++)
		fd = dial(&all[i]);
	errno = refused;
	return fd;
}

/* All bytes from one to the other, each of which may block. */
static void pump(int from, int to)
{
	char *bytes = xmalloc(PIECE);
	ssize_t n;
	while ((n = read(from, bytes, PIECE)) > 0 || (n < 0 && errno == EINTR))
		if (n > 0 && fd_write_all(to, bytes, (size_t)n))
			break;
	free(bytes);
}

int cmd_connect(int argc, char **argv)
{
	char *end = NULL;
	long port = argc == 2 ? strtol(argv[1], &end, 10) : 0;
	if (port < 1 || port > 65535 || *end)
		die(EXIT_USAGE, "connect needs a port");
	int fd = server_dial((in_port_t)port);
	if (fd < 0)
		die(1, "nothing answers on port %ld: %s", port, strerror(errno));
	/* A process for each direction: one that waits for the server to read must not keep it from being read. */
	pid_t parent = getpid(), sender = fork();
	if (sender < 0)
		die(EXIT_STEP, "fork: %s", strerror(errno));
	if (sender == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(0);
		pump(0, fd);
		shutdown(fd, SHUT_WR); /* the server may go on */
		_exit(0);
	}
	/* The server's end is the end: what it has not read then it does not want. */
	pump(fd, 1);
	kill(sender, SIGKILL);
	return 0;
}
