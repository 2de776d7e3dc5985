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

static int dial(const struct sockaddr *to, in_port_t port)
{
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} addr;
	socklen_t n = to->sa_family == AF_INET ? sizeof addr.v4 : sizeof addr.v6;
	memcpy(&addr, to, n);
	if (to->sa_family == AF_INET)
		addr.v4.sin_port = htons(port);
	else
		addr.v6.sin6_port = htons(port);
	int fd = socket(to->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
	if (fd >= 0 && connect(fd, &addr.any, n)) {
		int e = errno;
		close(fd);
		errno = e;
		return -1;
	}
	if (fd >= 0)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	return fd;
}

/* The loopback addresses first, then the workspace's own: a server may be bound to that one alone. */
int server_dial(in_port_t port)
{
	const struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	const struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	struct ifaddrs *all = NULL;
	int fd = dial((const struct sockaddr *)&v4, port), refused = errno;
	if (fd < 0)
		fd = dial((const struct sockaddr *)&v6, port);
	if (fd < 0 && getifaddrs(&all) == 0)
		for (struct ifaddrs *i = all; i && fd < 0; i = i->ifa_next)
			if (i->ifa_addr && (i->ifa_addr->sa_family == AF_INET || i->ifa_addr->sa_family == AF_INET6))
				fd = dial(i->ifa_addr, port);
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
