/* channel: hands its standard input and output to the holder, which it starts when there is none, and waits until the
 * holder lets go of them. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "step/holder.h"

static const struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = HOLDER_SOCKET };

static int new_socket(void)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		die(EXIT_STEP, "socket: %s", strerror(errno));
	return fd;
}

/* -1: nobody is there. */
static int dial(void)
{
	int fd = new_socket();
	if (!connect(fd, (const struct sockaddr *)&address, sizeof address))
		return fd;
	close(fd);
	return -1;
}

/* The socket is there before the process: who comes next waits in its queue. The process is init's child, not ours. */
static void start_holder(int lock)
{
	int listener = new_socket();
	unlink(HOLDER_SOCKET);
	mode_t mask = umask(0177);
	if (bind(listener, (const struct sockaddr *)&address, sizeof address) || listen(listener, CHANNELS_MAX))
		die(EXIT_STEP, HOLDER_SOCKET ": %s", strerror(errno));
	umask(mask);
	pid_t pid = fork();
	if (pid < 0)
		die(EXIT_STEP, "fork: %s", strerror(errno));
	if (pid == 0) {
		setsid();
		if (fork())
			_exit(0);
		int null = open("/dev/null", O_RDWR | O_CLOEXEC);
		for (int fd = 0; fd < 3; fd++)
			dup2(null, fd);
		close(null);
		close(lock);
		unsetenv("PERRY_LIFE"); /* each channel says its own */
		umask(022);
		if (chdir("/"))
			_exit(EXIT_STEP);
		holder_run(listener);
	}
	close(listener);
	waitpid(pid, NULL, 0);
}

static int reach_holder(void)
{
	int fd = dial();
	if (fd >= 0)
		return fd;
	int lock = open(HOLDER_LOCK, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	while (lock >= 0 && flock(lock, LOCK_EX) && errno == EINTR)
		;
	if (lock < 0)
		die(EXIT_STEP, HOLDER_LOCK ": %s", strerror(errno));
	fd = dial();
	if (fd < 0) {
		start_holder(lock);
		fd = dial();
	}
	if (fd < 0)
		die(EXIT_STEP, HOLDER_SOCKET ": %s", strerror(errno));
	close(lock);
	return fd;
}

int cmd_channel(int argc, char **argv)
{
	if (argc > 1)
		die(EXIT_USAGE, "channel takes no arguments");
	/* Its program is the latest that there is; the holder may have been begun by an older one. */
	int conn = reach_holder(), program = open("/proc/self/exe", O_PATH | O_CLOEXEC);
	const int fds[HANDED_FDS] = { 0, 1, program };
	const char *life = getenv("PERRY_LIFE");
	char text[LIFE_MAX] = " ", byte;
	if (life && strlen(life) < sizeof text)
		memcpy(text, life, strlen(life) + 1);
	union {
		char bytes[CMSG_SPACE(sizeof fds)];
		struct cmsghdr align;
	} control = { 0 };
	struct iovec iov = { text, sizeof text };
	struct msghdr message = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes
	};
	struct cmsghdr *c = CMSG_FIRSTHDR(&message);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof fds);
	memcpy(CMSG_DATA(c), fds, sizeof fds);
	if (sendmsg(conn, &message, MSG_NOSIGNAL) < 0)
		die(EXIT_STEP, HOLDER_SOCKET ": %s", strerror(errno));
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	dup2(null, 0);
	dup2(null, 1);
	while (read(conn, &byte, 1) > 0 || errno == EINTR)
		errno = 0;
	return 0;
}
