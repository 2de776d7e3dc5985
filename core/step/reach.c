/* reach [ADDRESS...]: which of these addresses answer, a line each. For doctor. Without one it stands still for a
 * minute, to be reached. */
#include "step/reach.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "step/step.h"

#define PORT     22 /* the one that an engine's rules let through first */
#define WAIT_MS  1000
#define STAND_MS 60000
#define TARGETS  64

int reach_begin(const char *address)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(PORT) };
	int one = 1;
	if (inet_pton(AF_INET, address, &to.sin_addr) != 1)
		return -1;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	/* What a firewall says in the other's place is told apart from what the other says. */
	if (fd >= 0)
		setsockopt(fd, IPPROTO_IP, IP_RECVERR, &one, sizeof one);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof to) && errno != EINPROGRESS) {
		close(fd);
		return -1;
	}
	return fd;
}

static bool answered(int fd)
{
	char any[512], control[512];
	struct iovec v = { any, sizeof any };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control };
	int e = 0;
	socklen_t n = sizeof e;
	bool said = recvmsg(fd, &m, MSG_ERRQUEUE | MSG_DONTWAIT) < 0;
	return said && getsockopt(fd, SOL_SOCKET, SO_ERROR, &e, &n) == 0 && (e == 0 || e == ECONNREFUSED);
}

bool reach_end(int fd, int ms)
{
	struct pollfd p = { fd, POLLOUT, 0 };
	bool is = poll(&p, 1, ms > 0 ? ms : 0) > 0 && answered(fd);
	close(fd);
	return is;
}

int cmd_reach(int argc, char **argv)
{
	int fds[TARGETS], n = argc - 1 < TARGETS ? argc - 1 : TARGETS;
	if (n == 0) {
		sleep_ms(STAND_MS);
		return 0;
	}
	long long until = now_ms() + WAIT_MS;
	for (int i = 0; i < n; i++)
		fds[i] = reach_begin(argv[i + 1]);
	for (int i = 0; i < n; i++)
		if (fds[i] >= 0 && reach_end(fds[i], (int)(until - now_ms())))
			puts(argv[i + 1]);
	return 0;
}
